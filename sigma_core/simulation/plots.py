"""Plots of simulations as SVG, by Altair and vl-convert (the extra ``desk``), the same bytes for the same figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from sigma_core.errors import ExitCode, SigmaError
from sigma_core.policy import PPM

if TYPE_CHECKING:
    import altair

WIDTH, HEIGHT = 560, 300


class PlotsMissing(SigmaError):
    """Altair or vl-convert is not installed."""

    code = "PLOTS_MISSING"
    exit_code = ExitCode.UNAVAILABLE


def require_altair() -> None:
    """Raise PlotsMissing when plots cannot be made: before hours of simulation, not after."""
    try:
        import altair  # noqa: F401, PLC0415
        import vl_convert  # noqa: F401, PLC0415
    except ImportError as error:
        raise PlotsMissing(f"plots need {error.name}", hint="pip install 'sigma-verification[desk]'") from None


def _svg(chart: altair.Chart | altair.LayerChart) -> str:
    import vl_convert  # noqa: PLC0415

    return str(vl_convert.vegalite_to_svg(chart.to_json())) + "\n"


def _values(frame: pl.DataFrame) -> altair.InlineData:
    import altair  # noqa: PLC0415

    return altair.InlineData(values=frame.to_dicts())


def final_ratios(shares: pl.DataFrame) -> str:
    """Weight share over stake share of each group at the end of ``shares`` (`compare.SHARE_COLUMNS`, one scenario): a dot for the
    mean over the seeds, a line from the lowest to the highest, a colour for each policy."""
    import altair as alt  # noqa: PLC0415

    last = shares.filter(pl.col("day") == pl.col("day").max()).with_columns(ratio=pl.col("ratio_ppm") / PPM)
    groups = last["group_name"].unique(maintain_order=True).to_list()
    summary = last.group_by("policy", "group_name", maintain_order=True).agg(
        mean=pl.col("ratio").mean(), lowest=pl.col("ratio").min(), highest=pl.col("ratio").max()
    )
    base = alt.Chart(_values(summary)).encode(
        y=alt.Y("group_name:N", sort=groups, title=None),
        yOffset="policy:N",
        color=alt.Color("policy:N", title="policy"),
    )
    one = (
        alt.Chart(_values(pl.DataFrame({"fair": [1.0]}))).mark_rule(strokeDash=[4, 4], color="#888").encode(x="fair:Q")
    )
    chart = one + base.mark_rule(strokeWidth=2).encode(
        x=alt.X("lowest:Q", title="weight share / stake share"), x2="highest:Q"
    )
    return _svg(
        (chart + base.mark_point(filled=True, size=60).encode(x="mean:Q")).properties(width=WIDTH, height=HEIGHT)
    )


def ratios_over_time(shares: pl.DataFrame) -> str:
    """The mean ratio of each group of one policy and scenario, day by day."""
    import altair as alt  # noqa: PLC0415

    means = shares.group_by("day", "group_name", maintain_order=True).agg(ratio=pl.col("ratio_ppm").mean() / PPM)
    groups = shares["group_name"].unique(maintain_order=True).to_list()
    chart = (
        alt.Chart(_values(means))
        .mark_line()
        .encode(
            x=alt.X("day:Q", title="day"),
            y=alt.Y("ratio:Q", title="weight share / stake share"),
            color=alt.Color("group_name:N", sort=groups, title=None, scale=alt.Scale(scheme="tableau10")),
        )
    )
    return _svg(chart.properties(width=WIDTH, height=HEIGHT))


def clique_curve(curve: pl.DataFrame) -> str:
    """The sleeper clique's ratio over its size, a line for each attack rate; ``curve`` has size_ppm, attack_ppm, ratio_ppm."""
    import altair as alt  # noqa: PLC0415

    points = curve.select(
        size=pl.col("size_ppm") / 10_000,
        attack=(pl.col("attack_ppm") / 10_000).cast(pl.String) + " %",
        ratio=pl.col("ratio_ppm") / PPM,
    )
    rates = points["attack"].unique(maintain_order=True).to_list()
    chart = (
        alt.Chart(_values(points))
        .mark_line(point=True)
        .encode(
            x=alt.X("size:Q", title="clique, % of validators"),
            y=alt.Y("ratio:Q", title="clique's weight share / stake share"),
            color=alt.Color("attack:N", sort=rates, title="share of attacks"),
        )
    )
    return _svg(chart.properties(width=WIDTH, height=HEIGHT))

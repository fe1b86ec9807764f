"""A comparison of policies as Markdown, with plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from sigma_core.policy import PPM
from sigma_core.simulation.compare import (
    HONEST,
    HONEST_ABOVE_PPM,
    IDLE_BELOW_PPM,
    Trial,
    failed_gates,
    share_table,
    wilson_upper,
)
from sigma_core.simulation.plots import final_ratios, ratios_over_time, require_altair
from sigma_core.simulation.population import Scenario
from sigma_core.storage.files import write_whole


def times(ppm: int) -> str:
    """A ratio in ppm with two decimals."""
    return f"{ppm / PPM:.2f}"


def percent(ppm: int) -> str:
    """Ppm as per cent with one decimal."""
    return f"{ppm / 10_000:.1f} %"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table whose columns but the first are numbers."""
    lines = [f"| {' | '.join(header)} |", f"| --- {'| --: ' * (len(header) - 1)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)]) + "\n"


def groups_table(trials: Sequence[Trial]) -> str:
    """One row for each group: final ratio, mean [lowest, highest], and mean net pay, for each policy."""
    header = ["weight share / stake share"]
    for of in trials:
        header += [f"{of.policy}", "net USD a 1,000 USD of stake"]
    rows = []
    for group in trials[0].groups:
        row = [group]
        for of in trials:
            mean, lowest, highest = of.ratio_ppm(group)
            row += [
                f"**{times(mean)}** [{times(lowest)}, {times(highest)}]",
                f"{of.net_micro_usd(group) / 1_000_000:+.2f}",
            ]
        rows.append(row)
    return markdown_table(header, rows)


def outcomes_table(trials: Sequence[Trial]) -> str:
    """One row for each policy: what was certified, with the upper end of the 95 % Wilson interval for attacks."""
    rows = []
    for of in trials:
        attacks, certified = of.total("attacks"), of.total("attacks_certified")
        rows.append(
            (
                of.policy,
                percent(of.rate_ppm("safe_certified", "safe")),
                f"{of.total('unsafe_certified')} of {of.total('unsafe')}",
                f"{certified} of {attacks}",
                f"{100 * wilson_upper(certified, attacks):.2f} %",
                percent(of.rate_ppm("escalated", "submissions")),
            )
        )
    return markdown_table(
        ("policy", "good work certified", "bad work certified", "attacks certified", "95 % upper bound", "escalated"),
        rows,
    )


def gates_sentence(of: Trial) -> str:
    """Whether the gates of spec/protocol.md hold, and which does not."""
    failed = failed_gates(of)
    what = f"{HONEST} above {HONEST_ABOVE_PPM / PPM}, who do not look below {IDLE_BELOW_PPM / PPM}, no attack certified"
    return f"Gates ({what}): **{'passed' if not failed else 'missed: ' + '; '.join(failed)}**.\n"


def comparison_report(scenario: Scenario, trials: Sequence[Trial], folder: Path) -> Path:
    """Write ``report.md`` and its plots into ``folder`` and return the report's path.

    Raises PlotsMissing without Altair, OSError when the folder cannot be written.
    """
    require_altair()
    folder.mkdir(parents=True, exist_ok=True)
    shares = share_table(trials)
    write_whole(folder / "ratios.svg", final_ratios(shares).encode())
    parts = [
        f"# Simulation: {' and '.join(of.policy for of in trials)} on the population “{scenario.name}”\n",
        f"{scenario.submissions:,} submissions, {scenario.validators} validators, seeds "
        f"{', '.join(str(result.seed) for result in trials[0].results)}.\n",
        "![Final ratios](ratios.svg)\n",
        groups_table(trials),
        outcomes_table(trials),
    ]
    for number, of in enumerate(trials):
        write_whole(folder / f"over-time-{number}.svg", ratios_over_time(share_table([of])).encode())
        parts += [f"## {of.policy}\n", f"Policy `{of.results[0].policy_hash}`.\n", gates_sentence(of)]
        parts.append(f"![Over time](over-time-{number}.svg)\n")
    report = folder / "report.md"
    write_whole(report, "\n".join(parts).encode())
    return report

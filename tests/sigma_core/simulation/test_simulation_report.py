"""Comparisons of policies as tables, Markdown and plots."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from sigma_core.policy import Policy
from sigma_core.simulation import plots
from sigma_core.simulation.compare import (
    RUN_COLUMNS,
    SHARE_COLUMNS,
    Trial,
    failed_gates,
    run_table,
    share_table,
    trial,
    wilson_upper,
)
from sigma_core.simulation.plots import PlotsMissing, clique_curve
from sigma_core.simulation.population import SCENARIOS, SimulationInvalid
from sigma_core.simulation.report import comparison_report
from sigma_core.simulation.study import countermeasures

SMALL = SCENARIOS["designed"].sized(60)


@pytest.fixture(scope="module")
def trials(policy: Policy) -> list[Trial]:
    return [trial("ours", SMALL, policy, (1, 2)), trial("theirs", SMALL, policy, (1, 2))]


def test_tables_have_every_group_day_and_run(trials: list[Trial]) -> None:
    shares, runs = share_table(trials), run_table(trials)
    assert dict(shares.schema) == SHARE_COLUMNS
    assert dict(runs.schema) == RUN_COLUMNS
    assert (shares.height, runs.height) == (2 * 2 * 2 * len(SMALL.groups), 4)
    last = shares.filter(policy="ours", day=1, group_name="honest")["ratio_ppm"].to_list()
    assert trials[0].ratio_ppm("honest") == (sum(last) // 2, min(last), max(last))


def test_a_report_names_policies_figures_and_plots_that_are_there(trials: list[Trial], tmp_path: Path) -> None:
    report = comparison_report(SMALL, trials, tmp_path / "out").read_text(encoding="utf-8")
    plots_named = re.findall(r"\]\(([^)]+\.svg)\)", report)
    assert sorted(plots_named) == ["over-time-0.svg", "over-time-1.svg", "ratios.svg"]
    for name in plots_named:
        assert ET.parse(tmp_path / "out" / name).getroot().tag.endswith("svg")
    for group in trials[0].groups:
        assert f"| {group} | **{trials[0].ratio_ppm(group)[0] / 1_000_000:.2f}**" in report


def test_plots_of_equal_figures_are_equal_bytes() -> None:
    curve = pl.DataFrame({"size_ppm": [20_000, 100_000], "attack_ppm": [10_000] * 2, "ratio_ppm": [1_100_000, 900_000]})
    assert clique_curve(curve) == clique_curve(curve)


def test_without_altair_nothing_is_simulated_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    with pytest.raises(PlotsMissing, match=r"plots need vl_convert .*sigma-verification\[desk\]"):
        plots.require_altair()
    with pytest.raises(PlotsMissing):
        comparison_report(SMALL, [], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_gates_say_what_is_missed(trials: list[Trial]) -> None:
    after_two_days = failed_gates(trials[0])
    assert any(line.startswith("honest holds") for line in after_two_days)
    assert any(line.startswith("always safe holds") for line in after_two_days)


def test_the_upper_bound_is_wilsons() -> None:
    assert wilson_upper(0, 390) == pytest.approx(0.00975, abs=1e-5)
    assert wilson_upper(17, 62) == pytest.approx(0.39593, abs=1e-5)
    assert wilson_upper(0, 0) == 1.0


def test_no_seed_is_refused(policy: Policy) -> None:
    with pytest.raises(SimulationInvalid, match="no seed was given"):
        trial("ours", SMALL, policy, ())


def test_countermeasures_change_one_thing_each_and_the_first_nothing(policy: Policy) -> None:
    (name, _, scenario, under), *others = countermeasures(SMALL, policy)
    assert (name, scenario, under) == ("none", SMALL, policy)
    for other in others:
        assert other[2] != SMALL or other[3] != policy

"""The study that docs/simulation holds: gates on two populations, what was tried against the sleeper clique, and its curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from sigma_core.canonical import canonical_json
from sigma_core.policy import PPM, Policy, half_life_factor
from sigma_core.simulation.compare import HONEST, IDLE_GROUPS, failed_gates, share_table, trial, wilson_upper
from sigma_core.simulation.plots import clique_curve, final_ratios, ratios_over_time, require_altair
from sigma_core.simulation.population import SCENARIOS, Scenario
from sigma_core.simulation.report import gates_sentence, groups_table, markdown_table, outcomes_table, percent, times
from sigma_core.storage.files import write_whole

SLEEPER = "sleeper"
FRESH_SEEDS = (200, 201, 202, 203, 204)
"""Seeds of the study: none of them was looked at while a formula or a population was made."""

CLIQUE_SIZES_PPM = (20_000, 50_000, 100_000, 200_000, 330_000)
ATTACK_RATES_PPM = (10_000, 20_000, 50_000, 100_000)

Progress = Callable[[str], None]
Countermeasure = tuple[str, str, Scenario, Policy]
"""Name, what it is, and the scenario and policy that it makes."""


def with_standing(policy: Policy, **values: int) -> Policy:
    """``policy`` with other values in its section ``standing``. Raises pydantic's ValidationError for one that it cannot take."""
    document = policy.model_dump(mode="json")
    return Policy.model_validate_json(canonical_json({**document, "standing": {**document["standing"], **values}}))


def countermeasures(scenario: Scenario, policy: Policy) -> list[Countermeasure]:
    """What is tried against the sleeper clique; the first is nothing."""
    slow = half_life_factor(90, policy.standing.decay_bits)

    def under(name: str, what: str, **values: int) -> Countermeasure:
        return name, what, scenario, with_standing(policy, **values)

    aimed = replace(scenario, aimed_canaries_ppm=PPM // 2)
    doubled = under(
        "missed × 2", "`missed_unsafe_q10 = 2048`: SAFE on what is UNSAFE costs twice", missed_unsafe_q10=2048
    )
    return [
        ("none", "the policy as it is", scenario, policy),
        doubled,
        under("missed × 4", "`missed_unsafe_q10 = 4096`", missed_unsafe_q10=4096),
        under("joint 1/8", "`joint_error_q10 = 128`: an eighth more for each other seat as wrong", joint_error_q10=128),
        under("joint 1/2", "`joint_error_q10 = 512`", joint_error_q10=512),
        under("half-life 90 d", "weight that comes and goes slowly", half_life_days=90, decay_per_day=slow),
        under("prior 16", "`accuracy_prior_points = 16`: no weight before a record", accuracy_prior_points=16),
        ("canaries × 2", "twice as many", replace(scenario, canary_ppm=2 * scenario.canary_ppm), policy),
        ("aimed canaries", "half of them under the name with the most failed packages", aimed, policy),
        (
            "aimed, fresh names",
            "against a clique with a new name each time",
            replace(aimed, fresh_authors=True),
            policy,
        ),
        (
            "exposure limit",
            "SAFE on an author's UNSAFE package: never again on that author",
            replace(scenario, exposure_limit=True),
            policy,
        ),
        ("aimed, missed × 2", "both", aimed, doubled[3]),
    ]


def study(policy: Policy, folder: Path, progress: Progress, seeds: Sequence[int] = FRESH_SEEDS) -> Path:
    """Run the study of docs/simulation and write it into ``folder``: gates on both populations, what was tried against the sleeper
    clique, and its curve. Some minutes. Raises as `comparison_report`."""
    require_altair()
    folder.mkdir(parents=True, exist_ok=True)
    designed = SCENARIOS["designed"]
    parts = [_INTRODUCTION.format(version=policy.version, hash=policy.hash)]
    for scenario in SCENARIOS.values():
        progress(f"population {scenario.name}")
        of = trial("default", scenario, policy, seeds)
        write_whole(folder / f"{scenario.name}-ratios.svg", final_ratios(share_table([of])).encode())
        write_whole(folder / f"{scenario.name}-over-time.svg", ratios_over_time(share_table([of])).encode())
        parts += [
            f"## Population “{scenario.name}”\n",
            _POPULATIONS[scenario.name],
            f"{len(seeds)} fresh seeds, {scenario.submissions:,} submissions each, {scenario.validators} validators; "
            "mean [lowest, highest].\n",
            groups_table([of]),
            outcomes_table([of]),
            gates_sentence(of),
            f"![Final ratios]({scenario.name}-ratios.svg)\n",
            f"![Over time]({scenario.name}-over-time.svg)\n",
        ]
    parts += ["## Against the sleeper clique\n", _COUNTERMEASURES]
    for scenario in SCENARIOS.values():
        parts += [f"On “{scenario.name}”:\n", _countermeasures_table(scenario, policy, seeds[:3], progress)]
    curve = _curve(designed, policy, seeds[:2], progress)
    write_whole(folder / "clique.svg", clique_curve(curve).encode())
    parts += ["## The clique's curve\n", _CURVE, "![The clique's curve](clique.svg)\n", _curve_table(curve)]
    report = folder / "README.md"
    write_whole(report, "\n".join(parts).encode())
    return report


def _countermeasures_table(population: Scenario, policy: Policy, seeds: Sequence[int], progress: Progress) -> str:
    rows = []
    for name, what, scenario, under in countermeasures(population, policy):
        progress(f"countermeasure {name} on {population.name}")
        of = trial(name, scenario, under, seeds)
        honest, sleeper = of.ratio_ppm(HONEST)[0], of.ratio_ppm(SLEEPER)[0]
        idle = max(of.ratio_ppm(group)[0] for group in IDLE_GROUPS)
        rows.append(
            (
                f"{name}: {what}",
                times(sleeper),
                times(sleeper * PPM // honest),
                times(honest),
                times(of.ratio_ppm("weak")[0]),
                times(idle),
                percent(of.rate_ppm("safe_certified", "safe")),
                f"{of.total('attacks_certified')} of {of.total('attacks')}",
                "yes" if not failed_gates(of) else "no",
            )
        )
    header = (
        "countermeasure",
        "clique",
        "clique / honest",
        "honest",
        "weak",
        "worst idle group",
        "good work certified",
        "attacks certified",
        "gates hold",
    )
    return markdown_table(header, rows)


def _curve(designed: Scenario, policy: Policy, seeds: Sequence[int], progress: Progress) -> pl.DataFrame:
    rows = []
    for attack in ATTACK_RATES_PPM:
        for size in CLIQUE_SIZES_PPM:
            progress(f"clique of {percent(size)}, attacking with {percent(attack)}")
            of = trial("default", designed.with_clique(size, attack), policy, seeds)
            rows.append(
                (size, attack, of.ratio_ppm(SLEEPER)[0], of.ratio_ppm(HONEST)[0], of.total("attacks"), of.total("attacks_certified"))
            )  # fmt: skip
    columns = ("size_ppm", "attack_ppm", "ratio_ppm", "honest_ppm", "attacks", "certified")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Int64), orient="row")


def _curve_table(curve: pl.DataFrame) -> str:
    rows = [
        (
            f"{percent(row['size_ppm'])} of validators, {percent(row['attack_ppm'])} of submissions",
            times(row["ratio_ppm"]),
            times(row["honest_ppm"]),
            f"{row['certified']} of {row['attacks']}",
            f"{100 * wilson_upper(row['certified'], row['attacks']):.2f} %",
        )
        for row in curve.iter_rows(named=True)
    ]
    return markdown_table(("clique", "its ratio", "honest", "attacks certified", "95 % upper bound"), rows)


_INTRODUCTION = """# Simulation of standing

Written by `sigma simulate --study`; every figure below is from that run, under policy version {version} (`{hash}`).

Selection, consensus, points, reputation, accuracy, weights and payouts are the code that real rounds run on. Votes and truths are
synthetic: validators with error rates drawn from their group's range, whose errors share causes by package and by model family. A
ratio is a group's share of all weight over its share of all stake, after the last day: 1 is neutral. The behaviours are ours; a real
adversary chooses its own.
"""

_POPULATIONS = {
    "designed": """The population on which the formulas were made, plus a stake grinder (always SAFE with about ten times the usual stake),
a Sybil splitter (one stake of 30,000 USD in 20 parts under as many operators) and its twin who does not split.
""",
    "unseen": """Nothing was tuned on this one: fewer and weaker honest validators, a quarter of the work hostile, five families with half
of all luck shared, slower and worse resolutions, one validator in nine always SAFE.
""",
}

_COUNTERMEASURES = """The clique audits honestly and votes SAFE on what it submits itself (10 % of validators, 2 % of submissions). Each
line is the mean of three fresh seeds. What is tried is off by default; a deployment turns it on in its policy.
"""

_CURVE = """Mean of two fresh seeds, default policy; the clique grows at the cost of honest validators. A certified attack needs all ten
seats to be SAFE.
"""

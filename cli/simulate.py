"""``sigma simulate``: policies against synthetic populations, on the code that real rounds run on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from cli.output import printable, stdout
from sigma_core.errors import SigmaError
from sigma_core.policy import PPM, Policy, load_policy
from sigma_core.simulation.compare import Trial, failed_gates, trial, wilson_upper
from sigma_core.simulation.population import SCENARIOS, Scenario


def scenario_of(population: str, submissions: int | None, clique_ppm: int | None, attack_ppm: int | None) -> Scenario:
    """The population of that name with those changes. Raises SigmaError for an unknown name or a change it cannot take."""
    if population not in SCENARIOS:
        raise SigmaError(f"--population {population!r}: there are {', '.join(SCENARIOS)}", code="USAGE")
    scenario = SCENARIOS[population]
    if submissions is not None:
        scenario = scenario.sized(submissions)
    if clique_ppm is not None or attack_ppm is not None:
        scenario = scenario.with_clique(
            clique_ppm if clique_ppm is not None else 100_000,
            attack_ppm if attack_ppm is not None else scenario.attack_ppm,
        )
    return scenario


def named_policies(own: Path, policy: Path | None, against: Path | None) -> list[tuple[str, Policy]]:
    """The policies to compare with their names: the deployment's own or ``policy``, and ``against``. Raises PolicyError."""
    chosen = [(policy.stem if policy else "default", load_policy(policy or own))]
    if against is not None:
        chosen.append((against.stem if against.stem != chosen[0][0] else f"{against.stem} (2)", load_policy(against)))
    return chosen


def run_trials(
    scenario: Scenario, policies: Sequence[tuple[str, Policy]], seeds: Sequence[int], progress: Callable[[str], None]
) -> list[Trial]:
    """One trial for each policy."""
    trials = []
    for name, policy in policies:
        progress(f"{name}: {len(seeds)} × {scenario.submissions:,} submissions to {scenario.validators} validators")
        trials.append(trial(name, scenario, policy, seeds))
    return trials


def as_json(scenario: Scenario, trials: Sequence[Trial]) -> dict[str, Any]:
    """The trials as one document; ratios are weight share over stake share in ppm, money is micro-USD."""
    return {
        "population": scenario.name,
        "validators": scenario.validators,
        "submissions": scenario.submissions,
        "policies": [
            {
                "policy": of.policy,
                "policyHash": of.results[0].policy_hash,
                "seeds": [result.seed for result in of.results],
                "groups": [
                    {
                        "group": group,
                        **dict(zip(("meanPpm", "lowestPpm", "highestPpm"), of.ratio_ppm(group), strict=True)),
                        "netMicroUsdPer1000Usd": of.net_micro_usd(group),
                    }
                    for group in of.groups
                ],
                "goodCertifiedPpm": of.rate_ppm("safe_certified", "safe"),
                "badCertified": of.total("unsafe_certified"),
                "bad": of.total("unsafe"),
                "attacksCertified": of.total("attacks_certified"),
                "attacks": of.total("attacks"),
                "failedGates": failed_gates(of),
            }
            for of in trials
        ],
    }


def print_trials(scenario: Scenario, trials: Sequence[Trial]) -> None:
    """A table of final ratios, and what each policy certified."""
    table = Table(title=f"weight share / stake share after {scenario.submissions:,} submissions", title_justify="left")
    table.add_column("group")
    for of in trials:
        table.add_column(printable(of.policy), justify="right")
    for group in trials[0].groups:
        cells = []
        for of in trials:
            mean, lowest, highest = (ppm / PPM for ppm in of.ratio_ppm(group))
            cells.append(f"{mean:.2f} [dim]{lowest:.2f} … {highest:.2f}[/]")
        table.add_row(group, *cells)
    stdout.print(table)
    for of in trials:
        attacks, certified = of.total("attacks"), of.total("attacks_certified")
        stdout.print(
            f"[bold]{printable(of.policy)}[/]  good work certified {of.rate_ppm('safe_certified', 'safe') / 10_000:.1f} %, "
            f"bad {of.total('unsafe_certified')} of {of.total('unsafe')}, attacks {certified} of {attacks} "
            f"(at most {100 * wilson_upper(certified, attacks):.2f} % with 95 % confidence)"
        )
        for failed in failed_gates(of):
            stdout.print(f"  [yellow]gate missed[/] {failed}")

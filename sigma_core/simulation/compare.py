"""Policies side by side on one population: several seeds each, as tables for the lake, and the gates of spec/protocol.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import polars as pl

from sigma_core.policy import PPM, Policy
from sigma_core.simulation.population import Scenario, SimulationInvalid
from sigma_core.simulation.run import Result, simulate

HONEST, IDLE_GROUPS = "honest", ("always safe", "random", "copycat")
HONEST_ABOVE_PPM, IDLE_BELOW_PPM = 1_200_000, 300_000
Z_95 = 1.959964

SHARE_COLUMNS = {
    "policy": pl.String,
    "policy_hash": pl.String,
    "scenario": pl.String,
    "seed": pl.Int64,
    "day": pl.Int64,
    "group_name": pl.String,
    "weight_ppm": pl.Int64,
    "stake_ppm": pl.Int64,
    "ratio_ppm": pl.Int64,
}

RUN_COLUMNS = {
    "policy": pl.String,
    "policy_hash": pl.String,
    "scenario": pl.String,
    "seed": pl.Int64,
    "submissions": pl.Int64,
    "canaries": pl.Int64,
    "attacks": pl.Int64,
    "attacks_certified": pl.Int64,
    "unsafe": pl.Int64,
    "unsafe_certified": pl.Int64,
    "safe": pl.Int64,
    "safe_certified": pl.Int64,
    "escalated": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """The results of one policy, called ``policy``, one for each seed."""

    policy: str
    results: tuple[Result, ...]

    def ratio_ppm(self, group: str) -> tuple[int, int, int]:
        """Mean, lowest and highest final weight share over stake share of ``group``."""
        ratios = [result.final[group] for result in self.results]
        return sum(ratios) // len(ratios), min(ratios), max(ratios)

    def net_micro_usd(self, group: str) -> int:
        """Mean net pay of ``group`` per 1,000 USD of stake."""
        return sum(result.net_micro_usd[group] for result in self.results) // len(self.results)

    def rate_ppm(self, of: str, among: str) -> int:
        """Sum of one count of `Result` over another, in ppm; 0 among none."""
        whole = self.total(among)
        return self.total(of) * PPM // whole if whole else 0

    def total(self, count: str) -> int:
        """Sum of one count of `Result` over the seeds."""
        return sum(int(getattr(result, count)) for result in self.results)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups in the order of the scenario."""
        return tuple(self.results[0].final)


def trial(name: str, scenario: Scenario, policy: Policy, seeds: Sequence[int]) -> Trial:
    """Run ``policy`` once for each of ``seeds``. Raises SimulationInvalid without seeds."""
    if not seeds:
        raise SimulationInvalid(f"scenario {scenario.name}: no seed was given")
    return Trial(name, tuple(simulate(scenario, policy, seed) for seed in seeds))


def failed_gates(of: Trial) -> list[str]:
    """The gates that the means of ``of`` miss, each as a sentence: must be empty."""
    failed = []
    honest, _, _ = of.ratio_ppm(HONEST)
    if honest <= HONEST_ABOVE_PPM:
        failed.append(f"{HONEST} holds {honest / PPM:.2f} of its stake share, not above {HONEST_ABOVE_PPM / PPM}")
    for group in IDLE_GROUPS:
        if group in of.groups and (ratio := of.ratio_ppm(group)[0]) >= IDLE_BELOW_PPM:
            failed.append(f"{group} holds {ratio / PPM:.2f} of its stake share, not below {IDLE_BELOW_PPM / PPM}")
    if certified := of.total("attacks_certified"):
        failed.append(f"{certified} of {of.total('attacks')} attacks were certified")
    return failed


def wilson_upper(hits: int, of: int) -> float:
    """Upper end of the 95 % Wilson interval of a rate; 1.0 of nothing. (E. B. Wilson, JASA 22, 1927.)"""
    if of == 0:
        return 1.0
    rate, square = hits / of, Z_95 * Z_95
    centre = rate + square / (2 * of)
    return (centre + Z_95 * sqrt(rate * (1 - rate) / of + square / (4 * of * of))) / (1 + square / of)


def share_table(trials: Iterable[Trial]) -> pl.DataFrame:
    """Every group on every day of every run (`SHARE_COLUMNS`)."""
    return pl.DataFrame(
        [
            (
                of.policy,
                result.policy_hash,
                result.scenario,
                result.seed,
                share.day,
                share.group,
                share.weight_ppm,
                share.stake_ppm,
                share.ratio_ppm,
            )
            for of in trials
            for result in of.results
            for share in result.shares
        ],
        schema=SHARE_COLUMNS,
        orient="row",
    )


def run_table(trials: Iterable[Trial]) -> pl.DataFrame:
    """Every run with its counts (`RUN_COLUMNS`)."""
    counts = list(RUN_COLUMNS)[4:]
    return pl.DataFrame(
        [
            (
                of.policy,
                result.policy_hash,
                result.scenario,
                result.seed,
                *(getattr(result, count) for count in counts),
            )
            for of in trials
            for result in of.results
        ],
        schema=RUN_COLUMNS,
        orient="row",
    )

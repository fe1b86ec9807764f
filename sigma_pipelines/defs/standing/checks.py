"""What must hold of standing."""

import dagster as dg

from sigma_core.errors import SigmaError
from sigma_core.lifecycle import accuracy_days, booking, standing, standing_state
from sigma_pipelines.defs.standing.assets import (
    accuracy_ledger,
    accuracy_ledger_days,
    governance_weights,
    round_payouts,
    validator_accuracy,
)
from sigma_pipelines.resources.deployment import SigmaDeployment


@dg.asset_check(
    asset=accuracy_ledger,
    blocking=True,
    description="Every line of both ledgers is of a known validator, round and policy, of a day that has come, and of a seat that its "
    "validator could be drawn for.",
)
def ledgers_are_sound(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    try:
        standing.check_ledgers(sigma.open())
    except SigmaError as error:
        return dg.AssetCheckResult(passed=False, metadata={"why": str(error)})
    return dg.AssetCheckResult(passed=True)


@dg.asset_check(
    asset=round_payouts,
    blocking=True,
    description="The lines of every round sum to zero: payouts and reserve are budget and forfeits.",
)
def funds_are_conserved(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    unbalanced = booking.payout_totals(sigma.open()).unbalanced_rounds
    return dg.AssetCheckResult(passed=not unbalanced, metadata={"unbalanced_rounds": unbalanced[:20]})


@dg.asset_check(
    asset=accuracy_ledger_days,
    blocking=True,
    description="Lines and points of every day and of every validator add up to the same in the files as in the ledger. If not, remove "
    "the lake's folder standing/accuracy_days: it is made from the ledger again.",
)
def days_match_the_ledger(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    differing = accuracy_days.differing_days(sigma.open())
    return dg.AssetCheckResult(passed=not differing, metadata={"differing": differing[:20]})


@dg.asset_check(
    asset=validator_accuracy,
    blocking=True,
    description="Accuracy and reputation by the day's update, and replayed whole by Polars, by DuckDB and (accuracy) by NumPy, are the "
    "same integers for every validator. Accuracy is replayed from the ledger's days, reputation from its lines.",
)
def engines_agree(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    differing = standing_state.engine_disagreements(sigma.open())
    return dg.AssetCheckResult(passed=not differing, metadata={"differing_validators": len(differing)})


@dg.asset_check(
    asset=governance_weights,
    blocking=True,
    description="The stored snapshot of the newest epoch has the Merkle root that was published.",
)
def merkle_root_holds(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    try:
        snapshot = standing.newest_snapshot(sigma.open())
    except SigmaError as error:
        return dg.AssetCheckResult(passed=False, metadata={"why": str(error)})
    return dg.AssetCheckResult(passed=True, metadata={"epoch": snapshot.epoch, "merkle_root": snapshot.merkle_root})


STANDING_CHECKS = [ledgers_are_sound, funds_are_conserved, days_match_the_ledger, engines_agree, merkle_root_holds]

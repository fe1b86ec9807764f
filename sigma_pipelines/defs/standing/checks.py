"""What must hold of standing."""

import dagster as dg

from sigma_core.errors import SigmaError
from sigma_core.lifecycle import standing
from sigma_pipelines.defs.standing.assets import governance_weights, validator_accuracy
from sigma_pipelines.resources.deployment import SigmaDeployment


@dg.asset_check(
    asset=validator_accuracy,
    blocking=True,
    description="Polars and DuckDB, replaying the whole ledger each in its own way, give the same integers for every validator.",
)
def engines_agree(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    differing = standing.engine_disagreements(sigma.open())
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


STANDING_CHECKS = [engines_agree, merkle_root_holds]

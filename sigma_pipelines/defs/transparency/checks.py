"""The monitor: what was published, recomputed and held against what is on record."""

import dagster as dg

from sigma_core.lifecycle.log_audit import audit_log, status_list_faults
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.defs.transparency.assets import status_lists, transparency_log
from sigma_pipelines.resources.deployment import SigmaDeployment


@dg.asset_check(
    asset=transparency_log,
    description="The whole log recomputed from its published entries: every tile, the root, every checkpoint that was ever "
    "signed; and certificates and their statuses are those that the log tells.",
)
def log_is_whole(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    audited = audit_log(sigma.open())
    return dg.AssetCheckResult(
        passed=not audited.faults,
        metadata={
            "entries": audited.size,
            "checkpoints": audited.checkpoints,
            "certificates": audited.certificates,
            **(
                {"why": table(("what does not hold",), [(fault,) for fault in audited.faults])}
                if audited.faults
                else {}
            ),
        },
    )


@dg.asset_check(
    asset=status_lists,
    description="Every published status list is signed, current, and shows exactly the certificates that are suspended or revoked.",
)
def status_lists_agree(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    faults = status_list_faults(sigma.open())
    return dg.AssetCheckResult(
        passed=not faults,
        metadata={
            "faults": len(faults),
            **({"why": table(("what does not hold",), [(f,) for f in faults])} if faults else {}),
        },
    )


TRANSPARENCY_CHECKS = [log_is_whole, status_lists_agree]

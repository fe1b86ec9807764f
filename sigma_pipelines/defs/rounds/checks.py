"""What must hold before the next asset of a round runs. A check recomputes; it never trusts the stage it checks.

They are blocking: a round whose facts do not account for every file, whose seats do not add up to their recorded
outcome, or whose certificate does not verify, goes no further and shows why.
"""

from collections.abc import Callable

import dagster as dg

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle import invariants
from sigma_core.lifecycle.failures import failed_in_run
from sigma_pipelines.defs.rounds.assets import certificate, round_outcome, sandbox_facts
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.partitions import SUBMISSIONS
from sigma_pipelines.resources.deployment import SigmaDeployment


def _check_each(
    context: dg.AssetCheckExecutionContext, deployment: Deployment, check: Callable[[Deployment, str], None]
) -> dg.AssetCheckResult:
    """Run ``check`` on every submission of the run that is still in it; it raises SigmaError where the rule is broken."""
    keys = context.op_execution_context.partition_keys
    failed = failed_in_run(deployment, context.run.run_id) if len(keys) > 1 else frozenset()
    broken: list[tuple[str, str]] = []
    for key in keys:
        if key not in failed:
            try:
                check(deployment, key)
            except SigmaError as error:
                broken.append((key, str(error)))
    return dg.AssetCheckResult(
        passed=not broken,
        metadata={
            "submissions": len(keys) - len(failed),
            "broken": len(broken),
            **({"why": table(("submission", "rule that does not hold"), broken)} if broken else {}),
        },
    )


@dg.asset_check(
    asset=sandbox_facts,
    blocking=True,
    partitions_def=SUBMISSIONS,
    description="The facts document is the one on record, and its coverage ledger accounts for every file of the package.",
)
def facts_complete(context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment) -> dg.AssetCheckResult:
    return _check_each(context, sigma.open(), invariants.facts_account_for_every_file)


@dg.asset_check(
    asset=round_outcome,
    blocking=True,
    partitions_def=SUBMISSIONS,
    description="No round was approved without a quorum of revealed votes in both phases, and replaying it agrees.",
)
def quorum(context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment) -> dg.AssetCheckResult:
    return _check_each(context, sigma.open(), invariants.outcome_has_its_quorum)


@dg.asset_check(
    asset=round_outcome,
    blocking=True,
    partitions_def=SUBMISSIONS,
    description="Nobody sat twice, no operator twice and no family above its cap, but under a relaxation that is on record.",
)
def diversity(context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment) -> dg.AssetCheckResult:
    return _check_each(context, sigma.open(), invariants.panels_are_diverse)


@dg.asset_check(
    asset=round_outcome,
    blocking=True,
    partitions_def=SUBMISSIONS,
    description="Every finding that a counted verdict rests on quotes what stands at its place in the submitted package.",
)
def grounding(context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment) -> dg.AssetCheckResult:
    return _check_each(context, sigma.open(), invariants.findings_are_grounded)


@dg.asset_check(
    asset=round_outcome,
    blocking=True,
    partitions_def=SUBMISSIONS,
    description="Planted canary files show in no vote and no fact; a package that is a canary was scored by its label and not approved.",
)
def canary(context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment) -> dg.AssetCheckResult:
    def stay_apart(deployment: Deployment, submission_id: str) -> None:
        invariants.canaries_stay_apart(deployment, submission_id)

    return _check_each(context, sigma.open(), stay_apart)


@dg.asset_check(
    asset=certificate,
    blocking=True,
    partitions_def=SUBMISSIONS,
    description="An approved round's bundle verifies offline against the package that was audited; no other round has one.",
)
def certificate_verifies(context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment) -> dg.AssetCheckResult:
    return _check_each(context, sigma.open(), invariants.certificate_verifies)


ROUND_CHECKS = [facts_complete, quorum, diversity, grounding, canary, certificate_verifies]

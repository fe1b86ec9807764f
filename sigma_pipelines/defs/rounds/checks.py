"""What must hold before the next asset of a round runs. A check recomputes; it never trusts the stage it checks.

They are blocking: a round whose facts do not account for every file, whose seats do not add up to their recorded
outcome, or whose certificate does not verify, goes no further and shows why.
"""

from collections.abc import Callable, Iterator

import dagster as dg

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle import invariants
from sigma_core.lifecycle.failures import failed_in_run
from sigma_core.lifecycle.panels import KeptRound
from sigma_pipelines.defs.rounds.assets import certificate, round_outcome, sandbox_facts
from sigma_pipelines.defs.rounds.metadata import Metadata, table
from sigma_pipelines.partitions import SUBMISSIONS
from sigma_pipelines.resources.deployment import SigmaDeployment

Broken = list[tuple[str, str]]
"""(submission, the rule that does not hold for it)."""


def _still_in(context: dg.AssetCheckExecutionContext, deployment: Deployment) -> list[str]:
    """The submissions of the run that no stage of it has left out."""
    keys = context.op_execution_context.partition_keys
    failed = failed_in_run(deployment, context.run.run_id) if len(keys) > 1 else frozenset()
    return [key for key in keys if key not in failed]


def _told(submissions: int, broken: Broken) -> Metadata:
    return {
        "submissions": submissions,
        "broken": len(broken),
        **({"why": table(("submission", "rule that does not hold"), broken)} if broken else {}),
    }


def _check_each(
    context: dg.AssetCheckExecutionContext, deployment: Deployment, check: Callable[[Deployment, str], None]
) -> dg.AssetCheckResult:
    """Run ``check`` on every submission that is still in the run; it raises SigmaError where the rule is broken."""
    keys = _still_in(context, deployment)
    broken: Broken = []
    for key in keys:
        try:
            check(deployment, key)
        except SigmaError as error:
            broken.append((key, str(error)))
    return dg.AssetCheckResult(passed=not broken, metadata=_told(len(keys), broken))


@dg.asset_check(
    asset=sandbox_facts,
    blocking=True,
    partitions_def=SUBMISSIONS,
    description="The facts document is the one on record, and its coverage ledger accounts for every file of the package.",
)
def facts_complete(context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment) -> dg.AssetCheckResult:
    return _check_each(context, sigma.open(), invariants.facts_account_for_every_file)


OUTCOME_RULES: dict[str, tuple[Callable[[Deployment, KeptRound], object], str]] = {
    "quorum": (
        invariants.outcome_has_its_quorum,
        "No round was approved without a quorum of revealed votes in both phases, and replaying it agrees.",
    ),
    "diversity": (
        invariants.panels_are_diverse,
        "Nobody sat twice, no operator twice and no family above its cap, but under a relaxation that is on record.",
    ),
    "grounding": (
        invariants.findings_are_grounded,
        "Every finding that a counted verdict rests on quotes what stands at its place in the submitted package.",
    ),
    "canary": (
        invariants.canaries_stay_apart,
        "Planted canary files show in no vote and no fact; a package that is a canary was scored by its label and not approved.",
    ),
}


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(name, asset=round_outcome, blocking=True, partitions_def=SUBMISSIONS, description=description)
        for name, (_, description) in OUTCOME_RULES.items()
    ],
    can_subset=True,
)
def round_outcome_checks(
    context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment
) -> Iterator[dg.AssetCheckResult]:
    """The checks of an outcome in one step: a round is read once for all of them."""
    deployment = sigma.open()
    keys = _still_in(context, deployment)
    broken: dict[str, Broken] = {key.name: [] for key in context.selected_asset_check_keys}
    for key in keys:
        try:
            kept = invariants.latest_round(deployment, key)
        except SigmaError as error:
            for lines in broken.values():
                lines.append((key, str(error)))
            continue
        for name, lines in broken.items():
            try:
                OUTCOME_RULES[name][0](deployment, kept)
            except SigmaError as error:
                lines.append((key, str(error)))
    for name in OUTCOME_RULES:
        if name in broken:
            yield dg.AssetCheckResult(
                passed=not broken[name],
                asset_key=round_outcome.key,
                check_name=name,
                metadata=_told(len(keys), broken[name]),
            )


@dg.asset_check(
    asset=certificate,
    blocking=True,
    partitions_def=SUBMISSIONS,
    description="An approved round's bundle verifies offline against the package that was audited; no other round has one.",
)
def certificate_verifies(context: dg.AssetCheckExecutionContext, sigma: SigmaDeployment) -> dg.AssetCheckResult:
    return _check_each(context, sigma.open(), invariants.certificate_verifies)


ROUND_CHECKS = [facts_complete, round_outcome_checks, certificate_verifies]

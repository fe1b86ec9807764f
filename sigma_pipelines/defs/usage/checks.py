"""What must hold of usage accounting: the rows against their budgets and against the providers' bills, and no cost that nobody knows."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from sigma_core.errors import SigmaError
from sigma_core.timestamps import utc_now
from sigma_core.usage.provider_totals import read_totals
from sigma_core.usage.reconciliation import Difference, budgets_that_disagree, reconcile, unknown_costs
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.resources.deployment import SigmaDeployment

CALL_ATTEMPTS = dg.AssetKey(["lake", "usage", "call_attempts"])
UNKNOWN_FOR = timedelta(days=7)


@dg.asset_check(
    asset=CALL_ATTEMPTS,
    description="The attempts of every round and UTC day add up to what its budget says is spent.",
)
def budgets_agree(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    return _held(budgets_that_disagree(sigma.open().usage_sessions))


@dg.asset_check(
    asset=CALL_ATTEMPTS,
    description="What providers billed, by the CSV files in $SIGMA_HOME/provider-totals, is what the attempts took. Without files nothing "
    "is compared.",
)
def provider_totals_agree(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    deployment = sigma.open()
    try:
        totals = read_totals(deployment.settings.provider_totals)
    except SigmaError as error:
        return dg.AssetCheckResult(passed=False, metadata={"why": str(error)})
    return _held(reconcile(deployment.usage_sessions, totals), totals=len(totals))


@dg.asset_check(
    asset=CALL_ATTEMPTS,
    description="Every answer of the last seven days has a known cost. One that has none keeps all that was held for it.",
)
def costs_are_known(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    unknown = unknown_costs(sigma.open().usage_sessions, f"{utc_now() - UNKNOWN_FOR:%Y-%m-%d}")
    return dg.AssetCheckResult(
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "answers": sum(each.answers for each in unknown),
            "models": table(
                ("provider", "model", "answers", "why"),
                ((each.provider, each.model, each.answers, each.why) for each in unknown),
            ),
        },
    )


def _held(found: Sequence[Difference], **metadata: int) -> dg.AssetCheckResult:
    unexplained = sum(not each.explained for each in found)
    return dg.AssetCheckResult(
        passed=not unexplained,
        metadata={
            **metadata,
            "unexplained": unexplained,
            "differences": table(
                ("what", "figure", "here", "there", "explanation"),
                ((each.subject, each.what, each.ours, each.theirs, each.explanation) for each in found),
            ),
        },
    )


USAGE_CHECKS = [budgets_agree, provider_totals_agree, costs_are_known]

"""The job that submits the canary packages that recent rounds call for, and when it runs."""

import dagster as dg

from sigma_core.lifecycle.canaries import submit_due_canaries
from sigma_pipelines.defs.rounds.jobs import QUIET
from sigma_pipelines.resources.deployment import SigmaDeployment


@dg.op(
    description="Submit what recent rounds call for by their beacon, the deployment's secret and the policy's rate. Again adds nothing."
)
def submit_canaries(context: dg.OpExecutionContext, sigma: SigmaDeployment) -> None:
    """From here on they are submissions like any other: the intake sensor takes them up."""
    # How many, and never which: whoever reads runs while their rounds are open would know them.
    context.add_output_metadata({"submitted": len(submit_due_canaries(sigma.open()))})


@dg.job(config=QUIET, description="Let packages of the bank enter rounds unannounced, at the policy's rate.")
def canary_intake() -> None:
    """One op."""
    submit_canaries()


@dg.schedule(
    job=canary_intake,
    cron_schedule="*/10 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every ten minutes, so that a canary does not come right behind the round that called for it.",
)
def canary_schedule(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest()

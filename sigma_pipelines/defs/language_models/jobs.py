"""The job that measures the model ladder on a bank of labelled packages and gives validators the weight of what was measured, and when it
runs."""

from pathlib import Path

import dagster as dg

from sigma_core.audit.families import FAMILY_PARAMETERS
from sigma_core.lifecycle.error_correlation import calibration_with, newest_correlation
from sigma_core.lifecycle.model_ladder import Measurements, canary_bank, measure_models, read_bank, sync_ladder
from sigma_core.policy import PPM
from sigma_pipelines.defs.rounds.jobs import QUIET
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.resources.deployment import SigmaDeployment

SCHEDULED_VARIANTS = 1
"""24 packages in both views for each model: enough to reach the highest bar without a miss, and within a round's budget at list prices."""


class Bank(dg.Config):
    """The labelled packages: a folder with the folders ``malicious`` and ``benign``, and so many variants of each package of the
    canary bank. Neither: nothing is measured, and validators get the weight of what was measured before."""

    folder: str = ""
    canary_variants: int = 0


@dg.op(description="Ask every model that can be asked here about every package, keep the figures, and adjust weights.")
def measure_and_sync(context: dg.OpExecutionContext, config: Bank, sigma: SigmaDeployment) -> None:
    """Measure, then sync."""
    deployment = sigma.open()
    bank = canary_bank(deployment.policy, config.canary_variants)
    bank += read_bank(Path(config.folder), deployment.policy) if config.folder else []
    measured = measure_models(deployment, bank) if bank else Measurements((), {})
    changed = sync_ladder(deployment)
    policy = deployment.policy
    known = calibration_with(
        [*policy.language_models.families, *FAMILY_PARAMETERS],
        policy.language_models,
        policy.independence,
        newest_correlation(deployment),
    )
    context.add_output_metadata(
        {
            "error_correlation": table(
                ("family", "family", "correlation"),
                ((*pair, round(ppm / PPM, 3)) for pair, ppm in sorted(known.correlation_ppm.items())),
            ),
            "validators_changed": sum(changed.values()),
            "models": table(
                ("family", "model", "ladder tier", "measured tier", "caught", "passed", "abstained"),
                (
                    (
                        row.family,
                        row.model,
                        row.ladder_tier,
                        row.measured_tier,
                        f"{row.caught} of {row.malicious}",
                        f"{row.passed} of {row.benign}",
                        row.abstained,
                    )
                    for row in measured.rows
                ),
            ),
            "not_measured": table(("model", "why"), measured.unanswered.items()),
        }
    )
    if measured.unanswered:
        model, why = next(iter(measured.unanswered.items()))
        raise dg.Failure(
            f"{len(measured.unanswered)} models could not be asked about every package and were not measured; {model}: {why}. Another run "
            "asks for what is missing. What was measured counts."
        )


@dg.job(
    config=QUIET,
    description="Measure the language models of the policy's ladder on labelled packages; a name promises nothing.",
)
def model_ladder() -> None:
    """One op: calls are paid and kept, so a run that failed goes on where it was."""
    measure_and_sync()


@dg.schedule(
    job=model_ladder,
    cron_schedule="40 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Rests models whose key is gone and wakes those whose key is back; once a month, and where a model answers as another "
    "revision, measures anew on the canary bank. Without a key it asks nothing.",
)
def daily_ladder(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(
        run_config={**QUIET, "ops": {"measure_and_sync": {"config": {"canary_variants": SCHEDULED_VARIANTS}}}}
    )

"""The job that measures the model ladder on a bank of labelled packages and gives validators the weight of what was measured."""

from pathlib import Path

import dagster as dg

from sigma_core.audit.families import FAMILY_PARAMETERS
from sigma_core.lifecycle.error_correlation import calibration_with, newest_correlation
from sigma_core.lifecycle.model_ladder import canary_bank, measure_models, read_bank, sync_ladder
from sigma_core.policy import PPM
from sigma_pipelines.defs.rounds.jobs import QUIET
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.resources.deployment import SigmaDeployment


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
    rows = measure_models(deployment, bank) if bank else []
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
                    for row in rows
                ),
            ),
        }
    )


@dg.job(
    config=QUIET,
    description="Measure the language models of the policy's ladder on labelled packages; a name promises nothing.",
)
def model_ladder() -> None:
    """One op: calls are paid and kept, so a run that failed goes on where it was."""
    measure_and_sync()

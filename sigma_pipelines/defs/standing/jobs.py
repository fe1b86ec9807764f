"""When standing, lake and marts are brought up to date: after rounds, and once a day, since decay goes by the day."""

import dagster as dg

from sigma_core.lifecycle.truths import KnownMiss, KnownTruth, unbooked_misses, unscored_truths
from sigma_pipelines.defs.rounds.assets import ROUND_ASSETS
from sigma_pipelines.defs.rounds.jobs import QUIET
from sigma_pipelines.defs.simulation.assets import SIMULATED
from sigma_pipelines.defs.transparency.assets import TRANSPARENCY_ASSETS
from sigma_pipelines.resources.deployment import SigmaDeployment

standing = dg.define_asset_job(
    "standing",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(*ROUND_ASSETS, *TRANSPARENCY_ASSETS) - SIMULATED,
    description="Ledgers, accuracy, reputation, weights, lake tables and SQL models, with their checks.",
    config=QUIET,
)


@dg.sensor(
    job=standing,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Brings standing up to date when rounds have been decided or resolved since the last time.",
)
def standing_sensor(sigma: SigmaDeployment) -> dg.RunRequest | dg.SkipReason:
    deployment = sigma.open()
    waiting: list[KnownMiss | KnownTruth] = [*unbooked_misses(deployment), *unscored_truths(deployment)]
    if not waiting:
        return dg.SkipReason("Every known truth is booked.")
    # The newest truth in the run key: one run for all that wait, and no second one while it is under way.
    return dg.RunRequest(run_key=f"{len(waiting)}-{waiting[-1].round_id}-{waiting[-1].number}")


@dg.schedule(
    job=standing,
    cron_schedule="5 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Points decay by the UTC day, so weights move even on a day without rounds.",
)
def daily_standing(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest()

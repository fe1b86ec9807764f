"""When the log is monitored and the status lists are renewed: hourly, so that a list never gets near its end."""

import dagster as dg

from sigma_pipelines.defs.rounds.jobs import QUIET
from sigma_pipelines.defs.transparency.assets import TRANSPARENCY_ASSETS

transparency = dg.define_asset_job(
    "transparency",
    selection=dg.AssetSelection.assets(*TRANSPARENCY_ASSETS),
    description="Publish what is due of the log and the status lists, re-verify all of it, and ask the sites that are due.",
    config=QUIET,
)


@dg.schedule(
    job=transparency,
    cron_schedule="35 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Status lists are good for a day; a log that was tampered with is noticed within the hour.",
)
def hourly_transparency(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest()

"""The code location: everything that Dagster loads, wired in one place."""

from __future__ import annotations

import dagster as dg

from sigma_pipelines.defs.canaries.assets import canary_sensitivity, families_cite_planted_files
from sigma_pipelines.defs.canaries.jobs import canary_intake, canary_schedule
from sigma_pipelines.defs.language_models.jobs import daily_ladder, model_ladder
from sigma_pipelines.defs.models.assets import LAKE_ASSETS, MODEL_ASSETS, MODEL_CHECKS
from sigma_pipelines.defs.rounds import definitions as rounds
from sigma_pipelines.defs.rounds.resumption import round_request_sensor, stalled_round_sensor
from sigma_pipelines.defs.rounds.sensors import beacon_sensor, failed_submission_sensor, intake_sensor
from sigma_pipelines.defs.simulation.assets import policy_simulation, simulation
from sigma_pipelines.defs.standing.assets import STANDING_ASSETS
from sigma_pipelines.defs.standing.checks import STANDING_CHECKS
from sigma_pipelines.defs.standing.jobs import daily_standing, standing, standing_sensor
from sigma_pipelines.defs.transparency.assets import TRANSPARENCY_ASSETS
from sigma_pipelines.defs.transparency.checks import TRANSPARENCY_CHECKS
from sigma_pipelines.defs.transparency.jobs import hourly_transparency, transparency
from sigma_pipelines.defs.usage.checks import USAGE_CHECKS

defs = dg.Definitions.merge(
    # Not by a name of its own: Dagster takes one Definitions in a module that it loads.
    rounds.round_defs,
    dg.Definitions(
        assets=[
            *TRANSPARENCY_ASSETS,
            *STANDING_ASSETS,
            *LAKE_ASSETS,
            *MODEL_ASSETS,
            canary_sensitivity,
            policy_simulation,
        ],
        asset_checks=[
            *TRANSPARENCY_CHECKS,
            *STANDING_CHECKS,
            *MODEL_CHECKS,
            *USAGE_CHECKS,
            families_cite_planted_files,
        ],
        jobs=[transparency, standing, simulation, model_ladder, canary_intake],
        sensors=[
            intake_sensor,
            failed_submission_sensor,
            beacon_sensor,
            round_request_sensor,
            stalled_round_sensor,
            standing_sensor,
        ],
        schedules=[hourly_transparency, daily_standing, daily_ladder, canary_schedule],
    ),
)

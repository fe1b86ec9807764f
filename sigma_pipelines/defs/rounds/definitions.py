"""What an audit round needs of the code location, by itself: loading the rest takes longer than a small round."""

import dagster as dg

from sigma_pipelines.defs.rounds.assets import ROUND_ASSETS
from sigma_pipelines.defs.rounds.checks import ROUND_CHECKS
from sigma_pipelines.defs.rounds.jobs import audit_round
from sigma_pipelines.progress import progress_logger
from sigma_pipelines.resources.deployment import SigmaDeployment

round_defs = dg.Definitions(
    assets=ROUND_ASSETS,
    asset_checks=ROUND_CHECKS,
    jobs=[audit_round],
    resources={"sigma": SigmaDeployment()},
    loggers={"console": dg.colored_console_logger, "progress": progress_logger},
    # One warm process per run: a process per step costs seconds a step and isolates nothing that we run.
    executor=dg.in_process_executor,
)

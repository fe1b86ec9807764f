"""The job that runs a whole audit round, for one submission or a contiguous batch of them."""

import dagster as dg

from sigma_pipelines.defs.rounds.assets import ROUND_ASSETS
from sigma_pipelines.materialisation import DEFER_EVENTS

MAX_RUN_SECONDS = 3_600

QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
"""Run config of jobs: the daemon's log gets what needs attention; every event is in the event log anyway."""

audit_round = dg.define_asset_job(
    "audit_round",
    selection=dg.AssetSelection.assets(*ROUND_ASSETS),
    description="From package to certificate. Run it on one partition, or again on the same one for the next round.",
    config=QUIET,
    # A host that dies leaves its runs STARTED for ever; this is what ends them.
    tags={"dagster/max_runtime": str(MAX_RUN_SECONDS)},
)


def batch_tags(first_key: str, last_key: str) -> dict[str, str]:
    """Run tags of a batch over the contiguous keys from ``first_key`` to ``last_key`` (both included)."""
    return {
        "dagster/asset_partition_range_start": first_key,
        "dagster/asset_partition_range_end": last_key,
        **DEFER_EVENTS,
    }

"""How a per-submission asset does its work and leaves its record, for one partition or for a batch.

One partition: an ordinary Dagster materialisation, and a failure fails the run. A batch: one run over a contiguous range of keys;
a submission that fails is noted, left out of the rest of the batch, and gets an ordinary run of its own from the failure
sensor, so that its partition shows as failed while the others go on.

In a batch Dagster would write a planned and a materialised event for each key, one transaction each, and re-read the whole key list at
each call of ``add_asset_metadata``. The run tag `DEFER_EVENTS` (internal to Dagster, hence the exact pin and the test
that covers it) makes it leave asset events to the asset, which then stores one per key itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.drand_relays import BeaconUnreachable
from sigma_core.lifecycle.failures import BEACON_STAGE, failed_in_run, note_failure
from sigma_core.lifecycle.panels import Run
from sigma_core.timestamps import iso_utc, utc_now
from sigma_pipelines.event_log import store_materialisations

DEFER_EVENTS = {"dagster/defer_asset_events": "true"}
RESUMES_TAG = "sigma/resumes"
REQUEST_TAG = "sigma/round_request"
SOURCE_TAG = "sigma/source"
COMMAND_LINE = "cli"
MAX_WAITS = 3
"""For one beacon: one is enough unless the clock is set back."""

Metadata = Mapping[str, Any]


def run_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Run:
    """The run for the rounds it opens. It resumes what its root run (a re-execution) or the run in its tag (an interrupted
    CLI audit, a submission that failed in a batch) left undecided; a requested round is its request's, whichever run it is."""
    run = context.run
    request = run.tags.get(REQUEST_TAG)
    return Run(
        key=run.run_id,
        resumes=run.tags.get(RESUMES_TAG) or run.root_run_id or run.run_id,
        request=int(request) if request else None,
    )


def each_submission(context: dg.AssetExecutionContext, deployment: Deployment, work: Callable[[str], Metadata]) -> None:
    """Do ``work`` for every partition of this run and record what it returns as the materialisation's metadata."""
    keys = context.partition_keys  # read once: Dagster asks its store each time
    if len(keys) == 1 and not _deferred(context):
        _one(context, deployment, work, keys[0])
    else:
        _batch(context, deployment, work, keys)


def wait_for_beacon(context: dg.AssetExecutionContext, bind: Callable[[], datetime | None]) -> None:
    """``bind`` the rounds of this run, and have the step run again when the last of their beacon rounds is due, if that is to come."""
    try:
        due_at = bind()
    except SigmaError as error:
        raise _failure(error) from error
    wait = (due_at - utc_now()).total_seconds() if due_at is not None else 0
    if due_at is not None and wait > 0:
        context.log.info(f"the last beacon round of these submissions is due at {iso_utc(due_at)}: waiting")
        raise dg.RetryRequested(max_retries=MAX_WAITS, seconds_to_wait=wait)


def _failure(error: SigmaError) -> dg.Failure:
    # The message names the thing, the place and the rule: that is what an operator needs, not a stack trace.
    return dg.Failure(description=str(error), metadata={"code": error.code}, allow_retries=False)


def _deferred(context: dg.AssetExecutionContext) -> bool:
    return all(context.run.tags.get(name) == value for name, value in DEFER_EVENTS.items())


def _one(context: dg.AssetExecutionContext, deployment: Deployment, work: Callable[[str], Metadata], key: str) -> None:
    try:
        context.add_asset_metadata(work(key), partition_key=key)
    except BeaconUnreachable as error:
        # Who runs it by hand sees this and runs it again; otherwise the beacon sensor does.
        if context.run.tags.get(SOURCE_TAG) != COMMAND_LINE:
            _note_waiting(context, deployment, key, error)
        raise _failure(error) from error
    except SigmaError as error:
        raise _failure(error) from error


def _note_waiting(
    context: dg.AssetExecutionContext, deployment: Deployment, key: str, error: BeaconUnreachable
) -> None:
    note_failure(deployment, submission_id=key, stage=BEACON_STAGE, run_key=context.run.run_id, error=error.message)


def _batch(
    context: dg.AssetExecutionContext, deployment: Deployment, work: Callable[[str], Metadata], in_run: Sequence[str]
) -> None:
    stage = context.asset_key.path[-1]
    key_of_run = context.run.run_id
    failed = failed_in_run(deployment, key_of_run)
    done: list[tuple[str, Metadata]] = []
    keys = [key for key in in_run if key not in failed]
    unreachable: BeaconUnreachable | None = None
    for position, key in enumerate(keys, start=1):
        if unreachable is not None:
            # Relays that gave the last one nothing are not asked again for each of the others.
            _note_waiting(context, deployment, key, unreachable)
            continue
        try:
            done.append((key, work(key)))
        except BeaconUnreachable as error:
            unreachable = error
            _note_waiting(context, deployment, key, error)
            context.log.warning(f"{key} and all after it wait for the beacon: {error}")
        except Exception as error:  # one submission must not stop the others; its own run will show the error
            note_failure(deployment, submission_id=key, stage=stage, run_key=key_of_run, error=f"{error}")
            context.log.warning(f"{key}: {stage} failed and is left to a run of its own: {error}")
        if position % 100 == 0:
            context.log.info(f"{stage}: {position} of {len(keys)} submissions")
    if _deferred(context):
        store_materialisations(
            context,
            [dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata) for key, metadata in done],
        )
    else:
        for key, metadata in done:
            context.add_asset_metadata(metadata, partition_key=key)
    context.log.info(f"{stage}: {len(done)} of {len(in_run)} submissions done")

"""Sensors that start or go on with rounds after the first: those that were asked for, and those that do not go on by themselves.

They keep no cursor. What is due stands in the database, a run's key names the occasion, and what a run does is
idempotent: a tick that is killed anywhere, or evaluated twice, asks for nothing twice.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import dagster as dg

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.round_requests import RoundRequest, take_up_flags, unopened_requests
from sigma_core.lifecycle.stalled_rounds import HaltedRound, Step, escalate_stalled, halted_rounds
from sigma_core.storage.clock import shared_now
from sigma_core.timestamps import iso_utc
from sigma_pipelines.defs.rounds.assets import certificate, round_outcome
from sigma_pipelines.defs.rounds.jobs import audit_round
from sigma_pipelines.materialisation import REQUEST_TAG, RESUMES_TAG
from sigma_pipelines.partitions import SUBMISSIONS
from sigma_pipelines.resources.deployment import SigmaDeployment

MAX_REQUESTS_PER_TICK = 100
MAX_UNFINISHED_ROUNDS = 1_000
OVERDUE_TAG = "sigma/overdue"
"""On a run that takes up what is overdue: what that is. Its runs are counted."""
WHY_TAG = "sigma/why"
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    job=audit_round,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the rounds that were asked for: re-audits by an operator or by enough flags, and appeals.",
)
def round_request_sensor(
    context: dg.SensorEvaluationContext, sigma: SigmaDeployment
) -> dg.SensorResult | dg.SkipReason:
    deployment = sigma.open()
    for request in take_up_flags(deployment):
        context.log.info(f"flags ask for a re-audit of {request.submission_id}: request {request.id}")
    waiting = [request for request, _ in unopened_requests(deployment, MAX_REQUESTS_PER_TICK)]
    if not waiting:
        return dg.SkipReason("Nobody asks for a round.")
    return dg.SensorResult(
        dynamic_partitions_requests=[SUBMISSIONS.build_add_request([request.submission_id for request in waiting])],
        run_requests=[_run_of(request, f"request-{request.id}", {}) for request in waiting],
    )


def _run_of(request: RoundRequest, key: str, tags: Mapping[str, str]) -> dg.RunRequest:
    return dg.RunRequest(run_key=key, partition_key=request.submission_id, tags={REQUEST_TAG: str(request.id), **tags})


@dg.sensor(
    job=audit_round,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes up rounds that wait for an engine or passed a deadline; escalates those that never go on.",
)
def stalled_round_sensor(
    context: dg.SensorEvaluationContext, sigma: SigmaDeployment
) -> dg.SensorResult | dg.SkipReason:
    deployment = sigma.open()
    with deployment.read_sessions() as session:
        now = shared_now(session)
    runs = [
        *_overdue_requests(context, deployment, now),
        *(
            run
            for halted in halted_rounds(deployment, now, MAX_UNFINISHED_ROUNDS)
            for run in _runs_for(context, deployment, halted, now)
        ),
    ]
    if not runs:
        return dg.SkipReason("Every round goes on, or has a run under way.")
    keys = sorted({str(run.partition_key) for run in runs})
    return dg.SensorResult(dynamic_partitions_requests=[SUBMISSIONS.build_add_request(keys)], run_requests=runs)


def _runs_for(
    context: dg.SensorEvaluationContext, deployment: Deployment, halted: HaltedRound, now: datetime
) -> Iterator[dg.RunRequest]:
    if _under_way(context.instance, halted.run_key):
        return
    resumed = _times_taken_up(context.instance, halted.overdue)
    step = halted.step(now, resumed)
    tags = {RESUMES_TAG: halted.run_key, WHY_TAG: halted.why}
    if halted.request is not None:
        tags[REQUEST_TAG] = str(halted.request)
    if step is Step.RESUME:
        context.log.info(f"{halted.why}: taken up again (overdue {resumed} times before)")
        overdue = {} if halted.waits else {OVERDUE_TAG: halted.overdue}
        yield dg.RunRequest(
            run_key=halted.occasion(resumed), partition_key=halted.submission_id, tags={**tags, **overdue}
        )
    elif step is Step.GIVE_UP:
        try:
            decided = escalate_stalled(deployment, halted)
        except SigmaError as error:
            context.log.error(f"{halted.why}, and cannot be decided either: {error}")
            return
        context.log.warning(f"{halted.why}: given up after {resumed} resumptions, {decided.outcome}")
        # The outcome is on record; the run shows it in the submission's partition.
        yield dg.RunRequest(
            run_key=f"given-up/{halted.round_id}",
            partition_key=halted.submission_id,
            tags=tags,
            asset_selection=[round_outcome.key, certificate.key],
        )


def _overdue_requests(
    context: dg.SensorEvaluationContext, deployment: Deployment, now: datetime
) -> Iterator[dg.RunRequest]:
    """Requests whose run ended before it opened their round."""
    rules = deployment.policy.assembly
    for request, asked_at in unopened_requests(deployment, MAX_REQUESTS_PER_TICK):
        name = f"request-{request.id}"
        resumed = _times_taken_up(context.instance, name)
        due = asked_at + timedelta(seconds=rules.phase_deadline_seconds) * (resumed + 1)
        if now <= due or _any_under_way(context.instance, {REQUEST_TAG: str(request.id)}):
            continue
        why = f"request {request.id} for a round of {request.submission_id} was to be opened by {iso_utc(due)}"
        if resumed >= rules.stalled_resumptions:
            context.log.error(f"{why}, and was not in {resumed} resumptions: an operator must look into it")
            continue
        context.log.info(f"{why}: taken up again")
        yield _run_of(request, f"overdue/{name}/{resumed}", {OVERDUE_TAG: name, WHY_TAG: why})


def _times_taken_up(instance: dg.DagsterInstance, what: str) -> int:
    return instance.get_runs_count(dg.RunsFilter(tags={OVERDUE_TAG: what}))


def _under_way(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Whether the run that opened a round, or one that resumes it, has not ended."""
    opener = instance.get_run_by_id(run_key)
    return (opener is not None and opener.status in UNDER_WAY) or _any_under_way(instance, {RESUMES_TAG: run_key})


def _any_under_way(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> bool:
    return instance.get_runs_count(dg.RunsFilter(tags=dict(tags), statuses=UNDER_WAY)) > 0

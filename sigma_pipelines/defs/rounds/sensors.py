"""From the outbox to runs: new submissions in contiguous batches, failed ones each on its own."""

from datetime import timedelta

import dagster as dg
from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.beacon import check_relays
from sigma_core.lifecycle.failures import BEACON_STAGE, failures_after
from sigma_core.lifecycle.intake import RECEIVED_TOPIC
from sigma_core.storage.protocol import OutboxRow
from sigma_core.timestamps import utc_now
from sigma_pipelines.defs.rounds.jobs import audit_round, batch_tags
from sigma_pipelines.materialisation import RESUMES_TAG
from sigma_pipelines.partitions import SUBMISSIONS
from sigma_pipelines.resources.deployment import SigmaDeployment

MAX_SUBMISSIONS_PER_TICK = 5_000
MAX_RETRIES_PER_TICK = 50
BEACON_PAUSE = timedelta(minutes=1)


def _waiting(deployment: Deployment, last_id: int) -> list[tuple[int, str]]:
    with deployment.read_sessions() as session:
        rows = session.execute(
            select(OutboxRow.id, OutboxRow.subject)
            .where(OutboxRow.topic == RECEIVED_TOPIC, OutboxRow.id > last_id, OutboxRow.handled_at.is_(None))
            .order_by(OutboxRow.id)
            .limit(MAX_SUBMISSIONS_PER_TICK)
        )
        return [(row.id, row.subject) for row in rows]


@dg.sensor(
    job=audit_round,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes each new submission a partition and starts its round, in batches of contiguous keys.",
)
def intake_sensor(context: dg.SensorEvaluationContext, sigma: SigmaDeployment) -> dg.SensorResult | dg.SkipReason:
    deployment = sigma.open()
    waiting = _waiting(deployment, int(context.cursor or 0))
    if not waiting:
        return dg.SkipReason("No new submission.")
    keys = [submission_id for _, submission_id in waiting]
    size = deployment.settings.batch_size
    batches = [keys[start : start + size] for start in range(0, len(keys), size)]
    return dg.SensorResult(
        dynamic_partitions_requests=[SUBMISSIONS.build_add_request(keys)],
        run_requests=[_request(batch) for batch in batches],
        # The run keys make a tick that died before its cursor was kept harmless.
        cursor=str(waiting[-1][0]),
    )


def _request(batch: list[str]) -> dg.RunRequest:
    if len(batch) == 1:
        return dg.RunRequest(run_key=batch[0], partition_key=batch[0])
    return dg.RunRequest(run_key=f"{batch[0]}..{batch[-1]}", tags=batch_tags(batch[0], batch[-1]))


@dg.sensor(
    job=audit_round,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Gives each submission that failed inside a batch an ordinary run of its own, which resumes its round.",
)
def failed_submission_sensor(
    context: dg.SensorEvaluationContext, sigma: SigmaDeployment
) -> dg.SensorResult | dg.SkipReason:
    failures = failures_after(sigma.open(), int(context.cursor or 0), MAX_RETRIES_PER_TICK)
    if not failures:
        return dg.SkipReason("No submission failed inside a batch.")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"alone-{failure_id}",
                partition_key=submission_id,
                tags={RESUMES_TAG: key_of_run},
            )
            for failure_id, submission_id, key_of_run in failures
        ],
        cursor=str(failures[-1][0]),
    )


@dg.sensor(
    job=audit_round,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Goes on with rounds whose beacon no drand relay gave, as soon as one answers again.",
)
def beacon_sensor(context: dg.SensorEvaluationContext, sigma: SigmaDeployment) -> dg.SensorResult | dg.SkipReason:
    deployment = sigma.open()
    waiting = failures_after(
        deployment,
        int(context.cursor or 0),
        MAX_RETRIES_PER_TICK,
        stage=BEACON_STAGE,
        before=utc_now() - BEACON_PAUSE,
    )
    if not waiting:
        return dg.SkipReason("No round has waited a minute for its beacon.")
    try:
        check_relays(deployment)
    except SigmaError as error:
        return dg.SkipReason(f"{len(waiting)} rounds wait for their beacon: {error}")
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"beacon-{failure_id}", partition_key=submission_id, tags={RESUMES_TAG: key_of_run})
            for failure_id, submission_id, key_of_run in waiting
        ],
        cursor=str(waiting[-1][0]),
    )

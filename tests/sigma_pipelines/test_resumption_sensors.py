"""Rounds that were asked for and rounds that stopped: from the database to runs, each occasion once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from audit_world import World, metadata_of
from test_batches_and_sensors import tick

from sigma_core.lifecycle import panels
from sigma_core.lifecycle.round_requests import RE_AUDIT_TOPIC, request_appeal, request_re_audit
from sigma_core.storage.protocol import CertificateRow, OutboxRow, PhaseRow, RoundRow, SeatRow
from sigma_core.timestamps import utc_now
from sigma_pipelines.defs.rounds.resumption import OVERDUE_TAG, WHY_TAG
from sigma_pipelines.materialisation import REQUEST_TAG, RESUMES_TAG

ADA = {"actor": "operator:ada", "reason": "asked by the developer"}


def asked(answer: object) -> list[dg.RunRequest]:
    assert isinstance(answer, dg.SensorResult)
    return list(answer.run_requests or [])


def age(world: World, round_id: str, by: timedelta) -> None:
    """Have everything of the round happened so much earlier."""
    with world.deployment.sessions.begin() as session:
        row = session.get_one(RoundRow, round_id)
        row.opened_at -= by
        for phase in session.query(PhaseRow).filter_by(round_id=round_id):
            phase.opened_at, phase.deadline_at = phase.opened_at - by, phase.deadline_at - by
            phase.closed_at = phase.closed_at and phase.closed_at - by


def stopped(world: World, patch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A submission whose run died between the panels, an hour ago; (submission, round)."""
    submission_id = world.submit()

    def dies(*_: Any, **__: Any) -> None:
        raise RuntimeError("the power went off")

    run_phase = panels.run_phase
    with patch.context() as at_night:
        at_night.setattr(
            panels, "run_phase", lambda *what, **rest: dies() if rest["phase"] == 2 else run_phase(*what, **rest)
        )
        assert not world.audit(submission_id).success
    [row] = world.rows(RoundRow, submission_id=submission_id)
    age(world, row["id"], timedelta(hours=1))
    return submission_id, row["id"]


# Asked for


def test_enough_flags_start_one_re_audit(world: World) -> None:
    submission_id = world.submit()
    world.audit(submission_id)
    [certificate] = world.rows(CertificateRow, submission_id=submission_id)
    with world.deployment.sessions.begin() as session:
        session.add(
            OutboxRow(topic=RE_AUDIT_TOPIC, subject=certificate["id"], detail={"reporters": 5}, created_at=utc_now())
        )
    [first] = asked(tick(world, "round_request_sensor"))
    [again] = asked(tick(world, "round_request_sensor"))  # a tick that was killed after it wrote the request
    assert (first.run_key, first.partition_key, first.tags) == (again.run_key, submission_id, again.tags)
    assert world.audit(submission_id, **first.tags).success
    # A second run for it, whatever has asked for that, finds the round and leaves it.
    assert world.audit(submission_id, **first.tags).success
    rounds = world.rows(RoundRow, submission_id=submission_id)
    assert [(row["round_type"], row["trigger_source"]) for row in rounds] == [
        ("INITIAL_AUDIT", "SUBMISSION"),
        ("RE_AUDIT", "FLAG"),
    ]
    assert isinstance(tick(world, "round_request_sensor"), dg.SkipReason)


def test_an_appeal_is_held_with_its_larger_panels_and_shown_with_them(world: World) -> None:
    submission_id = world.submit(example="malicious/workspace-cleaner")
    world.audit(submission_id)
    [first] = world.rows(RoundRow, submission_id=submission_id)
    request = request_appeal(world.deployment, first["id"], **ADA)
    [run] = asked(tick(world, "round_request_sensor"))
    assert run.tags[REQUEST_TAG] == str(request.id)
    result = world.audit(submission_id, **run.tags)
    assert result.success
    told = metadata_of(world.materialisation("phase_one_verdicts", submission_id))
    assert told["safe"] + told["unsafe"] == 11
    assert metadata_of(world.materialisation("round_outcome", submission_id))["outcome"] != "APPROVED"


def test_a_request_whose_run_never_opened_its_round_is_taken_up_again_later(world: World) -> None:
    submission_id = world.submit()
    world.audit(submission_id)
    request = request_re_audit(world.deployment, submission_id, **ADA)
    assert isinstance(tick(world, "stalled_round_sensor"), dg.SkipReason)
    with world.deployment.sessions.begin() as session:
        from sigma_core.storage.protocol import RoundRequestRow

        session.get_one(RoundRequestRow, request.id).requested_at -= timedelta(hours=1)
    [run] = asked(tick(world, "stalled_round_sensor"))
    assert (run.partition_key, run.tags[REQUEST_TAG]) == (submission_id, str(request.id))
    assert world.audit(submission_id, **run.tags).success
    assert isinstance(tick(world, "stalled_round_sensor"), dg.SkipReason)


# Stopped


def test_a_round_that_stopped_is_taken_up_again_and_the_run_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission_id, round_id = stopped(world, monkeypatch)
    [run] = asked(tick(world, "stalled_round_sensor"))
    [again] = asked(tick(world, "stalled_round_sensor"))
    assert (run.run_key, run.partition_key) == (again.run_key, submission_id)
    assert run.tags[WHY_TAG].startswith(f"{round_id} is PHASE_1 and was to go on by")
    first_panel = world.rows(SeatRow, round_id=round_id, phase=1)
    assert world.audit(submission_id, **run.tags).success
    [row] = world.rows(RoundRow, submission_id=submission_id)
    assert (row["id"], row["outcome"]) == (round_id, "APPROVED")
    assert world.rows(SeatRow, round_id=round_id, phase=1) == first_panel
    assert isinstance(tick(world, "stalled_round_sensor"), dg.SkipReason)


def test_a_round_whose_run_is_under_way_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    submission_id, _ = stopped(world, monkeypatch)
    [run] = asked(tick(world, "stalled_round_sensor"))
    from sigma_pipelines.definitions import defs

    under_way = world.instance.create_run_for_job(
        defs.resolve_job_def("audit_round"),
        status=dg.DagsterRunStatus.STARTED,
        tags={RESUMES_TAG: run.tags[RESUMES_TAG]},
    )
    assert isinstance(tick(world, "stalled_round_sensor"), dg.SkipReason)
    world.instance.delete_run(under_way.run_id)
    assert world.audit(submission_id, **run.tags).success


def test_a_round_that_never_goes_on_is_escalated_once_and_its_partition_shows_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission_id, round_id = stopped(world, monkeypatch)
    age(world, round_id, timedelta(hours=9))
    from sigma_pipelines.definitions import defs

    [run] = asked(tick(world, "stalled_round_sensor"))
    for _ in range(world.deployment.policy.assembly.stalled_resumptions):
        world.instance.create_run_for_job(
            defs.resolve_job_def("audit_round"),
            status=dg.DagsterRunStatus.FAILURE,
            tags={OVERDUE_TAG: run.tags[OVERDUE_TAG]},
        )
    [shown] = asked(tick(world, "stalled_round_sensor"))
    [row] = world.rows(RoundRow, submission_id=submission_id)
    assert (row["state"], row["outcome"], row["reasons"][0]["code"]) == ("DECIDED", "ESCALATED", "QUORUM_MISSED")
    assert [key.to_user_string() for key in shown.asset_selection or []] == ["round_outcome", "certificate"]
    assert isinstance(tick(world, "stalled_round_sensor"), dg.SkipReason)
    assert world.audit(submission_id, ["round_outcome", "certificate"], **shown.tags).success
    assert metadata_of(world.materialisation("round_outcome", submission_id))["outcome"] == "ESCALATED"
    assert world.rows(CertificateRow, submission_id=submission_id) == []

"""Rounds that are asked for: re-audits by operators and flags, appeals; each yields one round, whoever is killed meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from assembly_steps import opened, say, seats_of
from issued import decided_round, issued
from sqlalchemy import select

from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.outcome import decide_round
from sigma_core.lifecycle.panels import RoundNotReady, Run, open_round, round_of_run, run_phase
from sigma_core.lifecycle.replay import public_document, replay_kept_round
from sigma_core.lifecycle.round_requests import (
    RE_AUDIT_TOPIC,
    RoundRequestRefused,
    request_appeal,
    request_re_audit,
    take_up_flags,
    unopened_requests,
)
from sigma_core.storage.protocol import AuditTrailRow, OutboxRow, RoundRequestRow, RoundRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

Submitted = Callable[..., str]
ADA = {"actor": "operator:ada", "reason": "the host it calls has changed hands"}
on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


def held(deployment: Deployment, submission: str, run: str, request: int) -> RoundRow:
    """The round of a request, held to its end by a run."""
    round_id = opened(deployment, submission, run, request)
    for phase in (1, 2):
        run_phase(deployment, round_id, phase)
    decided = decide_round(deployment, round_id)
    assert replay_kept_round(deployment, round_id).differences == ()
    return decided


def flag(deployment: Deployment, certificate_id: str) -> None:
    """The message that enough flags leave."""
    with deployment.sessions.begin() as session:
        session.add(
            OutboxRow(
                topic=RE_AUDIT_TOPIC,
                subject=certificate_id,
                detail={"trigger": "FLAG", "reporters": 5},
                created_at=utc_now(),
                handled_at=None,
            )
        )


# Re-audits


@on_each_database
def test_a_re_audit_of_a_certificate_is_the_next_round_and_says_who_asked_for_it(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    certificate = issued(deployment, submission)
    request = request_re_audit(deployment, certificate.id, **ADA)
    assert request_re_audit(deployment, submission, **ADA) == request  # until its round is decided
    assert [waiting for waiting, _ in unopened_requests(deployment, 10)] == [request]
    decided = held(deployment, submission, "run-2", request.id)
    assert (decided.number, decided.round_type, decided.trigger_source) == (2, "RE_AUDIT", "OPERATOR")
    assert unopened_requests(deployment, 10) == []
    assert request_re_audit(deployment, submission, **ADA).id != request.id
    with deployment.read_sessions() as session:
        line = session.scalars(select(AuditTrailRow).where(AuditTrailRow.action == "round.re_audit")).first()
    assert line is not None
    assert (line.subject, line.actor, line.reason) == (submission, *ADA.values())


def test_every_run_of_a_request_goes_on_with_its_one_round(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    decided_round(deployment, submission)
    request = request_re_audit(deployment, submission, **ADA)
    first = opened(deployment, submission, "run-2", request.id)
    assert opened(deployment, submission, "run-3", request.id) == first
    assert round_of_run(deployment, submission, Run("run-4", "run-4", request.id)) == first
    decided = held(deployment, submission, "run-4", request.id)
    assert decided.id == first
    assert open_round(deployment, submission, Run("run-5", "run-5", request.id)) == first  # decided: left as it is


def test_a_request_of_another_submission_opens_nothing(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission, other = submitted(honest), submitted(honest)
    decided_round(deployment, submission)
    request = request_re_audit(deployment, submission, **ADA)
    for wrong in (request.id, 99):
        with pytest.raises(RoundNotReady, match="nobody asked for a round"):
            opened(deployment, other if wrong == request.id else submission, "run-2", wrong)


@pytest.mark.parametrize(
    ("subject", "rule"),
    [("cert_none", "no certificate or submission has the id 'cert_none'"), (None, "has no decided round yet")],
)
def test_nothing_that_was_not_audited_is_audited_again(
    deployment: Deployment, honest: Package, submitted: Submitted, subject: str | None, rule: str
) -> None:
    submission = submitted(honest)
    with pytest.raises(RoundRequestRefused, match=rule):
        request_re_audit(deployment, subject or submission, **ADA)


# Flags


@on_each_database
def test_enough_flags_are_one_re_audit(deployment: Deployment, honest: Package, submitted: Submitted) -> None:
    submission = submitted(honest)
    flag(deployment, issued(deployment, submission).id)
    [request] = take_up_flags(deployment)
    assert take_up_flags(deployment) == []
    decided = held(deployment, submission, "run-2", request.id)
    assert (decided.number, decided.round_type, decided.trigger_source) == (2, "RE_AUDIT", "FLAG")


def test_flags_are_taken_up_once_by_whoever_is_killed_at_any_step(
    deployment: Deployment, honest: Package, submitted: Submitted, home: Path, tmp_path: Path
) -> None:
    """`killed_request.py` takes up flags and opens their round in a process that is killed at its n-th step, for n = 1, 2, …"""
    submission = submitted(honest)
    flag(deployment, issued(deployment, submission).id)
    deployment.close()
    program = Path(__file__).with_name("killed_request.py")
    copies = tmp_path / "copies"
    copies.mkdir()
    ran = subprocess.run(
        [sys.executable, program, home, submission, copies],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["problems"] == []
    assert found["steps"] > 8
    shutil.rmtree(copies)


# Appeals


@on_each_database
def test_an_appeal_draws_eleven_seats_a_panel_with_nobody_of_the_appealed_round_and_replays(
    deployment: Deployment, honest: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = submitted(honest)
    with monkeypatch.context() as patch:
        say(patch, lambda *_: Verdict.UNSAFE)
        first = decided_round(deployment, submission)
    before = {seat.operator for phase in (1, 2) for seat in seats_of(deployment, first, phase)}
    request = request_appeal(deployment, first, **ADA)
    assert request_appeal(deployment, first, **ADA) == request
    decided = held(deployment, submission, "run-2", request.id)
    assert (decided.number, decided.round_type, decided.trigger_source) == (2, "RE_AUDIT", "OPERATOR")
    assert decided.outcome == "APPROVED"
    seats = [seat for phase in (1, 2) for seat in seats_of(deployment, decided.id, phase)]
    assert len(seats) == 22
    assert not {seat.operator for seat in seats} & before
    document = json.loads(public_document(deployment, decided))
    assert document["appeal"] == {"roundId": first, "seatsPerPhase": 5, "formerOperators": sorted(before)}
    assert document["submission"]["conflicts"] == sorted({"somebody", *before})
    assert request_appeal(deployment, first, **ADA).round_id == decided.id  # a round is appealed once


def test_an_appeal_of_an_appeal_draws_twenty_three_and_leaves_out_both(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    first = decided_round(deployment, submission)
    second = held(deployment, submission, "run-2", request_appeal(deployment, first, **ADA).id)
    request = request_appeal(deployment, second.id, **ADA)
    third = opened(deployment, submission, "run-3", request.id)
    run_phase(deployment, third, 1)
    before = {s.operator for r in (first, second.id) for phase in (1, 2) for s in seats_of(deployment, r, phase)}
    seats = seats_of(deployment, third)
    assert len([seat for seat in seats if seat.replaces is None]) == 23
    assert not {seat.operator for seat in seats} & before


def test_only_a_decided_round_is_appealed(deployment: Deployment, honest: Package, submitted: Submitted) -> None:
    undecided = opened(deployment, submitted(honest))
    for round_id, rule in ((undecided, "is not decided yet"), ("rnd_none", "no round has the id")):
        with pytest.raises(RoundRequestRefused, match=rule):
            request_appeal(deployment, round_id, **ADA)
    with deployment.read_sessions() as session:
        assert session.scalars(select(RoundRequestRow)).all() == []

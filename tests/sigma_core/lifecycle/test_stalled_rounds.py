"""Rounds that do not go on by themselves: when they are due, how often they are taken up, and how they are given up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from assembly_steps import age, opened, phase_of, say, seats_of
from issued import decided_round
from sqlalchemy import select

from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.intake import load_submission
from sigma_core.lifecycle.override import override_round
from sigma_core.lifecycle.panels import interrupted_submission, open_run_key, run_phase
from sigma_core.lifecycle.phases import RoundWaits
from sigma_core.lifecycle.replay import replay_kept_round
from sigma_core.lifecycle.stalled_rounds import HaltedRound, Step, escalate_stalled, halted_rounds
from sigma_core.policy import load_policy
from sigma_core.storage.protocol import AuditTrailRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

Submitted = Callable[..., str]
RULES = load_policy().assembly
PAUSE = timedelta(seconds=RULES.phase_deadline_seconds)
on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def round_id(deployment: Deployment, honest: Package, submitted: Submitted) -> str:
    return opened(deployment, submitted(honest))


def halted(deployment: Deployment, seconds: int) -> list[HaltedRound]:
    """What is due so many seconds from now."""
    return halted_rounds(deployment, utc_now() + timedelta(seconds=seconds), 10)


def waiting(deployment: Deployment, round_id: str, patch: pytest.MonkeyPatch) -> None:
    say(patch, lambda *_: Verdict.ABSTAIN)
    with pytest.raises(RoundWaits):
        run_phase(deployment, round_id, 1)


def test_a_round_is_overdue_when_nothing_happened_in_it_for_as_long_as_a_phase_may_take(
    deployment: Deployment, round_id: str
) -> None:
    assert halted(deployment, RULES.phase_deadline_seconds - 60) == []
    [found] = halted(deployment, RULES.phase_deadline_seconds + 60)
    assert (found.round_id, found.state, found.waits, found.run_key) == (round_id, "OPEN", False, "run-1")
    run_phase(deployment, round_id, 1)
    age(deployment, round_id, RULES.phase_deadline_seconds + 60)
    [found] = halted(deployment, 0)
    assert found.state == "PHASE_1"


def test_a_decided_round_is_due_only_while_its_certificate_is_owed(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    decided = decided_round(deployment, submitted(honest))
    [found] = halted(deployment, RULES.phase_deadline_seconds + 60)
    assert (found.round_id, found.state) == (decided, "DECIDED")
    assert found.step(found.due + PAUSE * 9, RULES.stalled_resumptions) is Step.LEAVE
    issue_certificate(deployment, decided)
    assert halted(deployment, RULES.phase_deadline_seconds + 60) == []


def test_a_phase_that_waits_is_due_at_its_next_try_and_after_its_deadline_it_is_overdue(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(deployment, round_id, monkeypatch)
    assert halted(deployment, RULES.waiting_retry_seconds - 60) == []
    [found] = halted(deployment, RULES.waiting_retry_seconds + 60)
    assert (found.waits, found.due) == (True, phase_of(deployment, round_id).retry_at)
    assert found.step(found.due, 99) is Step.RESUME
    [found] = halted(deployment, RULES.phase_deadline_seconds + 60)
    assert (found.waits, found.due) == (False, phase_of(deployment, round_id).deadline_at)


def test_it_is_taken_up_as_often_as_the_policy_says_each_time_later_and_then_given_up(
    deployment: Deployment, round_id: str
) -> None:
    [found] = halted(deployment, RULES.phase_deadline_seconds + 60)
    for resumed in range(RULES.stalled_resumptions):
        assert found.step(found.due + resumed * PAUSE, resumed) is Step.LEAVE
        assert found.step(found.due + resumed * PAUSE + timedelta(seconds=1), resumed) is Step.RESUME
    assert found.step(found.due + (RULES.stalled_resumptions + 1) * PAUSE, RULES.stalled_resumptions) is Step.GIVE_UP
    assert len({found.occasion(resumed) for resumed in range(4)}) == 4


@on_each_database
@pytest.mark.parametrize("held", [0, 1])
def test_a_round_that_is_given_up_escalates_with_what_it_has_and_replays(
    deployment: Deployment, round_id: str, held: int
) -> None:
    for phase in range(1, held + 1):
        run_phase(deployment, round_id, phase)
    [found] = halted(deployment, RULES.phase_deadline_seconds + 60)
    decided = escalate_stalled(deployment, found)
    assert (decided.outcome, [reason["code"] for reason in decided.reasons]) == ("ESCALATED", ["QUORUM_MISSED"])
    assert issue_certificate(deployment, round_id) is None
    assert replay_kept_round(deployment, round_id).differences == ()
    assert escalate_stalled(deployment, found).decided_at == decided.decided_at
    with deployment.read_sessions() as session:
        [line] = session.scalars(select(AuditTrailRow).where(AuditTrailRow.action == "round.give_up")).all()
    assert (line.subject, line.after["outcome"]) == (round_id, "ESCALATED")
    assert "was to go on by" in line.reason


def test_an_open_phase_of_a_round_that_is_given_up_closes_with_no_shows(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(deployment, round_id, monkeypatch)
    age(deployment, round_id, RULES.phase_deadline_seconds + 1)
    [found] = halted(deployment, 1)
    assert escalate_stalled(deployment, found).outcome == "ESCALATED"
    assert [seat.status for seat in seats_of(deployment, round_id)] == ["NO_SHOW"] * 5
    assert replay_kept_round(deployment, round_id).differences == ()


def under_another_policy(deployment: Deployment, make_deployment: Callable[..., Deployment]) -> Deployment:
    """The deployment as it opens once a release has brought another policy."""
    policy = deployment.settings.home / "policy.toml"
    text = deployment.settings.policy_file.read_text()
    policy.write_text(text.replace("quorum_per_phase = 4", "quorum_per_phase = 5"))
    return make_deployment(policy_file=str(policy))


def test_a_round_of_a_former_policy_is_given_up_by_its_own_rules_and_not_tried_again(
    deployment: Deployment,
    make_deployment: Callable[..., Deployment],
    round_id: str,
) -> None:
    run_phase(deployment, round_id, 1)
    changed = under_another_policy(deployment, make_deployment)
    assert halted(changed, RULES.phase_deadline_seconds - 60) == []
    [found] = halted(changed, RULES.phase_deadline_seconds + 60)
    assert found.step(found.due + timedelta(seconds=1), 0) is Step.GIVE_UP
    decided = escalate_stalled(changed, found)
    assert decided.reasons[0]["detail"]["quorumPerPhase"] == 4
    assert replay_kept_round(changed, round_id).differences == ()


def test_a_waiting_round_of_a_former_policy_is_given_up_when_it_was_to_be_tried_again(
    deployment: Deployment, make_deployment: Callable[..., Deployment], round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(deployment, round_id, monkeypatch)
    changed = under_another_policy(deployment, make_deployment)
    [found] = halted(changed, RULES.waiting_retry_seconds + 60)
    assert (found.waits, found.step(found.due + timedelta(seconds=1), 0)) == (False, Step.GIVE_UP)
    assert escalate_stalled(changed, found).outcome == "ESCALATED"


def test_an_approval_that_an_operator_overrode_before_its_certificate_is_left_by_nobody(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    decided = decided_round(deployment, submission)
    override_round(deployment, decided, RoundOutcome.REJECTED, actor="operator:ada", reason="same author as cert_1")
    assert halted(deployment, RULES.phase_deadline_seconds + 60) == []
    assert open_run_key(deployment, submission) is None
    assert interrupted_submission(deployment, honest, "somebody") is None


def test_a_round_that_is_given_up_after_a_later_one_was_decided_leaves_the_submission_as_that_one_did(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    left_behind = opened(deployment, submission)
    decided_round(deployment, submission, "run-2")
    [found] = [each for each in halted(deployment, RULES.phase_deadline_seconds + 60) if each.round_id == left_behind]
    assert escalate_stalled(deployment, found).outcome == "ESCALATED"
    assert load_submission(deployment, submission).state == "APPROVED"

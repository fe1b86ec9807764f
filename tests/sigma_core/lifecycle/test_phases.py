"""A phase as it goes on: deadlines, late reveals, waiting, seats that lose their holders, and workers that are killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from assembly_steps import age, killed_before_the_second_wave, opened, phase_of, say, seats_of
from sqlalchemy import select, update

from sigma_core.assembly.round import open_phase
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle import panels
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.outcome import decide_round
from sigma_core.lifecycle.panels import RoundNotReady, load_round, run_phase
from sigma_core.lifecycle.phases import RoundWaits, panel_of
from sigma_core.lifecycle.replay import replay_kept_round
from sigma_core.lifecycle.seat_replacement import SeatReplacementRefused, replace_seat
from sigma_core.policy import load_policy
from sigma_core.storage.protocol import AuditTrailRow, RoundRow, SeatRow, ValidatorRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

Submitted = Callable[..., str]
RULES = load_policy().assembly
DEADLINE, REVEALS = RULES.phase_deadline_seconds, RULES.reveal_deadline_seconds
on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


def statuses(deployment: Deployment, round_id: str, phase: int = 1) -> list[str]:
    return [seat.status for seat in seats_of(deployment, round_id, phase)]


def finish(deployment: Deployment, round_id: str) -> RoundRow:
    for phase in (1, 2):
        run_phase(deployment, round_id, phase)
    decided = decide_round(deployment, round_id)
    assert replay_kept_round(deployment, round_id).differences == ()
    return decided


@pytest.fixture
def round_id(deployment: Deployment, honest: Package, submitted: Submitted) -> str:
    return opened(deployment, submitted(honest))


# Killed workers


@on_each_database
def test_a_killed_phase_goes_on_with_what_is_sealed_and_asks_only_who_has_not_voted(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_second_wave(deployment, round_id, monkeypatch)
    sealed = [(seat.commitment, seat.salt) for seat in seats_of(deployment, round_id)][1:5]
    asked = say(monkeypatch, lambda *_: Verdict.SAFE)
    run_phase(deployment, round_id, 1)
    assert asked == [(1, 6)]
    assert [(seat.commitment, seat.salt) for seat in seats_of(deployment, round_id)][1:5] == sealed
    assert (phase_of(deployment, round_id).redraws, phase_of(deployment, round_id).closed_by) == ([[1]], "COMPLETE")
    assert finish(deployment, round_id).outcome == "APPROVED"


def test_nothing_sealed_is_told_before_the_phase_closes(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_second_wave(deployment, round_id, monkeypatch)
    for seat in seats_of(deployment, round_id)[1:5]:
        assert (seat.verdict, seat.score_ppm, seat.finding_count, seat.revealed_at) == (None, None, 0, None)
    with pytest.raises(RoundNotReady, match="phase 2 follows phase 1"):
        run_phase(deployment, round_id, 2)
    with pytest.raises(RoundNotReady, match="phase 1 goes on"):
        decide_round(deployment, round_id)


def test_two_workers_on_one_phase_make_one_panel(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, nested = panels.audit_seats, []

    def interrupted(*arguments: object, **rest: object) -> object:
        audits = ask(*arguments, **rest)  # type: ignore[arg-type]
        if not nested:
            nested.append(True)
            run_phase(deployment, round_id, 1)  # another worker, faster
        return audits

    monkeypatch.setattr(panels, "audit_seats", interrupted)
    held = run_phase(deployment, round_id, 1)
    assert statuses(deployment, round_id) == ["REVEALED"] * len(held.seats)
    assert finish(deployment, round_id).outcome == "APPROVED"


# Deadlines


@on_each_database
def test_a_phase_that_is_not_finished_by_its_deadline_closes_with_no_shows_and_redraws_nobody(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_second_wave(deployment, round_id, monkeypatch)
    age(deployment, round_id, DEADLINE + 1)
    asked = say(monkeypatch, lambda *_: Verdict.SAFE)
    run_phase(deployment, round_id, 1)
    assert asked == []  # who answers now is late
    assert statuses(deployment, round_id) == ["ABSTAINED", *["REVEALED"] * 4, "NO_SHOW"]
    assert phase_of(deployment, round_id).closed_by == "DEADLINE"
    # Four of five are a quorum: the other seat was vacant, and nobody said UNSAFE.
    assert finish(deployment, round_id).outcome == "APPROVED"


@pytest.mark.parametrize("deployment", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hours", [-3, 3])
def test_a_worker_whose_clock_is_wrong_neither_ends_a_phase_nor_holds_it_open(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    killed_before_the_second_wave(deployment, round_id, monkeypatch)
    for module in ("sigma_core.storage.clock", "sigma_core.lifecycle.panels"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: utc_now() + timedelta(hours=hours))
    run_phase(deployment, round_id, 1)
    kept = phase_of(deployment, round_id)
    assert kept.closed_by == "COMPLETE"
    assert kept.closed_at is not None
    assert kept.opened_at <= kept.closed_at <= kept.deadline_at
    late = run_phase(deployment, round_id, 2)
    assert [seat.status for seat in late.seats] == ["REVEALED"] * 5
    assert decide_round(deployment, round_id).outcome == "APPROVED"
    assert replay_kept_round(deployment, round_id).differences == ()


def test_an_answer_after_the_deadline_is_a_no_show(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = panels.audit_seats

    def slow(*arguments: object, **rest: object) -> object:
        audits = ask(*arguments, **rest)  # type: ignore[arg-type]
        age(deployment, round_id, DEADLINE + 1)
        return audits

    with monkeypatch.context() as patch:
        patch.setattr(panels, "audit_seats", slow)
        run_phase(deployment, round_id, 1)
    assert statuses(deployment, round_id) == ["NO_SHOW"] * 5
    decided = finish(deployment, round_id)
    assert (decided.outcome, [reason["code"] for reason in decided.reasons]) == ("ESCALATED", ["QUORUM_MISSED"])
    assert issue_certificate(deployment, round_id) is None


def test_a_late_reveal_is_a_no_show_whose_verdict_nobody_learns(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_second_wave(deployment, round_id, monkeypatch)
    age(deployment, round_id, DEADLINE + REVEALS + 1)
    run_phase(deployment, round_id, 1)
    assert statuses(deployment, round_id) == ["ABSTAINED", *["NO_SHOW"] * 5]
    for seat in seats_of(deployment, round_id)[1:5]:
        assert seat.commitment is not None
        assert (seat.verdict, seat.salt, seat.result_sha256) == ("NO_SHOW", None, None)
    assert finish(deployment, round_id).outcome == "ESCALATED"


# Waiting


@on_each_database
def test_when_no_engine_can_be_asked_the_round_waits_and_goes_on_when_one_can(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        say(patch, lambda *_: Verdict.ABSTAIN)
        for _ in range(2):
            with pytest.raises(RoundWaits, match="the round waits"):
                run_phase(deployment, round_id, 1)
    assert statuses(deployment, round_id) == ["PENDING"] * 5  # nobody is redrawn for what is nobody's fault
    assert phase_of(deployment, round_id).retry_at is not None
    assert finish(deployment, round_id).outcome == "APPROVED"
    assert phase_of(deployment, round_id).retry_at is None


def test_a_round_that_waited_up_to_its_deadlines_escalates_and_never_approves(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(monkeypatch, lambda *_: Verdict.ABSTAIN)
    for phase in (1, 2):
        with pytest.raises(RoundWaits):
            run_phase(deployment, round_id, phase)
        age(deployment, round_id, DEADLINE + 1)
        run_phase(deployment, round_id, phase)
        assert statuses(deployment, round_id, phase) == ["NO_SHOW"] * 5
    decided = finish(deployment, round_id)
    assert (decided.outcome, decided.with_rejection, decided.scored) == ("ESCALATED", False, False)
    assert issue_certificate(deployment, round_id) is None


# Seats that lose their holders


@on_each_database
def test_a_validator_suspended_in_the_middle_of_a_round_loses_its_seat_which_is_redrawn(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_second_wave(deployment, round_id, monkeypatch)
    out = seats_of(deployment, round_id)[2]
    with deployment.sessions.begin() as session:
        session.execute(update(ValidatorRow).where(ValidatorRow.id == out.validator_id).values(status="SUSPENDED"))
    run_phase(deployment, round_id, 1)
    seats = seats_of(deployment, round_id)
    assert (seats[2].status, seats[2].commitment, seats[2].verdict) == ("REMOVED", None, "ABSTAIN")
    assert (seats[6].replaces, seats[6].status) == (3, "REVEALED")
    assert phase_of(deployment, round_id).redraws == [[1], [3]]
    assert finish(deployment, round_id).outcome == "APPROVED"


def test_one_that_was_suspended_between_the_weights_and_the_draw_is_not_even_asked(
    deployment: Deployment, honest: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(deployment, submitted(honest))
    held = run_phase(deployment, first, 1)
    drawn = open_phase(load_round(deployment, held.round), 2, [panel_of(held.seats, 1)]).panel.seats
    with deployment.sessions.begin() as session:
        out = [drawn[0].validator_id, drawn[3].validator_id]
        session.execute(update(ValidatorRow).where(ValidatorRow.id.in_(out)).values(status="SUSPENDED"))
    asked = say(monkeypatch, lambda *_: Verdict.SAFE)
    run_phase(deployment, first, 2)
    removed = ["REMOVED", "REVEALED", "REVEALED", "REMOVED", "REVEALED", "REVEALED", "REVEALED"]
    assert statuses(deployment, first, 2) == removed
    assert asked == [(2, 2), (2, 3), (2, 5), (2, 6), (2, 7)]
    assert decide_round(deployment, first).outcome == "APPROVED"
    assert replay_kept_round(deployment, first).differences == ()


@on_each_database
def test_an_operator_replaces_a_seat_that_has_not_voted_and_the_round_replays(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        say(patch, lambda *_: Verdict.ABSTAIN)
        with pytest.raises(RoundWaits):
            run_phase(deployment, round_id, 1)
    removal = replace_seat(deployment, round_id, 4, actor="operator:ada", reason="its engine hangs")
    assert replace_seat(deployment, round_id, 4, actor="operator:ada", reason="again") == removal
    run_phase(deployment, round_id, 1)
    seats = seats_of(deployment, round_id)
    assert [seat.status for seat in seats] == [*["REVEALED"] * 3, "REMOVED", "REVEALED", "REVEALED"]
    assert seats[5].replaces == 4
    assert finish(deployment, round_id).outcome == "APPROVED"
    with deployment.read_sessions() as session:
        [line] = session.scalars(select(AuditTrailRow).where(AuditTrailRow.action == "seat.replace")).all()
    assert (line.subject, line.actor, line.reason) == (round_id, "operator:ada", "its engine hangs")
    assert line.before["validatorId"] == removal.validator_id == seats[3].validator_id


@pytest.mark.parametrize(
    ("seat", "rule"),
    [(2, "is COMMITTED: only a seat that has not voted"), (1, "is ABSTAINED"), (9, "has no seat 9")],
)
def test_what_is_sealed_stays_and_what_is_no_seat_is_refused(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch, seat: int, rule: str
) -> None:
    killed_before_the_second_wave(deployment, round_id, monkeypatch)
    before = statuses(deployment, round_id)
    with pytest.raises(SeatReplacementRefused, match=rule):
        replace_seat(deployment, round_id, seat, actor="operator:ada", reason="why")
    assert statuses(deployment, round_id) == before


def test_a_seat_is_replaced_as_often_as_the_policy_says_and_only_before_its_phase_closes(
    deployment: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(seat: int) -> None:
        replace_seat(deployment, round_id, seat, actor="operator:ada", reason="why")

    with pytest.raises(SeatReplacementRefused, match="has no open phase"):
        replace(1)
    ask = panels.audit_seats

    def hangs(deployment: Deployment, row: RoundRow, seats: list[SeatRow], **rest: object) -> object:
        """Seat 5 and who comes after it are being replaced while they are asked."""
        last = seats[-1].number
        if last >= 5 and len(refused) == 0:
            try:
                replace(last)
            except SeatReplacementRefused as error:
                refused.append(str(error))
        return ask(deployment, row, seats, **rest)  # type: ignore[arg-type]

    refused: list[str] = []
    monkeypatch.setattr(panels, "audit_seats", hangs)
    run_phase(deployment, round_id, 1)
    assert [line.split(": ")[1] for line in refused] == [
        "seat 7 of phase 1 has had 2 replacements, and the policy allows no more"
    ]
    assert statuses(deployment, round_id) == [*["REVEALED"] * 4, "REMOVED", "REMOVED", "REVEALED"]
    with pytest.raises(SeatReplacementRefused, match="has no open phase"):
        replace(1)
    with pytest.raises(SigmaError, match="no round has the id"):
        replace_seat(deployment, "rnd_none", 1, actor="operator:ada", reason="why")
    with pytest.raises(SigmaError, match="reason: 1 to"):
        replace_seat(deployment, round_id, 1, actor="operator:ada", reason=" ")

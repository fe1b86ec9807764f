"""Rounds taken step by step, with seats that say what a test wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle import panels
from sigma_core.lifecycle.audits import SeatAudit, audit_seats
from sigma_core.lifecycle.facts import derive_and_keep
from sigma_core.lifecycle.panels import Run, open_round, run_phase
from sigma_core.storage.protocol import PhaseRow, RoundRow, SeatRow

Says = Callable[[int, int], Verdict]
"""(phase, seat number) → what the seat says instead of what its engine found."""


def opened(deployment: Deployment, submission: str, run: str = "run-1", request: int | None = None) -> str:
    """The submission's round, opened and nothing more; returns its id."""
    derive_and_keep(deployment, submission)
    return open_round(deployment, submission, Run(run, run, request))


def say(patch: pytest.MonkeyPatch, says: Says) -> list[tuple[int, int]]:
    """Put these words into the seats' mouths; returns the (phase, seat) that were asked, as they are."""
    asked: list[tuple[int, int]] = []

    def audited(deployment: Deployment, row: RoundRow, seats: Any, **rest: Any) -> Mapping[int, SeatAudit]:
        from dataclasses import replace

        asked.extend((seat.phase, seat.number) for seat in seats)
        audits = audit_seats(deployment, row, seats, **rest)
        return {
            seat.number: replace(
                audits[seat.number],
                result=replace(audits[seat.number].result, verdict=says(seat.phase, seat.number), findings=()),
            )
            for seat in seats
        }

    patch.setattr(panels, "audit_seats", audited)
    return asked


def seats_of(deployment: Deployment, round_id: str, phase: int = 1) -> list[SeatRow]:
    with deployment.read_sessions() as session:
        return list(
            session.scalars(
                select(SeatRow).where(SeatRow.round_id == round_id, SeatRow.phase == phase).order_by(SeatRow.number)
            )
        )


def phase_of(deployment: Deployment, round_id: str, phase: int = 1) -> PhaseRow:
    with deployment.read_sessions() as session:
        return session.get_one(PhaseRow, (round_id, phase))


def age(deployment: Deployment, round_id: str, seconds: int) -> None:
    """Have everything of the round happened so many seconds earlier."""
    past = timedelta(seconds=seconds)
    with deployment.sessions.begin() as session:
        for phase in session.scalars(select(PhaseRow).where(PhaseRow.round_id == round_id)):
            phase.opened_at -= past
            phase.deadline_at -= past
            phase.retry_at = phase.retry_at and phase.retry_at - past
            phase.closed_at = phase.closed_at and phase.closed_at - past
        row = session.get_one(RoundRow, round_id)
        session.execute(update(RoundRow).where(RoundRow.id == round_id).values(opened_at=row.opened_at - past))


def killed_before_the_second_wave(deployment: Deployment, round_id: str, patch: pytest.MonkeyPatch) -> None:
    """Seat 1 abstains and is redrawn; the worker dies before its replacement has voted."""
    waves = 0
    ask = panels.audit_seats

    def dies(*arguments: object, **rest: object) -> object:
        nonlocal waves
        waves += 1
        if waves == 2:
            raise KeyboardInterrupt
        return ask(*arguments, **rest)  # type: ignore[arg-type]

    with patch.context() as first_run:
        say(first_run, lambda _, seat: Verdict.ABSTAIN if seat == 1 else Verdict.SAFE)
        ask = panels.audit_seats
        first_run.setattr(panels, "audit_seats", dies)
        with pytest.raises(KeyboardInterrupt):
            run_phase(deployment, round_id, 1)
    assert [seat.status for seat in seats_of(deployment, round_id)] == ["ABSTAINED", *["COMMITTED"] * 4, "PENDING"]

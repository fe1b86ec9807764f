"""Rounds that do not go on by themselves: which are to be taken up again, and which are given up as escalations.

- A phase that **waits** (no engine could be asked) is tried again at its ``retry_at``.
- A round is **overdue** when nothing happened in it for ``phase_deadline_seconds`` after what was due: it is taken up again, each
  time the same span later, ``stalled_resumptions`` times.
- Then it is **stalled** and `escalate_stalled` decides it with what it has. A phase that was not held, or closed with
  no-shows, misses its quorum: so it ends ESCALATED, unless everything was there but the decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.audit_trail import record_change
from sigma_core.lifecycle.outcome import decide_round
from sigma_core.lifecycle.panels import load_round, unfinished
from sigma_core.lifecycle.phases import close_overdue_phase, kept_phases
from sigma_core.lifecycle.policies import policy_of
from sigma_core.policy import AssemblyRules
from sigma_core.storage.protocol import PhaseRow, RoundRequestRow, RoundRow
from sigma_core.timestamps import iso_utc, utc_now

ACTOR = "stalled-rounds"


@dataclass(frozen=True, slots=True)
class Resumption:
    """A round to take up again. ``key`` names this occasion, so that it is asked for once; ``why`` is for people;
    ``request`` is what the round was asked for by, if it was."""

    key: str
    submission_id: str
    run_key: str
    request: int | None
    why: str


@dataclass(frozen=True, slots=True)
class StalledRound:
    """A round that was taken up as often as the policy says, and did not go on."""

    round_id: str
    submission_id: str
    why: str


def rounds_to_resume(deployment: Deployment, now: datetime, limit: int) -> tuple[list[Resumption], list[StalledRound]]:
    """What is to be taken up again at ``now``, and what is to be given up; ``limit`` of unfinished rounds are looked at, those
    with the oldest openings first."""
    resumptions, stalled = [], []
    with deployment.read_sessions() as session:
        rows = session.scalars(select(RoundRow).where(unfinished()).order_by(RoundRow.opened_at).limit(limit)).all()
        for row in rows:
            rules = policy_of(deployment, row.policy_hash).assembly
            phases = session.scalars(select(PhaseRow).where(PhaseRow.round_id == row.id)).all()
            request = session.scalar(select(RoundRequestRow.id).where(RoundRequestRow.round_id == row.id))
            waiting = next((phase for phase in phases if phase.closed_at is None and phase.retry_at), None)
            if waiting is not None and waiting.retry_at is not None and waiting.retry_at < waiting.deadline_at:
                if waiting.retry_at <= now:
                    at = iso_utc(waiting.retry_at)
                    why = f"{row.id}: phase {waiting.phase} waits for an engine that can be asked; due again since {at}"
                    key = f"waiting/{row.id}/{waiting.phase}/{at}"
                    resumptions.append(Resumption(key, row.submission_id, row.run_key, request, why))
                continue
            due = _due(row, phases, rules)
            if now <= due:
                continue
            times = (now - due) // timedelta(seconds=rules.phase_deadline_seconds)
            why = f"{row.id} is {row.state} and was to go on by {iso_utc(due)}"
            if times < rules.stalled_resumptions:
                key = f"overdue/{row.id}/{iso_utc(due)}/{times}"
                resumptions.append(Resumption(key, row.submission_id, row.run_key, request, why))
            elif row.state != "DECIDED":
                stalled.append(StalledRound(row.id, row.submission_id, why))
    return resumptions, stalled


def escalate_stalled(deployment: Deployment, stalled: StalledRound) -> RoundRow:
    """Close what is open of a stalled round and decide it with what it has; a decided round is returned as it is."""
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, stalled.round_id)
        open_phases = [number for number, kept in kept_phases(session, row.id).items() if not kept.closed]
    if row.state == "DECIDED":
        return row
    before = row.state
    for number in open_phases:
        close_overdue_phase(deployment, load_round(deployment, row), number)
    decided = decide_round(deployment, row.id, stalled=True)
    with deployment.sessions.begin() as session:
        record_change(
            session,
            "round.give_up",
            row.id,
            actor=ACTOR,
            reason=stalled.why,
            before={"state": before},
            after={"state": decided.state, "outcome": decided.outcome},
            at=utc_now(),
        )
    return decided


def _due(row: RoundRow, phases: Sequence[PhaseRow], rules: AssemblyRules) -> datetime:
    """When the round must have gone on from where it stands."""
    for phase in phases:
        if phase.closed_at is None:
            return phase.deadline_at
    moments = [row.opened_at, *(phase.closed_at for phase in phases if phase.closed_at)]
    if row.decided_at is not None:
        moments.append(row.decided_at)
    return max(moments) + timedelta(seconds=rules.phase_deadline_seconds)

"""Rounds that do not go on by themselves: which are due to be taken up again, and which are given up as escalations.

- A phase that **waits** (no engine could be asked) is due at its ``retry_at``, up to its deadline.
- A round is **overdue** at the deadline of its open phase or, where none is open, ``phase_deadline_seconds`` after the last thing
  that happened in it. It is taken up again ``stalled_resumptions`` times, as many seconds apart.
- Then it is given up, and without another try where it was opened under a former policy, as no panel votes under two: `escalate_stalled`
  decides it with what it has. A phase that was not held, or closed with
  no-shows, misses its quorum: so it ends ESCALATED, unless everything was there but the decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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


class Step(StrEnum):
    """What is to be done about a round that does not go on."""

    RESUME = "RESUME"
    GIVE_UP = "GIVE_UP"
    LEAVE = "LEAVE"


@dataclass(frozen=True, slots=True)
class HaltedRound:
    """A round that was to go on by ``due``. ``run_key`` is of the run that opened it, ``request`` what asked for it, if anything
    did; ``why`` is for people."""

    round_id: str
    submission_id: str
    run_key: str
    request: int | None
    state: str
    waits: bool
    due: datetime
    pause: timedelta
    most_resumptions: int

    @property
    def why(self) -> str:
        """What is the matter, in a sentence."""
        what = "waits for an engine that can be asked, due" if self.waits else f"is {self.state} and was to go on"
        return f"{self.round_id} {what} by {iso_utc(self.due)}"

    def step(self, now: datetime, resumed: int) -> Step:
        """What to do at ``now`` when it was taken up ``resumed`` times since it was `overdue`."""
        if self.waits:
            return Step.RESUME
        if now <= self.due + resumed * self.pause:
            return Step.LEAVE
        if resumed < self.most_resumptions:
            return Step.RESUME
        return Step.LEAVE if self.state == "DECIDED" else Step.GIVE_UP

    @property
    def overdue(self) -> str:
        """A name for what is overdue: another one as soon as the round has gone on."""
        return f"{self.round_id}/{iso_utc(self.due)}"

    def occasion(self, resumed: int) -> str:
        """A name for this resumption, so that it is asked for once."""
        return f"{'waiting' if self.waits else 'overdue'}/{self.overdue}/{resumed}"


def halted_rounds(deployment: Deployment, now: datetime, limit: int) -> list[HaltedRound]:
    """Rounds that are due at ``now``, of the ``limit`` unfinished ones that were opened first."""
    with deployment.read_sessions() as session:
        rows = session.scalars(select(RoundRow).where(unfinished()).order_by(RoundRow.opened_at).limit(limit)).all()
        identifiers = [row.id for row in rows]
        phases = session.scalars(select(PhaseRow).where(PhaseRow.round_id.in_(identifiers))).all()
        requests = {
            row.round_id: row.id
            for row in session.scalars(select(RoundRequestRow).where(RoundRequestRow.round_id.in_(identifiers)))
        }
    halted = []
    for row in rows:
        rules = policy_of(deployment, row.policy_hash).assembly
        waits, due = _due(row, [phase for phase in phases if phase.round_id == row.id], rules, now)
        goes_on = row.state == "DECIDED" or row.policy_hash == deployment.policy.hash
        if due < now:
            halted.append(
                HaltedRound(
                    round_id=row.id,
                    submission_id=row.submission_id,
                    run_key=row.run_key,
                    request=requests.get(row.id),
                    state=row.state,
                    waits=waits and goes_on,
                    due=due,
                    pause=timedelta(seconds=rules.phase_deadline_seconds),
                    most_resumptions=rules.stalled_resumptions if goes_on else 0,
                )
            )
    return halted


def escalate_stalled(deployment: Deployment, halted: HaltedRound) -> RoundRow:
    """Close what is open of a round that is given up, and decide it with what it has; a decided round is returned as it is."""
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, halted.round_id)
        open_phases = [number for number, kept in kept_phases(session, row.id).items() if not kept.closed]
    if row.state == "DECIDED":
        return row
    for number in open_phases:
        close_overdue_phase(deployment, load_round(deployment, row), number)
    decided = decide_round(deployment, row.id, stalled=True)
    with deployment.sessions.begin() as session:
        record_change(
            session,
            "round.give_up",
            row.id,
            actor=ACTOR,
            reason=halted.why,
            before={"state": halted.state},
            after={"state": decided.state, "outcome": decided.outcome},
            at=utc_now(),
        )
    return decided


def _due(row: RoundRow, phases: Sequence[PhaseRow], rules: AssemblyRules, now: datetime) -> tuple[bool, datetime]:
    """Whether the round waits for an engine, and when it must have gone on from where it stands."""
    for phase in phases:
        if phase.closed_at is None:
            if phase.retry_at is not None and now <= phase.deadline_at:
                return True, phase.retry_at
            return False, phase.deadline_at
    moments = [row.opened_at, *(phase.closed_at for phase in phases if phase.closed_at)]
    if row.decided_at is not None:
        moments.append(row.decided_at)
    return False, max(moments) + timedelta(seconds=rules.phase_deadline_seconds)

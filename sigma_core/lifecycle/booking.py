"""The ledgers' next lines: every truth that became known is scored, once, and a corrected one is first taken back.

A truth is booked in one transaction: what its predecessor brought is compensated in all three ledgers, then its own points,
events and payouts follow. All lines are of the day on which the truth became known, with the base rates of that day's epoch, whenever they
are booked.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.assembly.commit_reveal import SeatStatus
from sigma_core.assembly.consensus import RoundOutcome, TruthSource, Vote
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.truths import (
    KnownMiss,
    KnownTruth,
    budget_key,
    kind_of,
    missed_seats,
    rates_of_epoch,
    unbooked_misses,
    unscored_truths,
)
from sigma_core.standing.ledger import LedgerEntry, Reason, ReputationEvent, ReputationKind
from sigma_core.standing.lines import CANARY, Lines, canary_lines, resolved_lines, taken_back
from sigma_core.standing.payouts import PayoutKind, PayoutLine
from sigma_core.standing.points import BaseRates, ResolvedRound, RoundKind, ScoredSeat, overturns
from sigma_core.standing.reputation import event_frame, taken_back_ppm
from sigma_core.storage.protocol import AccuracyEntryRow, PayoutEntryRow, ReputationEntryRow, RoundRow, SeatRow
from sigma_core.timestamps import day_number

TRUTHS_PER_TRANSACTION = 200


@dataclass(frozen=True, slots=True)
class Booked:
    """What one booking added to the ledgers. ``rounds``: truths that outcomes brought; ``late_resolutions``: first truths that came
    later; ``corrections``: truths that took the place of another, whose lines ``compensations`` (of all ledgers) take back;
    ``missed_canaries``: rounds whose missed canary files were booked."""

    rounds: int = 0
    late_resolutions: int = 0
    corrections: int = 0
    accuracy_entries: int = 0
    reputation_events: int = 0
    payout_lines: int = 0
    compensations: int = 0
    missed_canaries: int = 0


def book_known_truths(deployment: Deployment) -> Booked:
    """Append the lines of every truth that is not booked. A killed booking is taken up where it was; nothing is booked twice."""
    waiting: list[KnownMiss | KnownTruth] = [*unbooked_misses(deployment), *unscored_truths(deployment)]
    rates_by_day: dict[int, BaseRates] = {}
    rounds = late = corrections = misses = 0
    added = Lines()
    for start in range(0, len(waiting), TRUTHS_PER_TRANSACTION):
        with deployment.sessions.begin() as session:
            for known in waiting[start : start + TRUTHS_PER_TRANSACTION]:
                if known.day not in rates_by_day:
                    rates_by_day[known.day] = rates_of_epoch(session, known.day, deployment.policy.standing)
                booked = _book(deployment, session, known, rates_by_day[known.day])
                if booked is None:
                    continue
                added += booked
                if isinstance(known, KnownMiss):
                    misses += 1
                    continue
                rounds += known.actor is None
                late += known.actor is not None and known.number == 0
                corrections += known.number > 0
    return Booked(
        rounds,
        late,
        corrections,
        accuracy_entries=len(added.entries),
        reputation_events=len(added.events),
        payout_lines=len(added.payouts),
        compensations=added.compensations,
        missed_canaries=misses,
    )


def _book(deployment: Deployment, session: Session, known: KnownTruth | KnownMiss, rates: BaseRates) -> Lines | None:
    """Append the lines of one truth, or of a round's missed canary files; None when another process has meanwhile."""
    row = session.get_one(RoundRow, known.round_id, with_for_update=True)
    policy = deployment.policy
    if isinstance(known, KnownMiss):
        keys = AccuracyEntryRow.entry_key
        booked = select(AccuracyEntryRow.id).filter_by(round_id=row.id).where(keys.endswith(f"/score/{CANARY}"))
        if session.scalar(booked.limit(1)) is not None:
            return None
        lines = canary_lines(missed_round(session, row), rates, policy)
        append_lines(session, lines)
        return lines
    key = budget_key(known.round_id, known.number)
    if session.scalar(select(PayoutEntryRow.id).where(PayoutEntryRow.entry_key == key)) is not None:
        return None
    resolved = resolved_round(session, row, known)
    lines = resolved_lines(resolved, rates, policy)
    if known.number:
        lines = _take_back(deployment, session, known) + lines
    append_lines(session, lines)
    return lines


def resolved_round(session: Session, row: RoundRow, known: KnownTruth) -> ResolvedRound:
    """The round as the ledgers score it by ``known``."""
    return ResolvedRound(
        round_id=row.id,
        kind=kind_of(known.source),
        seats=_scored_seats(session, row),
        truth=known.truth,
        truth_source=known.source,
        day=known.day,
        resolution=known.number,
        escalated=row.outcome == RoundOutcome.ESCALATED,
        overturned=overturns(row.outcome, known.number, known.truth),
    )


def missed_round(session: Session, row: RoundRow) -> ResolvedRound:
    """A decided round for `canary_lines`: only the seats that missed their files count."""
    assert row.decided_at is not None, "files are missed by votes"
    return ResolvedRound(
        round_id=row.id,
        kind=RoundKind.CANARY,
        seats=_scored_seats(session, row),
        truth=Verdict.UNSAFE,
        truth_source=TruthSource.CANARY_LABEL,
        day=day_number(row.decided_at),
        escalated=row.outcome == RoundOutcome.ESCALATED,
    )


def _scored_seats(session: Session, row: RoundRow) -> tuple[ScoredSeat, ...]:
    missed = missed_seats(session, row.id)
    seats = session.scalars(select(SeatRow).where(SeatRow.round_id == row.id).order_by(SeatRow.phase, SeatRow.number))
    return tuple(
        ScoredSeat(
            seat.phase,
            seat.number,
            seat.validator_id,
            Vote(str(seat.verdict)),
            late=seat.status == SeatStatus.NO_SHOW and seat.commitment is not None,
            canary_label=Verdict.UNSAFE if (seat.phase, seat.number) in missed else None,
        )
        for seat in seats
    )


def _take_back(deployment: Deployment, session: Session, known: KnownTruth) -> Lines:
    """Compensations of all lines that the truth before ``known`` brought. Raises LedgerInvalid."""
    # Lines of the same transaction count too.
    session.flush()
    booked = lines_of_round(session, known.round_id).of_resolution(known.number - 1)
    keys = {event.entry_key for event in booked.events}
    history = session.scalars(
        select(ReputationEntryRow).where(
            ReputationEntryRow.validator_id.in_({event.validator_id for event in booked.events}),
            ReputationEntryRow.day <= known.day,
        )
    )
    kept = [_event(row) for row in history if row.entry_key not in keys]
    policy = deployment.policy
    changes = taken_back_ppm(event_frame(kept), event_frame(booked.events), known.day, policy.standing)
    by_event = {event.entry_key: changes[event.validator_id] for event in booked.events}
    return taken_back(booked, by_event, known.day, known.source, policy)


def append_lines(session: Session, lines: Lines) -> None:
    """Write lines to their ledgers."""
    session.add_all(
        AccuracyEntryRow(
            entry_key=entry.entry_key,
            validator_id=entry.validator_id,
            round_id=entry.round_id,
            seat=entry.seat,
            day=entry.day,
            aligned_q10=entry.aligned_q10,
            misaligned_q10=entry.misaligned_q10,
            reason=entry.reason.value,
            truth_source=entry.truth_source,
            policy_hash=entry.policy_hash,
        )
        for entry in lines.entries
    )
    session.add_all(
        ReputationEntryRow(
            entry_key=event.entry_key,
            validator_id=event.validator_id,
            round_id=event.round_id,
            day=event.day,
            kind=event.kind.value,
            detail=dict(event.detail),
            policy_hash=event.policy_hash,
        )
        for event in lines.events
    )
    session.add_all(
        PayoutEntryRow(
            entry_key=line.entry_key,
            round_id=line.round_id,
            validator_id=line.validator_id,
            day=line.day,
            kind=line.kind.value,
            amount_micro_usd=line.amount_micro_usd,
            policy_hash=line.policy_hash,
        )
        for line in lines.payouts
    )


def lines_of_round(session: Session, round_id: str) -> Lines:
    """Everything that the ledgers have of a round, in the order in which it was booked."""

    entries, events, payouts = AccuracyEntryRow, ReputationEntryRow, PayoutEntryRow
    return Lines(
        [_entry(row) for row in session.scalars(select(entries).filter_by(round_id=round_id).order_by(entries.id))],
        [_event(row) for row in session.scalars(select(events).filter_by(round_id=round_id).order_by(events.id))],
        [_payout(row) for row in session.scalars(select(payouts).filter_by(round_id=round_id).order_by(payouts.id))],
    )


def _entry(row: AccuracyEntryRow) -> LedgerEntry:
    return LedgerEntry(
        row.entry_key,
        row.validator_id,
        row.round_id,
        row.seat,
        row.day,
        row.aligned_q10,
        row.misaligned_q10,
        Reason(row.reason),
        row.truth_source,
        row.policy_hash,
    )


def _event(row: ReputationEntryRow) -> ReputationEvent:
    kind = ReputationKind(row.kind)
    return ReputationEvent(row.entry_key, row.validator_id, row.round_id, row.day, kind, row.policy_hash, row.detail)


def _payout(row: PayoutEntryRow) -> PayoutLine:
    kind = PayoutKind(row.kind)
    return PayoutLine(
        row.entry_key, row.round_id, row.validator_id, row.day, kind, row.amount_micro_usd, row.policy_hash
    )


@dataclass(frozen=True, slots=True)
class PayoutTotals:
    """Sums of the payout ledger by kind, in micro-USD, and the rounds whose lines do not sum to zero (must be none)."""

    by_kind: dict[str, int]
    rounds: int
    unbalanced_rounds: list[str]


def payout_totals(deployment: Deployment) -> PayoutTotals:
    """What the payout ledger adds up to."""
    amount = func.sum(PayoutEntryRow.amount_micro_usd)
    with deployment.read_sessions() as session:
        by_kind = session.execute(select(PayoutEntryRow.kind, amount).group_by(PayoutEntryRow.kind)).all()
        rounds = session.scalar(select(func.count(PayoutEntryRow.round_id.distinct()))) or 0
        unbalanced = session.scalars(
            select(PayoutEntryRow.round_id)
            .group_by(PayoutEntryRow.round_id)
            .having(amount != 0)
            .order_by(PayoutEntryRow.round_id)
        ).all()
    return PayoutTotals({kind: int(total) for kind, total in sorted(by_kind)}, rounds, list(unbalanced))

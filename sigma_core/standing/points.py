"""From a resolved round to ledger lines: points for accuracy, events for reputation.

For a vote on resolved truth o a seat gets m_o = clip(1/(2·π_o), 0.5, 4), added to A when aligned and to M when not. With
the true base rate π an uninformative strategy expects π_o·m_o = 1/2 on either side whatever it votes, so nothing before
tax; the clip gives that up below π = 1/8 (`multiplier_q10`). Every seat pays the seat tax on M. A no-show or late reveal adds
its penalty to M in place of a vote, an abstention adds nothing. The kind's factor scales all three, as it says how much a
round of that kind weighs.

Two policy values, neutral by default, raise the points *against* a wrong vote and nothing else: ``missed_unsafe_q10`` is a factor
for SAFE on what is UNSAFE, and ``joint_error_q10`` adds that part for each other seat that was wrong in the same way. No
strategy expects more under them.

Roundings: each division below rounds to the nearest q10, halves up; nothing else is rounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from sigma_core.assembly.consensus import RoundOutcome, TruthSource, Vote
from sigma_core.audit.model import Verdict
from sigma_core.policy import Q10, Policy, StandingRules
from sigma_core.standing.ledger import LedgerEntry, LedgerInvalid, Reason, ReputationEvent, ReputationKind, decayed_q10


class RoundKind(StrEnum):
    """What kind of round a vote was cast in; validators cannot tell a canary from a certificate round."""

    CERTIFICATE = "CERTIFICATE"
    CANARY = "CANARY"
    MONITORING = "MONITORING"


@dataclass(frozen=True, slots=True)
class ScoredSeat:
    """One seat of a resolved round. ``late`` marks a NO_SHOW whose commitment was not opened in time, ``low_quality`` a
    review that failed its quality checks. ``canary_label`` is the truth for this seat alone when a canary file was planted in
    its view."""

    phase: int
    number: int
    validator_id: str
    vote: Vote
    late: bool = False
    low_quality: bool = False
    canary_label: Verdict | None = None

    @property
    def name(self) -> str:
        """``phase.number``, unique in the round."""
        return f"{self.phase}.{self.number}"


@dataclass(frozen=True, slots=True)
class ResolvedRound:
    """A round whose truth is known. ``day`` is the UTC day of the resolution and of its entries; ``resolution`` counts the
    truths that the round has had (0 = the first; a correction is the next). ``escalated``: the round ended so and was resolved later;
    ``overturned``: the truth contradicts the outcome that the round had published."""

    round_id: str
    kind: RoundKind
    seats: tuple[ScoredSeat, ...]
    truth: Verdict
    truth_source: TruthSource
    day: int
    resolution: int = 0
    escalated: bool = False
    overturned: bool = False


@dataclass(frozen=True, slots=True)
class BaseRates:
    """How often each truth occurred, frozen for one epoch: weights in q10 rounds, the Beta prior included.

    ``blind`` covers certificate and canary rounds together, each weighted by its factor, as validators cannot tell them
    apart; ``monitoring`` stands alone. Pairs are (SAFE, UNSAFE).
    """

    blind: tuple[int, int]
    monitoring: tuple[int, int]

    def multiplier_q10(self, kind: RoundKind, truth: Verdict, rules: StandingRules) -> int:
        """m_o = clip(1/(2·π_o)) in q10. Between π = 1/8 and 7/8 the clip is idle, and π_o·m_o is 1/2 to the rounding."""
        safe, unsafe = self.monitoring if kind is RoundKind.MONITORING else self.blind
        of_truth = safe if truth is Verdict.SAFE else unsafe
        exact = _nearest(Q10 * (safe + unsafe), 2 * of_truth)
        return min(max(exact, rules.min_multiplier_q10), rules.max_multiplier_q10)


def base_rates(resolved: pl.DataFrame, epoch_day: int, rules: StandingRules) -> BaseRates:
    """The base rates of the epoch that begins on ``epoch_day``.

    ``resolved`` has one row for each resolved round (``round_id``, ``kind``, ``truth``, ``day`` of resolution). A round counts
    once, with its current truth, whatever its panel's size, and only when it was resolved in the ``base_rate_trailing_days``
    days before the epoch: no round moves the rate by which it is itself scored, and votes never do. Raises LedgerInvalid
    for a round listed twice.
    """
    twice = resolved.filter(resolved["round_id"].is_duplicated())["round_id"].sort()
    if len(twice):
        raise LedgerInvalid(f"base rates: round {twice[0]} is listed twice; a round has one current truth")
    day = pl.col("day")
    counts = (
        resolved.filter(day.is_between(epoch_day - rules.base_rate_trailing_days, epoch_day - 1))
        .group_by("kind", "truth")
        .len()
    )
    rounds: dict[tuple[str, str], int] = {(kind, truth): count for kind, truth, count in counts.iter_rows()}

    def weight(truth: Verdict, *kinds: RoundKind) -> int:
        seen = sum(rounds.get((kind.value, truth.value), 0) * _factor_q10(kind, rules) for kind in kinds)
        return rules.base_rate_prior * Q10 + seen

    def pair(*kinds: RoundKind) -> tuple[int, int]:
        return weight(Verdict.SAFE, *kinds), weight(Verdict.UNSAFE, *kinds)

    return BaseRates(blind=pair(RoundKind.CERTIFICATE, RoundKind.CANARY), monitoring=pair(RoundKind.MONITORING))


def score_round(resolved: ResolvedRound, rates: BaseRates, policy: Policy) -> list[LedgerEntry]:
    """One ledger entry for each seat, in seat order. Raises LedgerInvalid for a seat that appears twice or a truth that is
    neither SAFE nor UNSAFE."""
    _check(resolved)
    entries = []
    wrong = sum(seat.canary_label is None and _is_wrong(seat, resolved.truth) for seat in resolved.seats)
    for seat in _in_order(resolved.seats):
        kind, truth, source, together = resolved.kind, resolved.truth, resolved.truth_source, wrong
        if seat.canary_label is not None:
            kind, truth, source, together = RoundKind.CANARY, seat.canary_label, TruthSource.CANARY_LABEL, 1
        reason, aligned, misaligned = _points(seat, kind, truth, together, rates, policy.standing)
        entries.append(
            LedgerEntry(
                entry_key=score_key(resolved.round_id, seat.name, resolved.resolution),
                validator_id=seat.validator_id,
                round_id=resolved.round_id,
                seat=seat.name,
                day=resolved.day,
                aligned_q10=aligned,
                misaligned_q10=misaligned,
                reason=reason,
                truth_source=source.value,
                policy_hash=policy.hash,
            )
        )
    return entries


def score_key(round_id: str, seat: str, resolution: int) -> str:
    """The key of the entry that scores a seat."""
    return f"{round_id}/{seat}/score/{resolution}"


def _is_wrong(seat: ScoredSeat, truth: Verdict) -> bool:
    return seat.vote in (Vote.SAFE, Vote.UNSAFE) and seat.vote.value != truth.value


def _points(
    seat: ScoredSeat, kind: RoundKind, truth: Verdict, wrong: int, rates: BaseRates, rules: StandingRules
) -> tuple[Reason, int, int]:
    """(reason, aligned, misaligned) of one seat, in q10; ``wrong`` seats, it included, were wrong in the same way."""
    factor = _factor_q10(kind, rules)
    tax = _nearest(rules.seat_tax_q10 * factor, Q10)
    if seat.vote is Vote.NO_SHOW:
        reason = Reason.LATE_REVEAL if seat.late else Reason.NO_SHOW
        return reason, 0, tax + _nearest(rules.no_show_q10 * factor, Q10)
    if seat.vote is Vote.ABSTAIN:
        return Reason.ABSTAINED, 0, tax
    points = _nearest(rules.points_q10 * rates.multiplier_q10(kind, truth, rules) * factor, Q10 * Q10)
    if not _is_wrong(seat, truth):
        return Reason.ALIGNED, points, tax
    if truth is Verdict.UNSAFE:
        points = _nearest(points * rules.missed_unsafe_q10, Q10)
    points = _nearest(points * (Q10 + rules.joint_error_q10 * (wrong - 1)), Q10)
    return Reason.MISALIGNED, 0, tax + points


def compensate(entries: Iterable[LedgerEntry], day: int, source: TruthSource, policy: Policy) -> list[LedgerEntry]:
    """Entries that take back ``entries`` on ``day``, for the ``source`` that corrected the truth.

    Each takes back what is left of its original after decay, so a side never falls below zero: x·D >> b of a sum is at
    least the sum of the parts' floors. What the floors leave stays below 2/(1 − D/2^b) q10, 0.09 point by default. Score the
    corrected round with the next ``resolution``. Raises LedgerInvalid for an entry that is a compensation or of a later day.
    """
    compensations = []
    for entry in entries:
        if entry.reason is Reason.COMPENSATION:
            raise LedgerInvalid(f"entry {entry.entry_key}: a compensation is not compensated; score the round again")
        if day < entry.day:
            raise LedgerInvalid(
                f"entry {entry.entry_key} of day {entry.day} cannot be compensated on day {day} before it"
            )
        compensations.append(
            LedgerEntry(
                entry_key=f"{entry.entry_key}/undo",
                validator_id=entry.validator_id,
                round_id=entry.round_id,
                seat=entry.seat,
                day=day,
                aligned_q10=-decayed_q10(entry.aligned_q10, day - entry.day, policy.standing),
                misaligned_q10=-decayed_q10(entry.misaligned_q10, day - entry.day, policy.standing),
                reason=Reason.COMPENSATION,
                truth_source=source.value,
                policy_hash=policy.hash,
            )
        )
    return compensations


def reputation_events(resolved: ResolvedRound, policy: Policy) -> list[ReputationEvent]:
    """At most one event for each seat, in seat order: the gravest that applies. An abstention, and a lone misaligned vote
    that neither escalated the round nor carried it, are no event: accuracy already tells of them."""
    _check(resolved)
    events = []
    for seat in _in_order(resolved.seats):
        kind = _conduct(seat, resolved)
        if kind is not None:
            events.append(
                ReputationEvent(
                    entry_key=f"{resolved.round_id}/{seat.name}/conduct/{resolved.resolution}",
                    validator_id=seat.validator_id,
                    round_id=resolved.round_id,
                    day=resolved.day,
                    kind=kind,
                    policy_hash=policy.hash,
                    detail={"seat": seat.name, "vote": seat.vote.value, "truthSource": resolved.truth_source.value},
                )
            )
    return events


def compensate_events(
    events: Iterable[ReputationEvent], changes: Mapping[str, Any], day: int, source: TruthSource, policy: Policy
) -> list[ReputationEvent]:
    """Events that take back ``events`` on ``day``; ``changes`` are `reputation.taken_back_ppm`, by entry key. Raises LedgerInvalid for
    an event that is a compensation or of a later day, or has no change."""
    compensations = []
    for event in events:
        if (
            event.kind is ReputationKind.COMPENSATION
            or day < event.day
            or type(changes.get(event.entry_key)) is not int
        ):
            raise LedgerInvalid(
                f"reputation event {event.entry_key} of day {event.day} cannot be compensated on day {day}"
            )
        compensations.append(
            ReputationEvent(
                entry_key=f"{event.entry_key}/undo",
                validator_id=event.validator_id,
                round_id=event.round_id,
                day=day,
                kind=ReputationKind.COMPENSATION,
                policy_hash=policy.hash,
                detail={"change_ppm": changes[event.entry_key], "truthSource": source.value},
            )
        )
    return compensations


def sanction(
    entry_key: str, validator_id: str, day: int, ceiling_ppm: int, reason: str, policy: Policy
) -> ReputationEvent:
    """An operator's sanction: reputation stays at or below ``ceiling_ppm`` until a SANCTION_LIFTED event."""
    detail = {"ceiling_ppm": ceiling_ppm, "reason": reason}
    return ReputationEvent(entry_key, validator_id, None, day, ReputationKind.SANCTION, policy.hash, detail)


def lift_sanctions(entry_key: str, validator_id: str, day: int, reason: str, policy: Policy) -> ReputationEvent:
    """The end of every sanction of a validator: its reputation is no longer held down, and is earned back from where it is."""
    return ReputationEvent(
        entry_key, validator_id, None, day, ReputationKind.SANCTION_LIFTED, policy.hash, {"reason": reason}
    )


def overturns(outcome: str | None, number: int, truth: Verdict) -> bool:
    """Whether the truth with this number contradicts the outcome that the round had published."""
    said = {RoundOutcome.APPROVED: Verdict.SAFE, RoundOutcome.REJECTED: Verdict.UNSAFE}
    return number > 0 and outcome in said and said[RoundOutcome(outcome)] is not truth


def _conduct(seat: ScoredSeat, resolved: ResolvedRound) -> ReputationKind | None:
    if seat.vote is Vote.NO_SHOW:
        return ReputationKind.DISPUTED
    if seat.low_quality:
        return ReputationKind.LOW_QUALITY
    if seat.vote is Vote.ABSTAIN:
        return None
    if seat.vote.value == (seat.canary_label or resolved.truth).value:
        return ReputationKind.CONSTRUCTIVE
    if resolved.escalated:
        return ReputationKind.ATTRIBUTABLE_ESCALATION
    return ReputationKind.DISPUTED if resolved.overturned else None


def _check(resolved: ResolvedRound) -> None:
    if resolved.truth is Verdict.ABSTAIN or any(seat.canary_label is Verdict.ABSTAIN for seat in resolved.seats):
        raise LedgerInvalid(f"round {resolved.round_id}: ABSTAIN is no truth; nobody is scored until it is resolved")
    if resolved.day < 0:
        raise LedgerInvalid(f"round {resolved.round_id}: day {resolved.day} is before 1970-01-01")
    name, times = Counter(seat.name for seat in resolved.seats).most_common(1)[0] if resolved.seats else ("", 0)
    if times > 1:
        raise LedgerInvalid(f"round {resolved.round_id}: seat {name} appears {times} times")


def _in_order(seats: Sequence[ScoredSeat]) -> list[ScoredSeat]:
    return sorted(seats, key=lambda seat: (seat.phase, seat.number))


def _factor_q10(kind: RoundKind, rules: StandingRules) -> int:
    return {
        RoundKind.CERTIFICATE: rules.factor_certificate_q10,
        RoundKind.CANARY: rules.factor_canary_q10,
        RoundKind.MONITORING: rules.factor_monitoring_q10,
    }[kind]


def _nearest(numerator: int, denominator: int) -> int:
    """numerator / denominator, both ≥ 0, to the nearest integer, halves up."""
    return (2 * numerator + denominator) // (2 * denominator)

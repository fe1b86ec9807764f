"""What a round's public record says of standing: the truths that the round had, the ledger lines that they brought, and those lines
recomputed from truths, votes and policy.

Three things are stated and cannot follow from one round: what somebody resolved, the base rates, which rest on all rounds, and the
change of a reputation that a compensation makes, which rests on the validator's whole history. `unchecked` names them for the reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sigma_core.assembly.commit_reveal import SeatStatus
from sigma_core.assembly.consensus import Outcome, RoundOutcome, TruthSource, Vote
from sigma_core.audit.model import Verdict
from sigma_core.canonical import Json, canonical_json, sha256_of
from sigma_core.policy import Policy
from sigma_core.standing.ledger import LedgerEntry, LedgerInvalid, Reason, ReputationEvent, ReputationKind
from sigma_core.standing.lines import Lines, canary_lines, resolved_lines, taken_back
from sigma_core.standing.payouts import PayoutKind, PayoutLine
from sigma_core.standing.points import BaseRates, ResolvedRound, RoundKind, ScoredSeat, overturns

LAST_DAY = 100_000
"""Later days (after the year 2243) are not recomputed, as decay goes day by day."""

MOST_TRUTHS = 100
"""So that a hostile document cannot make a replay decay for ever."""

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=0)]
Day = Annotated[int, Field(ge=0, le=LAST_DAY)]
Weight = Annotated[int, Field(ge=1)]
Words = Annotated[str, Field(min_length=1)]


_Line = TypeVar("_Line", LedgerEntry, ReputationEvent, PayoutLine)


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid", strict=True, frozen=True)


class BaseRatesPart(_Part):
    """`BaseRates`: (SAFE, UNSAFE) in q10 rounds."""

    blind: tuple[Weight, Weight]
    monitoring: tuple[Weight, Weight]


class TruthPart(_Part):
    """One truth and what it was scored by. ``actor`` and ``reason`` are null where the outcome itself brought it; ``day`` is the UTC
    day on which it became known."""

    number: Number
    truth: Verdict
    truth_source: TruthSource
    actor: Words | None
    reason: Words | None
    day: Day
    kind: RoundKind
    base_rates: BaseRatesPart
    policy_hash: Digest


class MissesPart(_Part):
    """What missed canary files were scored by; ``day`` is the UTC day of the decision."""

    day: Day
    base_rates: BaseRatesPart
    policy_hash: Digest


class EntryPart(_Part):
    """`LedgerEntry`."""

    entry_key: str
    validator_id: str
    round_id: str
    seat: str
    day: Day
    aligned_q10: int
    misaligned_q10: int
    reason: Reason
    truth_source: str
    policy_hash: Digest


class EventPart(_Part):
    """`ReputationEvent`."""

    entry_key: str
    validator_id: str
    round_id: str | None
    day: Day
    kind: ReputationKind
    policy_hash: Digest
    detail: dict[str, Any]


class PayoutPart(_Part):
    """`PayoutLine`."""

    entry_key: str
    round_id: str
    validator_id: str | None
    day: Day
    kind: PayoutKind
    amount_micro_usd: int
    policy_hash: Digest


class StandingPart(_Part):
    """The ``standing`` of a replay document: lines in the order in which they were booked, and the policies that set them."""

    truths: Annotated[tuple[TruthPart, ...], Field(max_length=MOST_TRUTHS)]
    policies: dict[Digest, dict[str, Any]]
    accuracy_entries: tuple[EntryPart, ...]
    reputation_events: tuple[EventPart, ...]
    payout_lines: tuple[PayoutPart, ...]
    misses: MissesPart | None = None


def standing_json(
    truths: Sequence[TruthPart],
    policies: Mapping[str, Mapping[str, Any]],
    lines: Lines,
    misses: MissesPart | None = None,
) -> dict[str, Any]:
    """The ``standing`` part of a round's public record, as plain JSON (`StandingPart`)."""
    part = StandingPart(
        truths=tuple(truths),
        policies={name: dict(policy) for name, policy in policies.items()},
        accuracy_entries=tuple(EntryPart(**asdict(entry)) for entry in lines.entries),
        reputation_events=tuple(EventPart(**asdict(event)) for event in lines.events),
        payout_lines=tuple(PayoutPart(**asdict(line)) for line in lines.payouts),
        misses=misses,
    )
    return part.model_dump(mode="json", by_alias=True)


def recomputed_standing(document: Mapping[str, Any], outcome: Outcome) -> Json:
    """The ``standing`` part of a replay document, recomputed from the truths that it states and the document's votes.

    It is an `assembly.replay.StandingReplay`. Raises LedgerInvalid for a part of another shape and truths that cannot be.
    """
    try:
        stated = StandingPart.model_validate_json(canonical_json(document["standing"]))
    except ValidationError as error:
        first = error.errors()[0]
        raise LedgerInvalid(f"standing: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    _check_truths(stated.truths, outcome)
    changes = {
        event.entry_key.removesuffix("/undo"): event.detail.get("change_ppm")
        for event in stated.reputation_events
        if event.kind is ReputationKind.COMPENSATION
    }
    lines = latest = Lines()
    if stated.misses is not None:
        policy = _policy(stated.misses.policy_hash, document, stated.policies)
        rates = BaseRates(stated.misses.base_rates.blind, stated.misses.base_rates.monitoring)
        missed = canary_lines(_missed(document, outcome, stated.misses), rates, policy)
        lines = _named(missed, policy, stated.misses.policy_hash)
    for truth in stated.truths:
        policy = _policy(truth.policy_hash, document, stated.policies)
        undone = taken_back(latest, changes, truth.day, truth.truth_source, policy)
        rates = BaseRates(truth.base_rates.blind, truth.base_rates.monitoring)
        latest = _named(resolved_lines(_resolved(document, outcome, truth), rates, policy), policy, truth.policy_hash)
        lines = lines + _named(undone, policy, truth.policy_hash) + latest
    return standing_json(stated.truths, stated.policies, lines, stated.misses)


def unchecked(document: Mapping[str, Any]) -> tuple[str, ...]:
    """What of the ``standing`` part that agrees with the rest of a replay document no recomputation covers; nothing where it has none."""
    standing = document.get("standing")
    if standing is None:
        known = document["outcome"].get("scored") is True or bool(document["canary"]["missedBy"])
        return ("$.standing: nothing is booked yet, or it was left out",) if known else ()
    lines = ["$.standing.truths[].baseRates: they rest on all rounds"]
    if any(truth["actor"] is not None for truth in standing["truths"]):
        lines.append("$.standing.truths: what somebody resolved, when and why, follows from nothing else")
    if any(event["kind"] == ReputationKind.COMPENSATION for event in standing["reputationEvents"]):
        lines.append(
            "$.standing.reputationEvents[].detail.change_ppm: it rests on the validator's whole history",
        )
    return tuple(lines)


def _named(lines: Lines, policy: Policy, digest: str) -> Lines:
    """``lines`` with ``digest`` for the policy: one that was written before some value existed had another hash than it has now."""

    def named(line: _Line) -> _Line:
        return replace(line, policy_hash=digest) if line.policy_hash == policy.hash else line

    return Lines([*map(named, lines.entries)], [*map(named, lines.events)], [*map(named, lines.payouts)])


def _check_truths(truths: Sequence[TruthPart], outcome: Outcome) -> None:
    """Numbers from 0, each another truth than the one before, from a source that may correct it; the outcome's own is the first."""
    for number, truth in enumerate(truths):
        place = f"standing: truth {number}"
        of_outcome = number == 0 and outcome.scored
        if truth.number != number:
            raise LedgerInvalid(f"{place} has the number {truth.number}")
        if of_outcome and (truth.truth, truth.truth_source) != (outcome.truth, outcome.truth_source):
            raise LedgerInvalid(f"{place} is not the outcome's {outcome.truth} by {outcome.truth_source}")
        if of_outcome is not (truth.actor is None) or of_outcome is not (truth.reason is None):
            raise LedgerInvalid(f"{place}: a truth has an actor and a reason exactly if the outcome did not bring it")
        if number:
            before = truths[number - 1]
            if truth.truth is before.truth or not truth.truth_source.may_correct(before.truth_source):
                raise LedgerInvalid(f"{place} cannot correct {before.truth} by {before.truth_source}")


def policy_in(document: Mapping[str, Any], digest: str) -> Policy:
    """The policy with this hash from a replay document. Raises LedgerInvalid when it is not in there."""
    standing = document.get("standing") or {}
    others = standing.get("policies")
    return _policy(digest, document, others if isinstance(others, Mapping) else {})


def _policy(digest: str, document: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> Policy:
    """The policy that has this hash: the round's own, or one of the standing's."""
    policy = document["policy"] if digest == document["policyHash"] else others.get(digest)
    if policy is None or sha256_of(dict(policy)) != digest:
        raise LedgerInvalid(f"policy {digest} is not in the document")
    try:
        return Policy.model_validate_json(canonical_json(dict(policy)))
    except ValidationError as error:
        first = error.errors()[0]
        raise LedgerInvalid(f"policy {digest}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _resolved(document: Mapping[str, Any], outcome: Outcome, truth: TruthPart) -> ResolvedRound:
    return ResolvedRound(
        round_id=document["roundId"],
        kind=truth.kind,
        seats=_seats(document),
        truth=truth.truth,
        truth_source=truth.truth_source,
        day=truth.day,
        resolution=truth.number,
        escalated=outcome.outcome is RoundOutcome.ESCALATED,
        overturned=overturns(outcome.outcome, truth.number, truth.truth),
    )


def _missed(document: Mapping[str, Any], outcome: Outcome, misses: MissesPart) -> ResolvedRound:
    return ResolvedRound(
        round_id=document["roundId"],
        kind=RoundKind.CANARY,
        seats=_seats(document),
        truth=Verdict.UNSAFE,
        truth_source=TruthSource.CANARY_LABEL,
        day=misses.day,
        escalated=outcome.outcome is RoundOutcome.ESCALATED,
    )


def _seats(document: Mapping[str, Any]) -> tuple[ScoredSeat, ...]:
    """All seats with their votes; those that missed a canary file have its label."""
    missed = {(miss["phase"], miss["seat"]) for miss in document["canary"]["missedBy"]}
    return tuple(
        ScoredSeat(
            phase["phase"],
            seat["number"],
            seat["validatorId"],
            _vote(seat),
            late=seat["status"] == SeatStatus.NO_SHOW and seat["commitment"] is not None,
            canary_label=Verdict.UNSAFE if (phase["phase"], seat["number"]) in missed else None,
        )
        for phase in document["phases"]
        for seat in phase["seats"]
    )


def _vote(seat: Mapping[str, Any]) -> Vote:
    """The vote of a seat that a replay has opened already."""
    if seat["status"] == SeatStatus.NO_SHOW:
        return Vote.NO_SHOW
    if seat["status"] != SeatStatus.REVEALED:
        return Vote.ABSTAIN
    try:
        return Vote(str((seat["verdict"] or {}).get("verdict")))
    except ValueError:
        raise LedgerInvalid(f"standing: seat {seat['number']} revealed no vote") from None

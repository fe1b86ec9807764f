"""Sealed votes: commit to a verdict, reveal it when the phase has closed.

    commitment = SHA-256(domain, round id, phase, seat, validator id, SHA-256 of the verdict document, salt)

It binds seat and validator, so a copied commitment cannot be opened by the one who copied it; a salt of 32 bytes keeps
others from guessing the verdict. Nothing is revealed while anybody may still commit:

- *Committing*. The holder of a seat commits, or abstains openly, or lets the deadline pass (no-show), or is taken off
  the seat (removed). Seats of the last three kinds may be redrawn, and only now: a replacement that came after the first
  reveal could copy.
- *Revealing*, after `PhaseClosed`. A reveal that matches its commitment counts. One that does not makes the seat a
  no-show for good.
- *Closed*, after `RevealsClosed`. Who committed and did not reveal is a no-show.

`apply` is the whole state machine: a ballot and an event in, the next ballot out. An event that the rules refuse raises
BallotError and changes nothing. Whether an event really comes from the seat's holder is for the caller to check.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sigma_core.assembly.consensus import Vote
from sigma_core.assembly.selection import Panel
from sigma_core.assembly.transcript import is_hex, transcript, transcript_hash
from sigma_core.audit.model import Verdict
from sigma_core.canonical import NotCanonical, sha256_of
from sigma_core.errors import SigmaError


class BallotError(SigmaError):
    """An event that the rules refuse; names the seat and the rule."""

    code = "BALLOT_REFUSED"


def commitment(round_id: str, phase: int, seat: int, validator_id: str, *, verdict_hash: str, salt: str) -> str:
    """What a seat commits to, 64 hex digits; ``verdict_hash`` is `AuditResult.sha256`, ``salt`` 64 hex digits."""
    return transcript_hash("sigma-commitment-v1", round_id, phase, seat, validator_id, verdict_hash, salt)


def derived_salt(secret: bytes, round_id: str, phase: int, seat: int, validator_id: str) -> str:
    """A salt that needs no storage: HMAC-SHA256 under the validator's ``secret``, 64 hex digits."""
    place = transcript("sigma-salt-v1", round_id, phase, seat, validator_id).digest()
    return hmac.new(secret, place, hashlib.sha256).hexdigest()


class Stage(StrEnum):
    """Where a ballot stands."""

    COMMITTING = "COMMITTING"
    REVEALING = "REVEALING"
    CLOSED = "CLOSED"


class SeatStatus(StrEnum):
    """What a seat has done so far. REVEALED, ABSTAINED, NO_SHOW and REMOVED are final."""

    PENDING = "PENDING"
    COMMITTED = "COMMITTED"
    REVEALED = "REVEALED"
    ABSTAINED = "ABSTAINED"
    NO_SHOW = "NO_SHOW"
    REMOVED = "REMOVED"


@dataclass(frozen=True, slots=True)
class SealedVote:
    """One seat's part of a ballot; ``verdict`` is the revealed document (`AuditResult.as_json`)."""

    seat: int
    validator_id: str
    status: SeatStatus = SeatStatus.PENDING
    commitment: str | None = None
    salt: str | None = None
    verdict: Mapping[str, Any] | None = None

    @property
    def vote(self) -> Vote:
        """How the seat counts now: only a revealed verdict is more than ABSTAIN or NO_SHOW."""
        if self.verdict is not None:
            return Vote(self.verdict["verdict"])
        # Who is taken off a seat did not stay away from it.
        return Vote.ABSTAIN if self.status in (SeatStatus.ABSTAINED, SeatStatus.REMOVED) else Vote.NO_SHOW

    @property
    def vacant(self) -> bool:
        """Whether the seat lost its holder before anything was revealed, so that it may be redrawn."""
        given_up = (SeatStatus.ABSTAINED, SeatStatus.NO_SHOW, SeatStatus.REMOVED)
        return self.commitment is None and self.status in given_up


@dataclass(frozen=True, slots=True)
class Ballot:
    """The sealed votes of one phase by seat number."""

    round_id: str
    phase: int
    stage: Stage = Stage.COMMITTING
    votes: Mapping[int, SealedVote] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PanelSeated:
    """The panel was drawn, or has new seats."""

    panel: Panel


@dataclass(frozen=True, slots=True)
class Committed:
    """A seat handed in its commitment."""

    seat: int
    validator_id: str
    commitment: str


@dataclass(frozen=True, slots=True)
class Abstained:
    """A seat openly gave up its vote."""

    seat: int
    validator_id: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A seat was taken from its holder, who may have committed already: what was sealed is then void."""

    seat: int
    validator_id: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """Time is up for the seats that are pending now."""


@dataclass(frozen=True, slots=True)
class PhaseClosed:
    """No commitment is taken any more; reveals are."""


@dataclass(frozen=True, slots=True)
class Revealed:
    """A seat opened its commitment."""

    seat: int
    validator_id: str
    verdict: Mapping[str, Any]
    salt: str


@dataclass(frozen=True, slots=True)
class RevealsClosed:
    """No reveal is taken any more."""


Event = PanelSeated | Committed | Abstained | Removed | DeadlinePassed | PhaseClosed | Revealed | RevealsClosed


def apply(ballot: Ballot, event: Event) -> Ballot:
    """The ballot after ``event``. Raises BallotError when the stage or the seat does not allow it."""
    match event:
        case PanelSeated(panel):
            _require(ballot, Stage.COMMITTING, "no seat is added after the phase has closed")
            if panel.phase != ballot.phase:
                raise BallotError(f"the ballot is of phase {ballot.phase}, the panel of phase {panel.phase}")
            new = {s.number: SealedVote(s.number, s.validator_id) for s in panel.seats if s.number not in ballot.votes}
            return replace(ballot, votes={**ballot.votes, **new})
        case Committed():
            _require(ballot, Stage.COMMITTING, f"seat {event.seat}: a commitment after the phase has closed is late")
            held = _held(ballot, event.seat, event.validator_id, SeatStatus.PENDING)
            if not is_hex(event.commitment, 64):
                raise BallotError(f"phase {ballot.phase}: seat {event.seat}: a commitment is 64 hex digits")
            return _with(ballot, replace(held, status=SeatStatus.COMMITTED, commitment=event.commitment))
        case Abstained():
            _require(ballot, Stage.COMMITTING, f"seat {event.seat}: nobody abstains after the phase has closed")
            held = _held(ballot, event.seat, event.validator_id, SeatStatus.PENDING)
            return _with(ballot, replace(held, status=SeatStatus.ABSTAINED))
        case Removed():
            _require(
                ballot, Stage.COMMITTING, f"seat {event.seat}: nobody is taken off a seat after the phase has closed"
            )
            held = _held(ballot, event.seat, event.validator_id, SeatStatus.PENDING, SeatStatus.COMMITTED)
            return _with(ballot, replace(held, status=SeatStatus.REMOVED, commitment=None))
        case DeadlinePassed():
            _require(ballot, Stage.COMMITTING, "the phase has closed already")
            return _no_shows(ballot, SeatStatus.PENDING, Stage.COMMITTING)
        case PhaseClosed():
            _require(ballot, Stage.COMMITTING, "the phase has closed already")
            return _no_shows(ballot, SeatStatus.PENDING, Stage.REVEALING)
        case Revealed():
            _require(ballot, Stage.REVEALING, f"seat {event.seat}: a reveal is taken between both closings only")
            held = _held(ballot, event.seat, event.validator_id, SeatStatus.COMMITTED)
            if not opens(ballot, held, event.verdict, event.salt):
                return _with(ballot, replace(held, status=SeatStatus.NO_SHOW))
            return _with(
                ballot, replace(held, status=SeatStatus.REVEALED, salt=event.salt, verdict=dict(event.verdict))
            )
        case RevealsClosed():
            _require(ballot, Stage.REVEALING, "reveals can close only after the phase has, and once")
            return _no_shows(ballot, SeatStatus.COMMITTED, Stage.CLOSED)


def opens(ballot: Ballot, held: SealedVote, verdict: Mapping[str, Any], salt: str) -> bool:
    """Whether ``verdict`` and ``salt`` are what the seat committed to, and say SAFE, UNSAFE or ABSTAIN."""
    try:
        Verdict(str(verdict.get("verdict")))
        verdict_hash = sha256_of(dict(verdict))
    except (ValueError, NotCanonical):
        return False
    stated = commitment(
        ballot.round_id, ballot.phase, held.seat, held.validator_id, verdict_hash=verdict_hash, salt=salt
    )
    return is_hex(salt, 64) and stated == held.commitment


def _require(ballot: Ballot, stage: Stage, rule: str) -> None:
    if ballot.stage is not stage:
        raise BallotError(f"phase {ballot.phase} is {ballot.stage.value}: {rule}", code=f"BALLOT_NOT_{stage.value}")


def _held(ballot: Ballot, seat: int, validator_id: str, *statuses: SeatStatus) -> SealedVote:
    held = ballot.votes.get(seat)
    if held is None or held.validator_id != validator_id:
        raise BallotError(f"phase {ballot.phase}: seat {seat} is not held by {validator_id}", code="BALLOT_WRONG_SEAT")
    if held.status not in statuses:
        raise BallotError(
            f"phase {ballot.phase}: seat {seat} is {held.status.value}, not {' or '.join(statuses)}: each step is taken once",
            code="BALLOT_DUPLICATE",
        )
    return held


def _with(ballot: Ballot, vote: SealedVote) -> Ballot:
    return replace(ballot, votes={**ballot.votes, vote.seat: vote})


def _no_shows(ballot: Ballot, waiting: SeatStatus, stage: Stage) -> Ballot:
    votes = {
        number: replace(vote, status=SeatStatus.NO_SHOW) if vote.status is waiting else vote
        for number, vote in ballot.votes.items()
    }
    return replace(ballot, stage=stage, votes=votes)

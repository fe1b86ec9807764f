"""What is known of a call and of each attempt at it: the record that usage accounting keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from sigma_core.canonical import sha256_hex

SIGNS_PER_TOKEN = 3
"""A low estimate (English prose has some 3.6), so that what is held for a call covers it."""


class AttemptState(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    """An answer came back whole; what it is worth is another matter."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    """The other one of a hedged pair was faster."""
    LOST = "lost"
    """The process that made it was killed before it could say more."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts in disjoint buckets."""

    uncached_in: int = 0
    cache_read: int = 0
    cache_write: int = 0
    out: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.uncached_in + self.cache_read + self.cache_write + self.out + self.reasoning


@dataclass(frozen=True)
class Call:
    """One question to one model, with the bytes that are sent. ``key`` names it for good: a call that was answered is never
    made again. ``tokens_in`` and ``tokens_out`` are what it may take at most, by estimate."""

    key: str
    round_id: str
    submission_id: str
    phase: int
    validator_id: str
    purpose: str
    provider: str
    model: str
    body: bytes = field(repr=False)
    tokens_in: int
    tokens_out: int
    local: bool = False

    @cached_property
    def request_sha256(self) -> str:
        """SHA-256 hex of the request's bytes."""
        return sha256_hex(self.body)

    @cached_property
    def cache_key(self) -> str:
        """What makes two calls the same question: provider, model and request, byte for byte."""
        return sha256_hex(b"\0".join((self.provider.encode(), self.model.encode(), self.body)))


@dataclass(frozen=True)
class Attempt:
    """One HTTP exchange, or the try at one.

    ``code`` is the provider's finish reason or our name of the fault. ``tokens`` is None where nothing says how many;
    ``billed`` is False where a provider asks nothing for such an answer, None where that is unknown.
    """

    call: Call
    number: int
    state: AttemptState
    code: str
    http_status: int | None = None
    latency_us: int = 0
    tokens: Tokens | None = None
    reported_cost_micro_usd: int | None = None
    model_echoed: str = ""
    billed: bool | None = None
    response: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger says to a call: answered already (``response``), to be made (``next_attempt`` from 1), or in another
    worker's hands for ``wait_ms`` more at most."""

    response: bytes | None = field(default=None, repr=False)
    next_attempt: int = 1
    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held for one attempt (micro-USD), on the round's budget and on that of a UTC day (``2026-11-21``)."""

    micro_usd: int
    day: str


class NotAllowed(Exception):
    """No attempt may be made; the text says why."""


class BudgetSpent(NotAllowed):
    """The round's or the day's budget does not cover another attempt; the text says which and how much is left."""


class CallTaken(NotAllowed):
    """The claim lapsed, and another worker makes the call now."""


class Ledger(Protocol):
    """Where calls are claimed, paid and recorded; `sigma_core.usage.ledger` keeps it in the usage database."""

    def claim(self, call: Call) -> Claim:
        """Take the call, unless it is answered or taken."""
        ...

    def reserve(self, call: Call, attempt_number: int) -> Reservation:
        """Hold the most that this attempt may cost, and the call for as long as it may take. Raises BudgetSpent or CallTaken, and
        then nothing is held."""
        ...

    def record(self, attempt: Attempt, reservation: Reservation) -> None:
        """Append the attempt's row and settle what was held for it. Where it is `AttemptState.DONE` its response is kept, and the
        call is never made again."""
        ...

    def release(self, call: Call) -> None:
        """Give the call up unanswered, so that a later run may try it at once."""
        ...

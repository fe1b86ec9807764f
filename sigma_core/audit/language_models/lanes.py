"""The pressure that one provider and model takes: how many calls at once, how many a minute, and when none at all.

Everything here lives on one event loop, so nothing needs a lock. Times are seconds of the loop's clock; nothing in here is
replayed or hashed.
"""

from __future__ import annotations

import asyncio
import email.utils
from collections import deque
from datetime import UTC, datetime

from sigma_core.canonical import sha256_hex
from sigma_core.policy import LanguageModelRules

MAX_LATENCIES = 200
MAX_SECONDS_DIGITS = 10
"""Three hundred years: longer than any wait that is waited, and still a number."""


class Limiter:
    """Additive increase, multiplicative decrease: a 429 halves the calls at once, as many good answers as fit add one."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = most
        self.in_use = 0
        self._good = 0
        self._paused_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def answered(self) -> None:
        """A good answer came back."""
        self._good += 1
        if self._good >= self.limit and self.limit < self.most:
            self.limit, self._good = self.limit + 1, 0
            self._wake()

    def throttled(self, pause: float) -> None:
        """The provider said 429: half as many at once, and none for ``pause`` seconds."""
        self.limit, self._good = max(self.limit // 2, 1), 0
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + pause)

    @property
    def free(self) -> bool:
        """Whether a slot is free now."""
        return self.in_use < self.limit and asyncio.get_running_loop().time() >= self._paused_until

    async def acquire(self) -> None:
        """Wait for a free slot and hold it until `release`."""
        loop = asyncio.get_running_loop()
        while True:
            if (pause := self._paused_until - loop.time()) > 0:
                await asyncio.sleep(pause)
            elif self.in_use < self.limit:
                self.in_use += 1
                return
            else:
                turn = loop.create_future()
                self._waiting.append(turn)
                try:
                    await turn
                except asyncio.CancelledError:
                    if turn.done() and not turn.cancelled():
                        self._wake()  # the turn was given to us: pass it on
                    raise

    def release(self) -> None:
        """Give the slot back."""
        self.in_use -= 1
        self._wake()

    def _wake(self) -> None:
        free = self.limit - self.in_use
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1


class Bucket:
    """So many units a minute, a sixth of which may come at once. A request for more than that waits for a full bucket."""

    def __init__(self, per_minute: int) -> None:
        self._rate = per_minute / 60
        self._most = max(per_minute / 6, 1.0)
        self._held = self._most
        self._at: float | None = None
        self._turn = asyncio.Lock()

    async def take(self, units: int) -> None:
        """Wait until ``units`` may be used; first come, first served."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            wanted = min(float(units), self._most)
            while True:
                now = loop.time()
                self._held = min(
                    self._most, self._held + (now - (self._at if self._at is not None else now)) * self._rate
                )
                self._at = now
                # What is short of a millisecond's worth is not worth a sleep.
                if self._held + self._rate / 1_000 >= wanted:
                    self._held -= wanted
                    return
                await asyncio.sleep((wanted - self._held) / self._rate)


class Breaker:
    """After so many faults in a row no call is made for a while; then one, and its end decides."""

    def __init__(self, failures: int, open_seconds: float) -> None:
        self._most = failures
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    def admits(self) -> bool:
        """Whether a call may be made now. When it says so after a pause, the call is the one that is let through."""
        if self._opened_at is None:
            return True
        if self._probing or asyncio.get_running_loop().time() < self._opened_at + self._open_seconds:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The provider answered."""
        self._failures, self._opened_at, self._probing = 0, None, False

    def failed(self, *, for_good: bool = False) -> None:
        """It did not; ``for_good`` (a refused key) opens the breaker at once."""
        self._failures += 1
        if self._probing or for_good or self._failures >= self._most:
            self._opened_at, self._probing = asyncio.get_running_loop().time(), False

    def unsettled(self) -> None:
        """The call that was let through ended without saying anything about the provider: the next one may try."""
        self._probing = False


class Lane:
    """All of it for one provider and model, and how long its answers take."""

    def __init__(self, rules: LanguageModelRules) -> None:
        self.limiter = Limiter(rules.calls_at_once)
        self.requests = Bucket(rules.requests_per_minute)
        self.tokens = Bucket(rules.tokens_per_minute)
        self.breaker = Breaker(rules.breaker_failures, rules.breaker_open_ms / 1_000)
        self.trouble = "no answer so far"
        """What went wrong last, for whoever is not let through."""
        self._latencies: deque[float] = deque(maxlen=MAX_LATENCIES)
        self._hedge_after_calls = rules.hedge_after_calls

    def took(self, seconds: float) -> None:
        """A good answer took this long."""
        self._latencies.append(seconds)

    def hedge_after(self) -> float | None:
        """The 95th percentile of the model's answers in seconds, or None before there are enough of them."""
        if not self._hedge_after_calls or len(self._latencies) < self._hedge_after_calls:
            return None
        return sorted(self._latencies)[len(self._latencies) * 95 // 100]


def backoff_ms(call_key: str, attempt: int, base_ms: int, cap_ms: int) -> int:
    """Full jitter: 0 to min(cap, base · 2^(attempt − 1)) ms, drawn from the call and the attempt, so that a replay of the
    same faults waits the same."""
    most = min(cap_ms, base_ms << min(attempt - 1, 30))
    return int(sha256_hex(f"backoff/{call_key}/{attempt}".encode()), 16) % (most + 1)


def retry_after_ms(value: str | None, now: datetime) -> int | None:
    """``Retry-After`` as milliseconds from ``now`` (whole seconds or an HTTP date), or None where it says nothing."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return int(value.lstrip("0")[:MAX_SECONDS_DIGITS] or "0") * 1_000
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(int((moment - now).total_seconds() * 1_000), 0)

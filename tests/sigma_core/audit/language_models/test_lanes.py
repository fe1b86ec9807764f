"""The pressure that a provider takes: slots, rates, the breaker, and waits that a replay repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_samples import rules

from sigma_core.audit.language_models.lanes import Breaker, Bucket, Lane, Limiter, backoff_ms, retry_after_ms

T = TypeVar("T")
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped = 0.0

    def time(self) -> float:
        return self.jumped

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.jumped = max(self.jumped, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def timed(work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """The result and the seconds that it would have taken."""
    loop = Clock()
    try:
        return loop.run_until_complete(work), loop.jumped
    finally:
        loop.close()


def test_no_more_calls_at_once_than_the_limit() -> None:
    async def work() -> int:
        limiter, most = Limiter(3), 0

        async def one() -> None:
            nonlocal most
            await limiter.acquire()
            most = max(most, limiter.in_use)
            await asyncio.sleep(1)
            limiter.release()

        await asyncio.gather(*(one() for _ in range(9)))
        assert limiter.in_use == 0
        return most

    assert timed(work()) == (3, 3.0)


def test_a_429_halves_the_limit_and_good_answers_win_it_back_one_by_one() -> None:
    async def work() -> list[int]:
        limiter, seen = Limiter(8), []
        for _ in range(5):
            limiter.throttled(0)
            seen.append(limiter.limit)
        for _ in range(1 + 2 + 3):
            limiter.answered()
            seen.append(limiter.limit)
        for _ in range(100):
            limiter.answered()
        assert limiter.limit == 8
        return seen

    assert timed(work())[0] == [4, 2, 1, 1, 1, 2, 2, 3, 3, 3, 4]


def test_after_a_429_nobody_starts_before_the_pause_is_over() -> None:
    async def work() -> float:
        limiter = Limiter(2)
        limiter.throttled(7)
        assert not limiter.free
        await limiter.acquire()
        return asyncio.get_running_loop().time()

    assert timed(work())[0] == 7


def test_a_turn_that_is_given_up_goes_to_the_next() -> None:
    async def work() -> bool:
        limiter = Limiter(1)
        await limiter.acquire()
        first, second = asyncio.create_task(limiter.acquire()), asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        limiter.release()  # the turn is the first one's, which is cancelled before it can take it
        first.cancel()
        await asyncio.wait({second}, timeout=1)
        return second.done()

    assert timed(work())[0]


def test_a_bucket_gives_so_many_units_a_minute_and_a_sixth_at_once() -> None:
    async def work() -> list[float]:
        bucket, times = Bucket(60), []
        for _ in range(15):
            await bucket.take(1)
            times.append(asyncio.get_running_loop().time())
        return times

    times = timed(work())[0]
    assert times[:10] == [0.0] * 10
    assert [round(time) for time in times[10:]] == [1, 2, 3, 4, 5]


def test_a_call_larger_than_the_bucket_waits_for_a_full_one_and_not_for_ever() -> None:
    async def work() -> None:
        bucket = Bucket(600)
        await bucket.take(10**9)
        await bucket.take(10**9)

    assert 9 <= timed(work())[1] <= 11


def test_the_breaker_opens_after_faults_in_a_row_and_lets_one_call_try() -> None:
    async def work() -> list[bool]:
        breaker, seen = Breaker(3, 30), []
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
        for _ in range(3):
            seen.append(breaker.admits())
            breaker.failed()
        seen.append(breaker.admits())  # open
        await asyncio.sleep(31)
        seen += [breaker.admits(), breaker.admits()]  # one try, and nobody beside it
        breaker.failed()
        seen.append(breaker.admits())
        await asyncio.sleep(31)
        seen.append(breaker.admits())
        breaker.succeeded()
        seen += [breaker.admits(), breaker.admits()]
        return seen

    assert timed(work())[0] == [True, True, True, False, True, False, False, True, True, True]


def test_a_refused_key_opens_the_breaker_at_once_and_an_unsettled_try_does_not_keep_it_shut() -> None:
    async def work() -> list[bool]:
        breaker = Breaker(3, 30)
        breaker.failed(for_good=True)
        seen = [breaker.admits()]
        await asyncio.sleep(31)
        seen.append(breaker.admits())
        breaker.unsettled()
        seen.append(breaker.admits())
        return seen

    assert timed(work())[0] == [False, True, True]


def test_a_call_is_slow_after_the_95th_percentile_of_enough_answers() -> None:
    lane = Lane(rules(hedge_after_calls=20))
    for number in range(19):
        lane.took(number)
    assert lane.hedge_after() is None
    lane.took(19)
    assert lane.hedge_after() == 19
    assert Lane(rules(hedge_after_calls=0)).hedge_after() is None


@given(st.text(max_size=40), st.integers(1, 100), st.integers(1, 10_000), st.integers(1, 60_000))
def test_backoff_is_full_jitter_that_a_replay_repeats(key: str, attempt: int, base: int, cap: int) -> None:
    wait = backoff_ms(key, attempt, base, cap)
    assert 0 <= wait <= min(cap, base * 2 ** (attempt - 1))
    assert wait == backoff_ms(key, attempt, base, cap)


def test_calls_that_fail_together_do_not_come_back_together() -> None:
    assert len({backoff_ms(f"call-{number}", 4, 500, 20_000) for number in range(50)}) > 40


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("7", 7_000),
        (" 7 ", 7_000),
        ("1.5", None),
        ("-3", None),
        ("9" * 20, 9_999_999_999_000),
        ("0" * 20 + "7", 7_000),
        ("9" * 5_000, 9_999_999_999_000),
        ("soon", None),
        ("Sat, 21 Nov 2026 12:00:05 GMT", 5_000),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("Sat, 99 Nov 2026 12:00:05 GMT", None),
    ],
)
def test_retry_after_in_both_its_forms(value: str | None, milliseconds: int | None) -> None:
    assert retry_after_ms(value, NOW) == milliseconds

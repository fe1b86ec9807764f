"""Calls to language models: each asked until it is answered or given up, every attempt paid, bounded and recorded.

One `Caller` runs one event loop in one thread, for all rounds of a process, so that a provider's limits are kept whoever
asks. `ask_all` may be called from any thread and returns when every call is settled; a fault is a result, never an
exception. What an attempt can end in, and what follows, stands in `outcomes`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from sigma_core.audit.language_models.attempts import (
    Attempt,
    AttemptState,
    Call,
    CallTaken,
    Ledger,
    NotAllowed,
    Reservation,
)
from sigma_core.audit.language_models.dialects import Reply, read_response, request_headers
from sigma_core.audit.language_models.families import Endpoint
from sigma_core.audit.language_models.faults import explained, without_key
from sigma_core.audit.language_models.lanes import Lane, backoff_ms
from sigma_core.audit.language_models.outcomes import Ended, outcome_of
from sigma_core.audit.language_models.transport import HttpTransport, Response, TransportFault
from sigma_core.policy import LanguageModelRules
from sigma_core.timestamps import utc_now

_T = TypeVar("_T")
_LEDGER_THREADS = 8
_TOO_MANY = 429
_POLL_SECONDS = 0.5


class Transport(Protocol):
    """What sends: `transport.HttpTransport`."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, max_bytes: int) -> Response:
        """Send and read. Raises TransportFault."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


@dataclass(frozen=True, slots=True)
class Settled:
    """How a call ended: with a reply, or with the reason why there is none."""

    reply: Reply | None
    fault: str = ""


@dataclass(slots=True)
class _Task:
    """One call while it is being asked. ``sent`` is set when the newest attempt has gone out."""

    call: Call
    endpoint: Endpoint
    lane: Lane
    deadline: float
    number: int
    sent: asyncio.Event = field(default_factory=asyncio.Event)


class Caller:
    """Thread-safe; `close` it when the deployment closes."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        rules: LanguageModelRules,
        ledger: Ledger,
        transport: Transport | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._rules = rules
        self._ledger = ledger
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._books = ThreadPoolExecutor(_LEDGER_THREADS, thread_name_prefix="sigma-usage")
        self._transport = transport or HttpTransport()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sigma-models", daemon=True)
        self._thread.start()

    def ask_all(self, calls: Sequence[Call]) -> list[Settled]:
        """Settle all calls, at once as far as limits allow; results in the order of ``calls``.

        Raises only what the ledger raises (Unavailable), once every other call is settled.
        """

        async def all_of_them() -> list[Settled]:
            results = await asyncio.gather(*(self._ask(call) for call in calls), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            return [result for result in results if isinstance(result, Settled)]

        return asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result()

    def close(self) -> None:
        """End the loop and its thread. Calls that are under way are given up, and recorded as such."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._books.shutdown()

    async def _shut(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._transport.close()

    async def _ask(self, call: Call) -> Settled:
        endpoint = self._endpoints.get(call.provider)
        if endpoint is None:
            return Settled(None, f"provider {call.provider} is not set up here")
        patience = self._loop.time() + self._rules.call_deadline_ms / 1_000
        while True:
            claim = await self._book(lambda: self._ledger.claim(call))
            if claim.response is not None:
                return Settled(read_response(endpoint.provider.dialect, claim.response))
            if not claim.wait_ms:
                deadline = self._loop.time() + self._rules.call_deadline_ms / 1_000
                task = _Task(call, endpoint, self._lane(call), deadline, claim.next_attempt)
                ended = await self._until_answered(task)
                if ended.reply is not None:
                    return Settled(ended.reply)
                if not ended.taken:
                    await self._book(lambda: self._ledger.release(call))
                    return Settled(None, ended.fault)
            if self._loop.time() >= patience:
                return Settled(None, "another worker holds this call")
            await asyncio.sleep(min(claim.wait_ms / 1_000, _POLL_SECONDS))

    async def _until_answered(self, task: _Task) -> Ended:
        first = task.number
        last = first + self._rules.attempts_per_call
        while True:
            if not task.lane.breaker.admits():
                return Ended(None, fault=f"no calls to {task.call.provider} for a while; {task.lane.trouble}")
            ended = await self._hedged(task, may_hedge=task.number + 1 < last)
            if ended.reply is not None or not ended.again:
                return ended
            if task.number >= last:
                return replace(ended, fault=f"{ended.fault} ({task.number - first} attempts)")
            rules = self._rules
            wait_ms = backoff_ms(task.call.key, task.number - first, rules.backoff_base_ms, rules.backoff_cap_ms)
            pause = max(wait_ms, ended.wait_ms or 0) / 1_000
            if self._loop.time() + pause >= task.deadline:
                return replace(ended, fault=f"{ended.fault}, and no time was left to ask again")
            await asyncio.sleep(pause)

    async def _hedged(self, task: _Task, *, may_hedge: bool) -> Ended:
        """One try; a second one beside it where the first is slower than 95 of 100 answers, and a slot and money are there."""
        after = task.lane.hedge_after() if may_hedge else None
        task.sent.clear()
        tries = {self._start(task)}
        try:
            if after is not None and await self._is_slow(task, tries, after) and task.lane.limiter.free:
                tries.add(self._start(task))
            best = await self._best_of(tries)
        finally:
            # The slower one, or, where the books failed, whatever is still under way.
            for other in tries:
                other.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
        if best.reply is not None and len(tries) > 1:
            best = replace(best, reply=await self._kept(task, best.reply))
        return best

    async def _is_slow(self, task: _Task, tries: set[asyncio.Task[Ended]], after: float) -> bool:
        """Whether the try has gone out and is still without an end ``after`` seconds later."""
        sent = asyncio.create_task(task.sent.wait())
        await asyncio.wait({*tries, sent}, return_when=asyncio.FIRST_COMPLETED)
        sent.cancel()
        done, _ = await asyncio.wait(tries, timeout=after)
        return not done

    async def _best_of(self, tries: set[asyncio.Task[Ended]]) -> Ended:
        """The first reply, or else the end that says most: that of an attempt that was made, before a hedge that could not be."""
        pending, best = tries, None
        while pending and (best is None or best.reply is None):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for ended in (each.result() for each in done):
                if best is None or ended.reply is not None or (best.reply is None and ended.attempt is not None):
                    best = ended
        assert best is not None
        return best

    async def _kept(self, task: _Task, reply: Reply) -> Reply:
        """The reply that is on record. Both of a pair may have answered: one is kept, and a run that reads it again must vote alike."""
        claim = await self._book(lambda: self._ledger.claim(task.call))
        return reply if claim.response is None else read_response(task.endpoint.provider.dialect, claim.response)

    def _start(self, task: _Task) -> asyncio.Task[Ended]:
        number, task.number = task.number, task.number + 1
        return asyncio.create_task(self._try(task, number))

    async def _try(self, task: _Task, number: int) -> Ended:
        lane, call = task.lane, task.call
        try:
            async with asyncio.timeout_at(task.deadline):
                await lane.requests.take(1)
                await lane.tokens.take(call.tokens_in + call.tokens_out)
                await lane.limiter.acquire()
        except TimeoutError:
            task.number -= 1  # no attempt was made
            lane.breaker.unsettled()
            return Ended(None, fault=f"{call.provider} is at its limits: no call could be made in time")
        try:
            reserved = await self._reserved(call, number)
            task.sent.set()
            return await self._exchange(task, number, reserved)
        except NotAllowed as refusal:
            task.number -= 1
            lane.breaker.unsettled()
            return Ended(None, fault=str(refusal), taken=isinstance(refusal, CallTaken))
        except BaseException:
            lane.breaker.unsettled()  # the books failed, or the try was called off: neither says anything about the provider
            raise
        finally:
            lane.limiter.release()

    async def _reserved(self, call: Call, number: int) -> Reservation:
        """What is held for the attempt. One that is called off in this moment was begun all the same: it is recorded, and free."""
        holding = self._loop.run_in_executor(self._books, lambda: self._ledger.reserve(call, number))
        try:
            return await asyncio.shield(holding)
        except asyncio.CancelledError:
            await asyncio.wait({holding})
            if holding.exception() is None:
                unsent = Attempt(call, number, AttemptState.CANCELLED, "cancelled", billed=False)
                await self._book(lambda: self._ledger.record(unsent, holding.result()))
            raise

    async def _exchange(self, task: _Task, number: int, reserved: Reservation) -> Ended:
        call, endpoint = task.call, task.endpoint
        started = self._loop.time()
        attempt = Attempt(call, number, AttemptState.FAILED, "deadline")
        ended = Ended(attempt, again=True)
        try:
            async with asyncio.timeout_at(min(task.deadline, started + self._rules.attempt_deadline_ms / 1_000)):
                response = await self._transport.post(
                    endpoint.url, request_headers(endpoint), call.body, self._rules.max_response_bytes
                )
            plain = replace(response, body=without_key(response.body, endpoint.key))
            ended = outcome_of(attempt, endpoint.provider.dialect, plain, self._rules.retry_after_cap_ms, utc_now())
        except TimeoutError:
            pass
        except TransportFault as fault:
            attempt = replace(attempt, code=fault.code, billed=fault.billed, http_status=fault.status)
            ended = Ended(attempt, again=fault.code != "too_large")
        except asyncio.CancelledError:
            cancelled = replace(
                attempt, state=AttemptState.CANCELLED, code="cancelled", latency_us=self._since(started)
            )
            await self._book(lambda: self._ledger.record(cancelled, reserved))
            raise
        assert ended.attempt is not None
        recorded = replace(ended.attempt, latency_us=self._since(started))
        if ended.reply is None and not ended.fault:
            ended = replace(ended, fault=explained(call.provider, call.model, recorded.code))
        self._learn(task, ended, self._loop.time() - started)
        await self._book(lambda: self._ledger.record(recorded, reserved))
        return ended

    def _learn(self, task: _Task, ended: Ended, seconds: float) -> None:
        lane, attempt = task.lane, ended.attempt
        assert attempt is not None
        if attempt.state is AttemptState.DONE or attempt.code == "other_model":
            lane.breaker.succeeded()
            lane.limiter.answered()
            lane.took(seconds)
            return
        lane.trouble = ended.fault
        if ended.hopeless:
            lane.breaker.failed(for_good=True)
        elif attempt.http_status == _TOO_MANY:
            pause_ms = ended.wait_ms if ended.wait_ms is not None else self._rules.backoff_base_ms
            lane.limiter.throttled(pause_ms / 1_000)
            lane.breaker.unsettled()
        elif ended.again or attempt.billed is None:
            lane.breaker.failed()
        else:
            lane.breaker.unsettled()

    def _lane(self, call: Call) -> Lane:
        return self._lanes.setdefault((call.provider, call.model), Lane(self._rules))

    def _since(self, started: float) -> int:
        return int((self._loop.time() - started) * 1_000_000)

    async def _book(self, entry: Callable[[], _T]) -> _T:
        """A ledger operation, off the loop: a database may make it wait. Whoever is cancelled meanwhile leaves when it is done."""
        booking = self._loop.run_in_executor(self._books, entry)
        try:
            return await asyncio.shield(booking)
        except asyncio.CancelledError:
            await asyncio.wait({booking})
            raise

"""The ledger of calls to language models, in the usage database: claim, hold, record, settle.

- **Claim.** A call is taken under its key before anything is sent and is done once its answer is kept. Who comes later, in
  this process or another, gets the kept answer; nobody asks twice. A claim whose holder was killed lapses, and the attempts
  that it had begun are recorded as lost.
- **Cache.** The same question (provider, model, request bytes) that was answered under another key is answered from there.
- **Hold, then settle.** Before an attempt the most that it may cost is taken from the round's and the day's budget, in one
  statement each, so that no two workers can spend the same money; its row and the settling are one transaction. An
  attempt of unknown cost keeps all that was held.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.audit.language_models.attempts import (
    Attempt,
    AttemptState,
    BudgetSpent,
    Call,
    CallTaken,
    Claim,
    Reservation,
)
from sigma_core.policy import LanguageModelRules
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.usage import BudgetRow, CallAttemptRow, CallRow, UsageBase
from sigma_core.timestamps import utc_now
from sigma_core.usage.cost import cost_of, most_micro_usd
from sigma_core.usage.prices import PriceTable

CLAIMED, RELEASED, DONE = "claimed", "released", "done"
MAX_REASON = 40
LEASE_MARGIN_MS = 10_000
"""A claim outlives its newest attempt by this much; whoever finds the call of a killed worker waits no longer."""


_CALLS, _ATTEMPTS, _BUDGETS = (
    UsageBase.metadata.tables[row.__tablename__] for row in (CallRow, CallAttemptRow, BudgetRow)
)

# Statements are made once: making them, with all their columns, would cost more than running them.
_KNOWN = select(_CALLS).where(_CALLS.c.call_key == bindparam("key")).with_for_update()
_TAKE_CALL = (
    update(_CALLS)
    .where(_CALLS.c.call_key == bindparam("key"))
    .values(
        state=bindparam("new_state"),
        cache_key=bindparam("new_cache_key"),
        claimed_until=bindparam("until"),
        response_sha256=bindparam("response"),
    )
)
_BEGIN_ATTEMPT = (
    update(_CALLS)
    .where(
        _CALLS.c.call_key == bindparam("key"),
        _CALLS.c.state == CLAIMED,
        _CALLS.c.attempts_begun == bindparam("number") - 1,
    )
    .values(attempts_begun=bindparam("number"), claimed_until=bindparam("until"), begun_on=bindparam("day"))
    .returning(_CALLS.c.attempts_begun)
)
_ANSWERED = (  # the first answer stays: of a hedged pair both may come
    update(_CALLS)
    .where(_CALLS.c.call_key == bindparam("key"), _CALLS.c.state != DONE)
    .values(state=DONE, response_sha256=bindparam("response"))
)
_RELEASE = update(_CALLS).where(_CALLS.c.call_key == bindparam("key"), _CALLS.c.state == CLAIMED).values(state=RELEASED)
_ANSWERED_BEFORE = (
    select(_CALLS.c.response_sha256)
    .where(
        _CALLS.c.cache_key == bindparam("new_cache_key"),
        _CALLS.c.state == DONE,
        _CALLS.c.call_key != bindparam("key"),
    )
    .order_by(_CALLS.c.call_key)
    .limit(1)
)
_TAKE_MONEY = (
    update(_BUDGETS)
    .where(
        _BUDGETS.c.scope == bindparam("name"),
        _BUDGETS.c.committed_micro_usd + bindparam("amount") <= bindparam("most"),
    )
    .values(committed_micro_usd=_BUDGETS.c.committed_micro_usd + bindparam("amount"))
    .returning(_BUDGETS.c.committed_micro_usd)
)
_SETTLE = (
    update(_BUDGETS)
    .where(_BUDGETS.c.scope == bindparam("name"))
    .values(committed_micro_usd=_BUDGETS.c.committed_micro_usd + bindparam("difference"))
)


@cache
def _insert_once(dialect: str, table: Table) -> Insert:
    """An insert that leaves a row alone that is there already, and returns a row's key where it made one."""
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)


class UsageLedger:
    """`sigma_core.audit.language_models.attempts.Ledger` on the usage database. Thread-safe."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        blobs: Blobs,
        prices: PriceTable,
        rules: LanguageModelRules,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._sessions = sessions
        self._blobs = blobs
        self._prices = prices
        self._rules = rules
        self._now = now
        self._lease = timedelta(milliseconds=rules.attempt_deadline_ms + LEASE_MARGIN_MS)
        blobs.put(prices.canonical_bytes)  # so that every row's snapshot can be read again

    def claim(self, call: Call) -> Claim:
        """Take the call, or say what there is of it already."""
        now = self._now()
        named = {"key": call.key, "new_cache_key": call.cache_key}
        with self._sessions.begin() as session:
            database = session.connection()
            row = database.execute(_KNOWN, named).one_or_none()
            if row is None:
                self._insert(
                    database,
                    _CALLS,
                    {
                        "call_key": call.key,
                        "cache_key": call.cache_key,
                        "state": RELEASED,
                        "attempts_begun": 0,
                        "claimed_until": now,
                        "begun_on": None,
                    },
                )
                row = database.execute(_KNOWN, named).one()
            if row.state == CLAIMED and row.claimed_until > now:
                return Claim(wait_ms=max(int((row.claimed_until - now).total_seconds() * 1_000), 1))
            known = row.response_sha256
            if row.state != DONE or row.cache_key != call.cache_key:
                self._record_lost(database, call, row.attempts_begun, row.begun_on)
                known = database.scalar(_ANSWERED_BEFORE, named)
                state = CLAIMED if known is None else DONE
                database.execute(
                    _TAKE_CALL, {**named, "new_state": state, "until": now + self._lease, "response": known}
                )
            begun = row.attempts_begun
        if known is not None:
            return Claim(response=self._blobs.get(known))
        self._blobs.put(call.body)
        return Claim(next_attempt=begun + 1)

    def reserve(self, call: Call, attempt_number: int) -> Reservation:
        """Hold the most that the attempt may cost, note that it begins, and renew the claim. Raises BudgetSpent or CallTaken."""
        now = self._now()
        amount = most_micro_usd(call, self._prices, self._rules.unpriced_call_micro_usd)
        reservation = Reservation(amount, f"{now:%Y-%m-%d}")
        with self._sessions.begin() as session:
            database = session.connection()
            begun = database.scalar(
                _BEGIN_ATTEMPT,
                {"key": call.key, "number": attempt_number, "until": now + self._lease, "day": reservation.day},
            )
            if begun is None:
                raise CallTaken("another worker makes this call")
            if amount:
                for scope, limit in self._limits(call, reservation.day):
                    self._take(database, scope, amount, limit)
        return reservation

    def record(self, attempt: Attempt, reservation: Reservation) -> None:
        """Append the row, settle the budgets, and keep the answer if there is one. Doing it twice adds nothing."""
        response = self._blobs.put(attempt.response) if attempt.response is not None else None
        with self._sessions.begin() as session:
            database = session.connection()
            if not self._append(database, attempt, reservation, response):
                return
            if attempt.state is AttemptState.DONE:
                database.execute(_ANSWERED, {"key": attempt.call.key, "response": response})
            cost = cost_of(attempt, self._prices).micro_usd
            if cost is not None and reservation.micro_usd:
                for scope, _ in self._limits(attempt.call, reservation.day):
                    database.execute(_SETTLE, {"name": scope, "difference": cost - reservation.micro_usd})

    def release(self, call: Call) -> None:
        """Give the call up unanswered."""
        with self._sessions.begin() as session:
            session.connection().execute(_RELEASE, {"key": call.key})

    def _limits(self, call: Call, day: str) -> tuple[tuple[str, int], ...]:
        """The budgets of a call with their limits, always in the same order, so that no two transactions wait in a circle."""
        return (
            (f"round/{call.round_id}", self._rules.round_budget_micro_usd),
            (f"day/{day}", self._rules.day_budget_micro_usd),
        )

    def _take(self, database: Connection, scope: str, amount: int, limit: int) -> None:
        wanted = {"name": scope, "amount": amount, "most": limit}
        if database.scalar(_TAKE_MONEY, wanted) is not None:
            return
        self._insert(database, _BUDGETS, {"scope": scope, "committed_micro_usd": 0})
        if database.scalar(_TAKE_MONEY, wanted) is None:
            committed = database.scalar(select(_BUDGETS.c.committed_micro_usd).where(_BUDGETS.c.scope == scope))
            raise BudgetSpent(
                f"the budget of {scope} is spent: {committed} of {limit} micro-USD are spent or held, "
                f"and this call may take {amount}"
            )

    def _record_lost(self, database: Connection, call: Call, begun: int, day: str | None) -> None:
        """Rows for attempts that were begun and never recorded. What was held for them stays held."""
        if not begun:
            return
        known = set(database.scalars(select(_ATTEMPTS.c.attempt_number).where(_ATTEMPTS.c.call_key == call.key)))
        held = Reservation(most_micro_usd(call, self._prices, self._rules.unpriced_call_micro_usd), day or "")
        for number in sorted(set(range(1, begun + 1)) - known):
            self._append(database, Attempt(call, number, AttemptState.LOST, "lost"), held, None)

    def _append(self, database: Connection, attempt: Attempt, held: Reservation, response_sha256: str | None) -> bool:
        call, costing = attempt.call, cost_of(attempt, self._prices)
        tokens = costing.tokens
        values = {
            "call_key": call.key,
            "attempt_number": attempt.number,
            "round_id": call.round_id,
            "submission_id": call.submission_id,
            "phase": call.phase,
            "validator_id": call.validator_id,
            "purpose": call.purpose,
            "provider": call.provider,
            "model": call.model,
            "model_revision": attempt.model_echoed,
            "state": attempt.state.value,
            "http_status": attempt.http_status,
            "finish_reason": attempt.code[:MAX_REASON],
            "latency_us": attempt.latency_us,
            "uncached_in": tokens.uncached_in,
            "cache_read": tokens.cache_read,
            "cache_write": tokens.cache_write,
            "tokens_out": tokens.out,
            "reasoning": tokens.reasoning,
            "usage_source": costing.usage_source.value,
            "cost_micro_usd": costing.micro_usd,
            "cost_source": costing.cost_source.value,
            "budget_micro_usd": held.micro_usd if costing.micro_usd is None else costing.micro_usd,
            "price_snapshot": self._prices.name,
            "request_sha256": call.request_sha256,
            "response_sha256": response_sha256,
            "created_at": self._now(),
            "begun_on": held.day or None,
        }
        return self._insert(database, _ATTEMPTS, values)

    @staticmethod
    def _insert(database: Connection, table: Table, values: dict[str, Any]) -> bool:
        """Whether the row was made; False where it was there."""
        return database.execute(_insert_once(database.dialect.name, table), values).one_or_none() is not None

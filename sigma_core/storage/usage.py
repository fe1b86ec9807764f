"""Tables of the usage database: what audit engines were asked and what it cost. Never joined to protocol tables."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sigma_core.storage.protocol import NAMING, Digest, Identifier, Serial
from sigma_core.storage.types import UtcDateTime


class UsageBase(DeclarativeBase):
    """Base of the usage tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012


class CallAttemptRow(UsageBase):
    """One attempt of one call to an engine. Append-only. Costs are micro-USD; NULL means unknown, never nothing."""

    __tablename__ = "call_attempts"
    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    call_key: Mapped[str] = mapped_column(String(160))
    attempt_number: Mapped[int]
    round_id: Mapped[str] = mapped_column(Identifier)
    submission_id: Mapped[str] = mapped_column(Identifier)
    phase: Mapped[int]
    validator_id: Mapped[str] = mapped_column(Identifier)
    purpose: Mapped[str] = mapped_column(String(16))  # audit chunk reduce repair canary plugin_screen monitor
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(80))
    model_revision: Mapped[str] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(16))  # done failed cancelled lost
    http_status: Mapped[int | None]
    finish_reason: Mapped[str | None] = mapped_column(String(40))  # the provider's word, or our code of the fault
    latency_us: Mapped[int] = mapped_column(BigInteger)
    uncached_in: Mapped[int]
    cache_read: Mapped[int]
    cache_write: Mapped[int]
    tokens_out: Mapped[int]
    reasoning: Mapped[int]
    usage_source: Mapped[str] = mapped_column(String(16))  # provider estimated none
    cost_micro_usd: Mapped[int | None] = mapped_column(BigInteger)
    cost_source: Mapped[str] = mapped_column(String(16))  # provider table zero unknown
    # What the attempt takes from its budgets: its cost, or, where that is unknown, all that was held for it.
    budget_micro_usd: Mapped[int] = mapped_column(BigInteger)
    price_snapshot: Mapped[str | None] = mapped_column(String(80))
    request_sha256: Mapped[str] = mapped_column(Digest)
    response_sha256: Mapped[str | None] = mapped_column(Digest)
    created_at: Mapped[datetime]
    # The UTC day on which it began (2026-11-21): that of its budget, and of its provider's bill.
    begun_on: Mapped[str | None] = mapped_column(String(10))

    __table_args__ = (
        UniqueConstraint("call_key", "attempt_number"),
        Index(None, "created_at"),
        Index(None, "round_id", "phase"),
    )


class CallRow(UsageBase):
    """A call to a language model: who may make it, how many attempts were begun, and its answer once there is one."""

    __tablename__ = "calls"
    call_key: Mapped[str] = mapped_column(String(160), primary_key=True)
    cache_key: Mapped[str] = mapped_column(Digest)  # provider, model and request bytes
    state: Mapped[str] = mapped_column(String(16))  # claimed released done
    attempts_begun: Mapped[int]
    claimed_until: Mapped[datetime]
    response_sha256: Mapped[str | None] = mapped_column(Digest)
    begun_on: Mapped[str | None] = mapped_column(String(10))  # the UTC day on which its newest attempt began

    __table_args__ = (Index(None, "cache_key", "state"),)


class BudgetRow(UsageBase):
    """What is spent or held of one budget (``round/rnd_…`` or ``day/2026-11-21``), in micro-USD."""

    __tablename__ = "budgets"
    scope: Mapped[str] = mapped_column(String(80), primary_key=True)
    committed_micro_usd: Mapped[int] = mapped_column(BigInteger)

"""Whether the books agree: rows with budgets, and rows with what a provider says that it billed.

An attempt whose usage nobody told us may explain why a provider's total is larger than ours, never why it is smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.storage.usage import BudgetRow, CallAttemptRow, CallRow

ROUNDINGS_PER_MICRO_USD = 2
"""Each attempt was rounded to half a micro-USD at most."""


@dataclass(frozen=True, slots=True)
class ProviderTotal:
    """What a provider bills for one model and UTC day: tokens in (cached ones included), out (reasoning included), micro-USD."""

    provider: str
    model: str
    day: str
    tokens_in: int
    tokens_out: int
    cost_micro_usd: int | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Two figures that should be one. ``explained`` when attempts of unknown usage can account for it."""

    subject: str
    what: str
    ours: int
    theirs: int
    explained: bool

    def __str__(self) -> str:
        word = "attempts of unknown usage can explain it" if self.explained else "unexplained"
        return f"{self.subject}: {self.what} is {self.ours} here and {self.theirs} there; {word}"


def budgets_that_disagree(sessions: sessionmaker[Session]) -> tuple[Difference, ...]:
    """Rounds whose rows do not add up to what their budget says is spent. Calls under way are left out: their money is held."""
    with sessions() as session:
        busy = set(session.scalars(select(CallRow.call_key).where(CallRow.state == "claimed")))
        busy_rounds = {key.partition("/")[0] for key in busy}
        spent = {
            row.round_id: int(row.total)
            for row in session.execute(
                select(CallAttemptRow.round_id, func.sum(CallAttemptRow.budget_micro_usd).label("total")).group_by(
                    CallAttemptRow.round_id
                )
            )
        }
        budgets = session.execute(
            select(BudgetRow.scope, BudgetRow.committed_micro_usd)
            .where(BudgetRow.scope.startswith("round/", autoescape=True))
            .order_by(BudgetRow.scope)
        ).all()
    return tuple(
        Difference(scope, "micro-USD", spent.get(round_id, 0), committed, explained=False)
        for scope, committed in budgets
        if (round_id := scope.removeprefix("round/")) not in busy_rounds and spent.get(round_id, 0) != committed
    )


def reconcile(sessions: sessionmaker[Session], totals: Sequence[ProviderTotal]) -> tuple[Difference, ...]:
    """Every figure of ``totals`` that our rows of that provider, model and UTC day do not give; in the order of ``totals``."""
    found = []
    with sessions() as session:
        for total in totals:
            found += _differences(session, total)
    return tuple(found)


def _differences(session: Session, total: ProviderTotal) -> list[Difference]:
    start = datetime.strptime(total.day, "%Y-%m-%d").replace(tzinfo=UTC)
    row = CallAttemptRow
    counted = row.usage_source == "provider"
    ours = (
        session.execute(
            select(
                func.count().label("attempts"),
                func.coalesce(
                    func.sum(case((counted, row.uncached_in + row.cache_read + row.cache_write), else_=0)), 0
                ).label("in"),
                func.coalesce(func.sum(case((counted, row.tokens_out + row.reasoning), else_=0)), 0).label("out"),
                func.coalesce(func.sum(row.cost_micro_usd), 0).label("cost"),
                (func.count() - func.count(row.cost_micro_usd)).label("unknown"),
            ).where(
                row.provider == total.provider,
                row.model == total.model,
                row.created_at >= start,
                row.created_at < start + timedelta(days=1),
            )
        )
        .one()
        ._mapping
    )
    subject = f"{total.provider}/{total.model} on {total.day}"
    figures = [
        ("tokens in", int(ours["in"]), total.tokens_in, 0),
        ("tokens out", int(ours["out"]), total.tokens_out, 0),
    ]
    if total.cost_micro_usd is not None:
        rounding = -(-int(ours["attempts"]) // ROUNDINGS_PER_MICRO_USD)
        figures.append(("micro-USD", int(ours["cost"]), total.cost_micro_usd, rounding))
    return [
        Difference(subject, what, mine, theirs, explained=theirs > mine and int(ours["unknown"]) > 0)
        for what, mine, theirs, tolerance in figures
        if abs(mine - theirs) > tolerance
    ]

"""Whether the books agree: rows with budgets, and rows with what a provider says that it billed.

An attempt whose usage nobody told us may explain why a provider's total is larger than ours, never why it is smaller; one that was begun
by a worker that died may explain why more is held than was spent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.storage.usage import BudgetRow, CallAttemptRow, CallRow
from sigma_core.timestamps import utc_now

ROUNDINGS_PER_MICRO_USD = 2
"""Each attempt was rounded to half a micro-USD at most."""

_ROW = CallAttemptRow


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
    """Two figures that should be one; ``explanation`` is empty where nothing accounts for it."""

    subject: str
    what: str
    ours: int
    theirs: int
    explanation: str = ""

    @property
    def explained(self) -> bool:
        """Whether something accounts for it."""
        return bool(self.explanation)

    def as_json(self) -> dict[str, Any]:
        """``{subject, what, ours, theirs, explanation}``; the explanation is None where there is none."""
        return {
            "subject": self.subject,
            "what": self.what,
            "ours": self.ours,
            "theirs": self.theirs,
            "explanation": self.explanation or None,
        }

    def __str__(self) -> str:
        return f"{self.subject}: {self.what} is {self.ours} here and {self.theirs} there; {self.explanation or 'unexplained'}"


def budgets_that_disagree(sessions: sessionmaker[Session], now: datetime | None = None) -> tuple[Difference, ...]:
    """Rounds and UTC days whose rows do not add up to what their budgets say is spent, ordered by name; ``now`` is the clock's by
    default.

    Where a call is under way its round and its day are left out: their money is held.
    """
    with sessions() as session:
        spent = _spent(session)
        budgets = {row.scope: row.committed_micro_usd for row in session.scalars(select(BudgetRow))}
        under_way, left_behind = _unrecorded(session, now or utc_now())
    found = []
    for scope in sorted(budgets.keys() | spent.keys()):
        rows, committed = spent.get(scope, 0), budgets.get(scope, 0)
        if rows != committed and scope not in under_way:
            lost = committed > rows and scope in left_behind
            why = "attempts that a killed worker began can explain it" if lost else ""
            found.append(Difference(scope, "micro-USD", rows, committed, why))
    return tuple(found)


def _spent(session: Session) -> dict[str, int]:
    """Micro-USD of the rows by budget, where there are any."""
    spent: dict[str, int] = {}
    for kind, column in (("round", _ROW.round_id), ("day", _ROW.begun_on)):
        total = func.sum(_ROW.budget_micro_usd)
        for name, amount in session.execute(
            select(column, total).where(_ROW.budget_micro_usd > 0, column.is_not(None)).group_by(column)
        ):
            spent[f"{kind}/{name}"] = int(amount)
    return spent


def _unrecorded(session: Session, now: datetime) -> tuple[set[str], set[str]]:
    """Budgets of calls that are under way, and of those whose worker left attempts behind that have no row."""
    recorded = func.count(_ROW.id)
    calls = session.execute(
        select(CallRow.call_key, CallRow.claimed_until, CallRow.begun_on)
        .outerjoin(_ROW, _ROW.call_key == CallRow.call_key)
        .where(CallRow.state == "claimed")
        .group_by(CallRow.call_key, CallRow.claimed_until, CallRow.begun_on, CallRow.attempts_begun)
        .having(CallRow.attempts_begun > recorded)
    ).all()
    under_way: set[str] = set()
    left_behind: set[str] = set()
    for call in calls:
        scopes = under_way if call.claimed_until > now else left_behind
        scopes |= {f"round/{call.call_key.partition('/')[0]}", f"day/{call.begun_on}"}
    return under_way, left_behind


@dataclass(frozen=True, slots=True)
class UnknownCost:
    """Answers whose cost nobody knows: their model is not in the price table, or the provider sent no token counts."""

    provider: str
    model: str
    answers: int
    counted: bool

    @property
    def why(self) -> str:
        """What is missing."""
        return "no price: add the model to SIGMA_PRICE_FILE" if self.counted else "the provider sends no token counts"


def unknown_costs(sessions: sessionmaker[Session], since: str) -> tuple[UnknownCost, ...]:
    """Answers of unknown cost from the UTC day ``since`` (2026-11-21) on, by provider and model."""
    counted = _ROW.usage_source == "provider"
    statement = (
        select(_ROW.provider, _ROW.model, counted.label("counted"), func.count().label("answers"))
        .where(_ROW.state == "done", _ROW.cost_micro_usd.is_(None), _ROW.begun_on >= since)
        .group_by(_ROW.provider, _ROW.model, counted)
        .order_by(_ROW.provider, _ROW.model, counted)
    )
    with sessions() as session:
        return tuple(
            UnknownCost(row.provider, row.model, row.answers, bool(row.counted)) for row in session.execute(statement)
        )


def reconcile(sessions: sessionmaker[Session], totals: Sequence[ProviderTotal]) -> tuple[Difference, ...]:
    """Every figure of ``totals`` that our rows of that provider, model and UTC day do not give, by subject; a model that a provider does
    not list on a day of which it lists others was billed nothing.

    Providers bill some models by the name with a date that they answer with: such totals are held against the rows of the model that was
    asked.
    """
    with sessions() as session:
        asked = _by_asked_model(session, totals)
        for provider, day in sorted({(total.provider, total.day) for total in totals}):
            for model in session.scalars(select(_ROW.model).where(_of(provider, day), _ROW.state == "done").distinct()):
                nothing = ProviderTotal(provider, model, day, 0, 0, None)
                asked.setdefault((provider, model, day), nothing)
        return tuple(found for key in sorted(asked) for found in _differences(session, asked[key]))


def _by_asked_model(session: Session, totals: Sequence[ProviderTotal]) -> dict[tuple[str, str, str], ProviderTotal]:
    merged: dict[tuple[str, str, str], ProviderTotal] = {}
    for total in totals:
        known = session.execute(
            select(_ROW.model, _ROW.model_revision).where(_of(total.provider, total.day)).distinct()
        ).all()
        names = {row.model for row in known}
        models = {row.model for row in known if row.model_revision == total.model}
        model = models.pop() if total.model not in names and len(models) == 1 else total.model
        key = (total.provider, model, total.day)
        merged[key] = _sum(merged[key], total) if key in merged else replace(total, model=model)
    return merged


def _sum(one: ProviderTotal, other: ProviderTotal) -> ProviderTotal:
    costs = (one.cost_micro_usd, other.cost_micro_usd)
    return replace(
        one,
        tokens_in=one.tokens_in + other.tokens_in,
        tokens_out=one.tokens_out + other.tokens_out,
        cost_micro_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
    )


def _of(provider: str, day: str) -> Any:
    """Attempts at a provider that began on a UTC day."""
    return and_(_ROW.provider == provider, _ROW.begun_on == day)


def _differences(session: Session, total: ProviderTotal) -> Iterator[Difference]:
    # Another model's answer is counted on that model's bill, whichever that is.
    counted = and_(_ROW.usage_source == "provider", _ROW.state == "done")
    tokens: dict[str, Any] = {
        "in": _ROW.uncached_in + _ROW.cache_read + _ROW.cache_write,
        "out": _ROW.tokens_out + _ROW.reasoning,
    }
    free = _ROW.cost_source == "zero"
    columns: dict[str, ColumnElement[Any]] = {
        "attempts": func.count(),
        "cost": func.sum(_ROW.cost_micro_usd),
        "uncounted": func.sum(case((counted, 0), (free, 0), else_=1)),
        "unpriced": func.count() - func.count(_ROW.cost_micro_usd),
        **{name: func.sum(case((counted, figure), else_=0)) for name, figure in tokens.items()},
    }
    row = session.execute(
        select(*(column.label(name) for name, column in columns.items())).where(
            _of(total.provider, total.day), _ROW.model == total.model
        )
    ).one()
    ours = {name: int(value or 0) for name, value in row._mapping.items()}
    figures = [
        ("tokens in", ours["in"], total.tokens_in, 0, ours["uncounted"]),
        ("tokens out", ours["out"], total.tokens_out, 0, ours["uncounted"]),
    ]
    if total.cost_micro_usd is not None:
        rounding = -(-ours["attempts"] // ROUNDINGS_PER_MICRO_USD)
        figures.append(("micro-USD", ours["cost"], total.cost_micro_usd, rounding, ours["unpriced"]))
    for what, mine, theirs, tolerance, unknown in figures:
        if abs(mine - theirs) > tolerance:
            why = f"{unknown} attempts of which nobody told us can explain it" if theirs > mine and unknown else ""
            yield Difference(f"{total.provider}/{total.model} on {total.day}", what, mine, theirs, why)

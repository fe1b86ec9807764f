"""SIGMA reputation r, in ppm: a constructive participation closes 0.4 % of the gap to one, a bad one costs 2 %.

One calendar day of one validator, in this normative order (the order of `ReputationKind`; integers, ppm):

1. each CONSTRUCTIVE:           r += (10^6 − r) · constructive // 10^6
2. each bad event, of any kind: r  = r · (10^6 − bad) // 10^6
3. neither on that day (idle):  r  = 500,000 ± (|r − 500,000| · keep >> b), towards one half, which it reaches
4. COMPENSATION:                r  = clip(r + the sum of the day's changes, 0, 10^6)
5. SANCTION_LIFTED:             ceiling = 10^6
6. SANCTION:                    ceiling = the lowest of the standing one and the day's
7. always:                      r  = min(r, ceiling)

Both floors go against the validator and keep r within 0 … 10^6. As a day's events enter only by their counts, the sum of their
changes and their lowest ceiling, the order of lines within a day cannot matter. A compensation's change is what taking events back
makes of the reputation of its day (`taken_back_ppm`), computed once, when it is booked. A validator without any event stands at
``reputation_start_ppm``.
|r − 500,000| · keep < 2^20 · 2^b fits 64 bits for b ≤ 43 (asserted).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from sigma_core.policy import PPM, StandingRules
from sigma_core.standing.ledger import AMOUNTS, LedgerInvalid, ReputationEvent, ReputationKind

HALF_PPM = PPM // 2

EVENT_COLUMNS = {"validator_id": pl.String, "day": pl.Int64, "kind": pl.String, "amount_ppm": pl.Int64}
"""What `advance` needs of the reputation ledger; ``amount_ppm`` is the ceiling of a SANCTION, the change of a COMPENSATION, else null."""

DAILY_COLUMNS = {
    "validator_id": pl.String,
    "day": pl.Int64,
    "constructive": pl.Int64,
    "bad": pl.Int64,
    "change_ppm": pl.Int64,
    "lifted": pl.Boolean,
    "sanction_ppm": pl.Int64,
}
"""All that one validator's events of one day amount to."""

STATE_SCHEMA = {"validator_id": pl.String, "reputation_ppm": pl.Int64, "ceiling_ppm": pl.Int64}

_BAD = (ReputationKind.LOW_QUALITY, ReputationKind.DISPUTED, ReputationKind.ATTRIBUTABLE_ESCALATION)


@dataclass(frozen=True, slots=True)
class ReputationState:
    """Reputations after ``day``'s events: ``frame`` has validator_id (sorted, unique), reputation_ppm and ceiling_ppm, for
    every validator that ever had an event."""

    day: int
    frame: pl.DataFrame

    @classmethod
    def before(cls, day: int) -> ReputationState:
        """Nothing yet, on the eve of ``day``."""
        return cls(day - 1, pl.DataFrame(schema=STATE_SCHEMA))


def event_frame(events: Iterable[ReputationEvent]) -> pl.DataFrame:
    """The events as `EVENT_COLUMNS`. Raises LedgerInvalid for a sanction without a ceiling within 0 … 1,000,000 ppm, and a compensation
    without a change within ±1,000,000 ppm."""
    rows = []
    for event in events:
        amount = event.amount_ppm
        lowest = {ReputationKind.SANCTION: 0, ReputationKind.COMPENSATION: -PPM}.get(event.kind)
        if lowest is not None and not (type(amount) is int and lowest <= amount <= PPM):
            raise LedgerInvalid(
                f"reputation event {event.entry_key}: {AMOUNTS[event.kind.value]} {amount!r} is not within {lowest:,} … 1,000,000"
            )
        rows.append((event.validator_id, event.day, event.kind.value, amount))
    return pl.DataFrame(rows, schema=EVENT_COLUMNS, orient="row")


def advance(state: ReputationState, events: pl.DataFrame, day: int, rules: StandingRules) -> ReputationState:
    """The state after ``day``, from an earlier state and the events after it; events after ``day`` wait.

    Raises LedgerInvalid for events of a closed day, of an unknown kind, and for a figure that is missing or out of range.
    """
    check_events(state, events)
    return advance_daily(state, daily_counts(events), day, rules)


def advance_daily(state: ReputationState, daily: pl.DataFrame, day: int, rules: StandingRules) -> ReputationState:
    """As `advance`, from what the events amount to (`daily_counts`), whose days are all after the state's."""
    assert rules.decay_bits <= 43, "the drift's product fits 64 bits"
    daily = daily.filter(pl.col("day") <= day)
    validators = pl.concat([state.frame["validator_id"], daily["validator_id"]]).unique().sort()
    index = pl.DataFrame({"validator_id": validators}).with_row_index("at")
    # A null reputation is that of a validator without any event yet: nothing moves it.
    current = index.join(state.frame, on="validator_id", how="left", maintain_order="left")
    current = current.with_columns(pl.col("ceiling_ppm").fill_null(PPM))
    by_day = daily.join(index, on="validator_id").partition_by("day", as_dict=True)
    for step in range(state.day + 1, day + 1):
        current = _step(current, by_day.get((step,)), rules)
    return ReputationState(day, current.select(*STATE_SCHEMA))


def replay(events: pl.DataFrame, day: int, rules: StandingRules) -> ReputationState:
    """The state after ``day`` from all events. Raises LedgerInvalid as `advance` does."""
    first = events["day"].sort()[0] if events.height else day + 1
    return advance(ReputationState.before(min(first, day + 1)), events, day, rules)


def check_events(state: ReputationState, events: pl.DataFrame) -> None:
    """Refuse events that no engine is meant to see. Raises LedgerInvalid, naming the event and the rule."""
    kind, amount = pl.col("kind"), pl.col("amount_ppm")
    for broken, rule in (
        (pl.any_horizontal(pl.col("validator_id", "day", "kind").is_null()), "has an empty value"),
        (pl.col("day") < 0, "is of a day before 1970-01-01"),
        (pl.col("day") <= state.day, f"is of a closed day: the state is of day {state.day}"),
        (~pl.col("kind").is_in([kind.value for kind in ReputationKind]), "is of an unknown kind"),
        (
            (kind == ReputationKind.SANCTION.value) & ~amount.is_between(0, PPM).fill_null(value=False),
            "has no ceiling within 0 … 1,000,000",
        ),
        (
            (kind == ReputationKind.COMPENSATION.value) & ~amount.is_between(-PPM, PPM).fill_null(value=False),
            "has no change within −1,000,000 … 1,000,000",
        ),
    ):
        rows = events.filter(broken)
        if rows.height:
            raise LedgerInvalid(f"reputation ledger: {rows.row(0, named=True)} {rule}")


def daily_counts(events: pl.DataFrame) -> pl.DataFrame:
    """One row for each validator and day (`DAILY_COLUMNS`), sorted by day and validator."""
    kind, amount = pl.col("kind"), pl.col("amount_ppm")
    return (
        events.group_by("validator_id", "day")
        .agg(
            constructive=(kind == ReputationKind.CONSTRUCTIVE.value).sum(),
            bad=kind.is_in([bad.value for bad in _BAD]).sum(),
            change_ppm=amount.filter(kind == ReputationKind.COMPENSATION.value).sum(),
            lifted=(kind == ReputationKind.SANCTION_LIFTED.value).any(),
            sanction_ppm=amount.filter(kind == ReputationKind.SANCTION.value).min(),
        )
        .select(pl.col(name).cast(of) for name, of in DAILY_COLUMNS.items())
        .sort("day", "validator_id")
    )


def added_counts(daily: pl.DataFrame) -> pl.DataFrame:
    """``daily`` (`DAILY_COLUMNS`) with the rows of one validator and day made one: what all their events amount to together."""
    return (
        daily.group_by("validator_id", "day")
        .agg(pl.col("constructive", "bad", "change_ppm").sum(), pl.col("lifted").any(), pl.col("sanction_ppm").min())
        .select(*DAILY_COLUMNS)
        .sort("day", "validator_id")
    )


def taken_back_ppm(kept: pl.DataFrame, taken_back: pl.DataFrame, day: int, rules: StandingRules) -> dict[str, int]:
    """By validator of ``taken_back``, how much higher (lower: negative) its reputation after ``day`` is without those events.

    ``kept`` are all other events (`EVENT_COLUMNS`) of these validators up to ``day``. It is what is left of the events' effect
    by then: what came after has dampened it, as decay does with points. Raises LedgerInvalid as `advance` does, and for two events of
    one validator, whose changes would not be separate.
    """
    twice = taken_back["validator_id"].filter(taken_back["validator_id"].is_duplicated())
    if len(twice):
        raise LedgerInvalid(f"reputation ledger: two events of {twice[0]} cannot be taken back at once")
    states = (replay(events, day, rules).frame for events in (kept, pl.concat([kept, taken_back])))
    without, with_them = (dict(frame.select("validator_id", "reputation_ppm").iter_rows()) for frame in states)
    return {
        name: without.get(name, rules.reputation_start_ppm) - with_them[name]
        for name in taken_back["validator_id"].unique().sort()
    }


def _step(current: pl.DataFrame, counts: pl.DataFrame | None, rules: StandingRules) -> pl.DataFrame:
    """One calendar day of every validator; ``counts`` are the day's `daily_counts` with the row ``at`` of each."""
    before, ceiling = current["reputation_ppm"], current["ceiling_ppm"]
    if counts is not None:
        at = counts["at"]
        before = before.scatter(at, before.gather(at).fill_null(rules.reputation_start_ppm))
    away = before - HALF_PPM
    reputation = away.sign() * (away.abs() * rules.reputation_idle_keep_per_day // (1 << rules.decay_bits)) + HALF_PPM
    if counts is not None:
        today = counts.with_columns(
            before=before.gather(at), drifted=reputation.gather(at), ceiling_ppm=ceiling.gather(at)
        )
        idle = (pl.col("constructive") == 0) & (pl.col("bad") == 0)
        held = pl.when("lifted").then(PPM).otherwise("ceiling_ppm")
        moved = pl.when(idle).then("drifted").otherwise("after")
        today = _participate(today, rules).select(
            (moved + pl.col("change_ppm")).clip(0, PPM).alias("reputation_ppm"),
            pl.min_horizontal(held, "sanction_ppm").alias("ceiling_ppm"),
        )
        reputation = reputation.scatter(at, today["reputation_ppm"])
        ceiling = ceiling.scatter(at, today["ceiling_ppm"])
    return pl.select(
        current["validator_id"],
        reputation_ppm=pl.when(reputation > ceiling).then(ceiling).otherwise(reputation),
        ceiling_ppm=ceiling,
    )


def _participate(today: pl.DataFrame, rules: StandingRules) -> pl.DataFrame:
    """``after``: ``before`` moved by the day's constructive participations, then by its bad ones."""
    after = pl.col("after")
    today = today.with_columns(after="before")
    for column, moved in (
        ("constructive", after + (PPM - after) * rules.reputation_constructive_ppm // PPM),
        ("bad", after * (PPM - rules.reputation_bad_ppm) // PPM),
    ):
        most = today[column].sort()[-1]
        for turn in range(most):
            standing = today["after"]
            today = today.with_columns(after=pl.when(pl.col(column) > turn).then(moved).otherwise(after))
            if today["after"].equals(standing):
                break  # at the fixed point of the floor: further turns move nobody
    return today

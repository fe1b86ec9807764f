"""Accuracy and reputation as they stand today, from the two ledgers; and whether every engine sees the same.

The day's update starts from the newest checkpoint of a closed day while every later line is of a later day. A line that was booked
late for a closed day makes the replay start over.
"""

from __future__ import annotations

import polars as pl
from sqlalchemy import select, true

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.panels import load_snapshot
from sigma_core.lifecycle.standing_checkpoints import (
    LINE_ID,
    Checkpoint,
    closed_lines,
    keep_checkpoint,
    newest_checkpoint,
)
from sigma_core.standing import accuracy, accuracy_duckdb, accuracy_numpy, reputation, reputation_duckdb
from sigma_core.standing.accuracy import AccuracyState
from sigma_core.standing.ledger import ACCURACY_COLUMNS
from sigma_core.standing.ledger_check import (
    DRAWN_FROM_COLUMNS,
    LINE_COLUMNS,
    ROUND_COLUMNS,
    LedgerContext,
    check_lines,
)
from sigma_core.standing.reputation import EVENT_COLUMNS, ReputationState
from sigma_core.storage.protocol import AccuracyEntryRow, PolicyRow, ReputationEntryRow, RoundRow, ValidatorRow
from sigma_core.timestamps import day_number, utc_now

_LEDGERS: dict[str, type[AccuracyEntryRow] | type[ReputationEntryRow]] = {
    "accuracy": AccuracyEntryRow,
    "reputation": ReputationEntryRow,
}


def _accuracy_lines(deployment: Deployment, after: int = 0, up_to: int | None = None) -> pl.DataFrame:
    """The accuracy ledger after the line ``after``, up to the line ``up_to``: `ACCURACY_COLUMNS` and `LINE_ID`."""
    row = AccuracyEntryRow
    with deployment.read_sessions() as session:
        lines = session.execute(
            select(row.validator_id, row.day, row.aligned_q10, row.misaligned_q10, row.id)
            .where(row.id > after, row.id <= up_to if up_to is not None else true())
            .order_by(row.id)
        )
        return pl.DataFrame(
            [tuple(line) for line in lines], schema={**ACCURACY_COLUMNS, LINE_ID: pl.Int64}, orient="row"
        )


def _reputation_lines(deployment: Deployment, after: int = 0, up_to: int | None = None) -> pl.DataFrame:
    """The reputation ledger after the line ``after``, up to the line ``up_to``: `EVENT_COLUMNS` and `LINE_ID`."""
    row = ReputationEntryRow
    with deployment.read_sessions() as session:
        lines = session.execute(
            select(row.validator_id, row.day, row.kind, row.detail, row.id)
            .where(row.id > after, row.id <= up_to if up_to is not None else true())
            .order_by(row.id)
        )
        return pl.DataFrame(
            [(line.validator_id, line.day, line.kind, line.detail.get("ceiling_ppm"), line.id) for line in lines],
            schema={**EVENT_COLUMNS, LINE_ID: pl.Int64},
            orient="row",
        )


def accuracy_today(deployment: Deployment, up_to: int | None = None) -> pl.DataFrame:
    """validator_id, aligned_q10, misaligned_q10, accuracy_ppm of every validator with entries, by Polars.

    Raises LedgerInvalid for lines that the rules of standing do not cover.
    """
    rules, today = deployment.policy.standing, day_number(utc_now())
    kept = newest_checkpoint(deployment, "accuracy", up_to)
    lines = _accuracy_lines(deployment, kept.high_water if kept else 0, up_to)
    if kept is not None and kept.day < today and (lines.is_empty() or lines["day"].min() > kept.day):  # type: ignore[operator]
        state = AccuracyState(kept.day, kept.frame)
    else:
        lines = _accuracy_lines(deployment, 0, up_to)
        first = int(lines["day"].min() or 0) if lines.height else today  # type: ignore[arg-type]
        state = AccuracyState.before(min(first, today))
    daily = accuracy.daily_points(lines)
    closed = closed_lines(lines, today - 1)
    if closed is not None:
        state = accuracy.advance(state, daily, today - 1, rules)
        keep_checkpoint(deployment, "accuracy", Checkpoint(today - 1, closed, state.frame))
        daily = daily.filter(pl.col("day") > today - 1)
    return accuracy.accuracy(accuracy.advance(state, daily, today, rules), rules)


def reputation_today(deployment: Deployment, up_to: int | None = None) -> pl.DataFrame:
    """validator_id, reputation_ppm, ceiling_ppm of every validator with events, by Polars. Raises as `accuracy_today`."""
    rules, today = deployment.policy.standing, day_number(utc_now())
    kept = newest_checkpoint(deployment, "reputation", up_to)
    events = _reputation_lines(deployment, kept.high_water if kept else 0, up_to)
    if kept is not None and kept.day < today and (events.is_empty() or events["day"].min() > kept.day):  # type: ignore[operator]
        state = ReputationState(kept.day, kept.frame)
    else:
        events = _reputation_lines(deployment, 0, up_to)
        first = int(events["day"].min() or 0) if events.height else today  # type: ignore[arg-type]
        state = ReputationState.before(min(first, today))
    closed = closed_lines(events, today - 1)
    events = events.drop(LINE_ID)
    if closed is not None:
        state = reputation.advance(state, events, today - 1, rules)
        keep_checkpoint(deployment, "reputation", Checkpoint(today - 1, closed, state.frame))
        events = events.filter(pl.col("day") > today - 1)
    return reputation.advance(state, events, today, rules).frame


def engine_disagreements(deployment: Deployment) -> list[str]:
    """Validators whose standing is not the same integers by the day's update in Polars and by full replays in Polars, DuckDB
    and, for accuracy, NumPy: must be empty."""
    rules, today = deployment.policy.standing, day_number(utc_now())
    lines, events = _accuracy_lines(deployment), _reputation_lines(deployment).drop(LINE_ID)
    accuracies = [
        accuracy_today(deployment),
        *(engine.accuracy(engine.replay(lines, today, rules), rules) for engine in (accuracy, accuracy_duckdb)),
        accuracy.accuracy(accuracy_numpy.replay_lines(lines, today, rules), rules),
    ]
    reputations = [
        reputation_today(deployment),
        *(engine.replay(events, today, rules).frame for engine in (reputation, reputation_duckdb)),
    ]
    differing: set[str] = set()
    for first, *others in (accuracies, reputations):
        for other in others:
            if not first.equals(other):
                differing |= {row[0] for row in set(first.rows()) ^ set(other.rows())}
    return sorted(differing)


def check_booked_lines(deployment: Deployment, after: tuple[int, int], up_to: tuple[int, int]) -> None:
    """Hold the lines of both ledgers (accuracy, reputation) after the serial numbers ``after``, up to ``up_to``, against rounds,
    published weights, validators and policies. Raises LedgerInvalid, naming the first line that cannot have been booked."""
    with deployment.read_sessions() as session:
        validators = set(session.scalars(select(ValidatorRow.id)))
        policies = set(session.scalars(select(PolicyRow.hash)))
    for (name, row), first, last in zip(_LEDGERS.items(), after, up_to, strict=True):
        with deployment.read_sessions() as session:
            found = session.execute(
                select(row.entry_key, row.validator_id, row.round_id, row.day, row.policy_hash)
                .where(row.id > first, row.id <= last)
                .order_by(row.id)
            ).all()
            lines = pl.DataFrame([tuple(line) for line in found], schema=LINE_COLUMNS, orient="row")
            of_rounds = lines["round_id"].drop_nulls().unique().sort().to_list()
            rounds = [
                (held.id, held.weights_epoch, day_number(held.decided_at) if held.decided_at else None)
                for start in range(0, len(of_rounds), 500)
                for held in session.execute(
                    select(RoundRow.id, RoundRow.weights_epoch, RoundRow.decided_at).where(
                        RoundRow.id.in_(of_rounds[start : start + 500])
                    )
                )
            ]
        drawn_from = [
            (epoch, weight.validator_id, weight.weight)
            for epoch in sorted({epoch for _, epoch, _ in rounds})
            for weight in load_snapshot(deployment, epoch).rows
        ]
        context = LedgerContext(
            rounds=pl.DataFrame(rounds, schema=ROUND_COLUMNS, orient="row"),
            drawn_from=pl.DataFrame(drawn_from, schema=DRAWN_FROM_COLUMNS, orient="row"),
            validators=validators,
            policies=policies,
            today=day_number(utc_now()),
        )
        check_lines(name, lines, context)

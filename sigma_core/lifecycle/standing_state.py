"""Accuracy and reputation as they stand today, from the two ledgers; and whether every engine sees the same.

The day's update starts from the newest checkpoint of a closed day while every later line is of a later day. A line that was booked
late for a closed day makes the replay start over: accuracy from its day partitions, reputation from the ledger.
"""

from __future__ import annotations

import polars as pl
from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.accuracy_days import AccuracyDays, accuracy_days, ledger_lines
from sigma_core.lifecycle.day_files import LINE_ID
from sigma_core.lifecycle.panels import load_snapshot
from sigma_core.lifecycle.reputation_days import ReputationDays, reputation_days, reputation_lines
from sigma_core.lifecycle.standing_checkpoints import Checkpoint, keep_checkpoint, newest_checkpoint
from sigma_core.lifecycle.truths import known_since
from sigma_core.standing import accuracy, accuracy_duckdb, accuracy_numpy, reputation, reputation_duckdb
from sigma_core.standing.accuracy import AccuracyState
from sigma_core.standing.accuracy_numpy import NumberedState
from sigma_core.standing.ledger import ACCURACY_COLUMNS
from sigma_core.standing.ledger_check import (
    DRAWN_FROM_COLUMNS,
    LINE_COLUMNS,
    ROUND_COLUMNS,
    LedgerContext,
    check_lines,
)
from sigma_core.standing.reputation import ReputationState
from sigma_core.storage.protocol import AccuracyEntryRow, PolicyRow, ReputationEntryRow, RoundRow, ValidatorRow
from sigma_core.timestamps import day_number, utc_now

_LEDGERS: dict[str, type[AccuracyEntryRow] | type[ReputationEntryRow]] = {
    "accuracy": AccuracyEntryRow,
    "reputation": ReputationEntryRow,
}


def accuracy_today(deployment: Deployment, up_to: int | None = None) -> pl.DataFrame:
    """validator_id, aligned_q10, misaligned_q10, accuracy_ppm of every validator with entries, by NumPy over the day partitions.

    Raises LedgerInvalid for lines that the rules of standing do not cover.
    """
    rules, today = deployment.policy.standing, day_number(utc_now())
    with accuracy_days(deployment, up_to) as days:
        if (up_to is None or days.high_water <= up_to) and (days.last_day or today) <= today:
            state = _accuracy_state(deployment, days, today - 1)
            state = accuracy_numpy.advance(state, days.between(today - 1, today), today, rules, days.validators)
            return accuracy.accuracy(accuracy_numpy.named(state, days.validators), rules)
    # Partitions do not say which lines came after ``up_to``; and of a day that has not come, nobody has standing yet.
    lines = ledger_lines(deployment, 0, up_to)
    return accuracy.accuracy(accuracy.replay(lines, today, rules), rules)


def _accuracy_state(deployment: Deployment, days: AccuracyDays, closed: int) -> NumberedState:
    """The state after the day ``closed``, from the newest checkpoint if nothing was booked late since; kept as a checkpoint."""
    rules = deployment.policy.standing
    kept = newest_checkpoint(deployment, "accuracy")
    if kept is not None and kept.day <= closed and kept.high_water == days.last_line(kept.day):
        state = NumberedState.of(AccuracyState(kept.day, kept.frame), days.validators)
    else:
        first = closed if days.first_day is None else days.first_day
        state = NumberedState.before(min(first, closed + 1), len(days.validators))
    state = accuracy_numpy.advance(state, days.between(state.day, closed), closed, rules, days.validators)
    if high_water := days.last_line(closed):
        frame = accuracy_numpy.named(state, days.validators).frame
        keep_checkpoint(deployment, "accuracy", Checkpoint(closed, high_water, frame))
    return state


def reputation_today(deployment: Deployment, up_to: int | None = None) -> pl.DataFrame:
    """validator_id, reputation_ppm, ceiling_ppm of every validator with events, by Polars over the day partitions. Raises as
    `accuracy_today`."""
    rules, today = deployment.policy.standing, day_number(utc_now())
    with reputation_days(deployment, up_to) as days:
        if (up_to is None or days.high_water <= up_to) and (days.last_day or today) <= today:
            state = _reputation_state(deployment, days, today - 1)
            return reputation.advance_daily(state, days.between(today - 1, today), today, rules).frame
    return reputation.replay(reputation_lines(deployment, 0, up_to).drop(LINE_ID), today, rules).frame


def _reputation_state(deployment: Deployment, days: ReputationDays, closed: int) -> ReputationState:
    """As `_accuracy_state`."""
    rules = deployment.policy.standing
    kept = newest_checkpoint(deployment, "reputation")
    if kept is not None and kept.day <= closed and kept.high_water == days.last_line(kept.day):
        state = ReputationState(kept.day, kept.frame)
    else:
        first = closed if days.first_day is None else days.first_day
        state = ReputationState.before(min(first, closed + 1))
    state = reputation.advance_daily(state, days.between(state.day, closed), closed, rules)
    if high_water := days.last_line(closed):
        keep_checkpoint(deployment, "reputation", Checkpoint(closed, high_water, state.frame))
    return state


def engine_disagreements(deployment: Deployment) -> list[str]:
    """Validators whose standing is not the same integers by the day's update and by full replays in Polars, DuckDB and, for
    accuracy, NumPy: must be empty. Accuracy is replayed from the day partitions (`accuracy_days.differing_days`), reputation from the
    ledger's lines."""
    rules, today = deployment.policy.standing, day_number(utc_now())
    events = reputation_lines(deployment).drop(LINE_ID)
    accuracies = [accuracy_today(deployment)]
    with accuracy_days(deployment) as days:
        first = min(today if days.first_day is None else days.first_day, today)
        replayed = accuracy_numpy.replay(days.between(-1, today), len(days.validators), first, today, rules)
        states = [accuracy_numpy.named(replayed, days.validators)]
        for engine in (accuracy, accuracy_duckdb):
            state = AccuracyState.before(first)
            for lines in days.frames(today):
                daily = engine.daily_points(lines)
                state = engine.advance(state, daily, daily["day"][-1], rules)
            states.append(engine.advance(state, pl.DataFrame(schema=ACCURACY_COLUMNS), today, rules))
        accuracies += [accuracy.accuracy(states[0], rules), accuracy.accuracy(states[1], rules)]
        accuracies.append(accuracy_duckdb.accuracy(states[2], rules))
    reputations = [
        reputation_today(deployment),
        *(engine.replay(events, today, rules).frame for engine in (reputation, reputation_duckdb)),
    ]
    differing: set[str] = set()
    for standing_first, *others in (accuracies, reputations):
        for other in others:
            if not standing_first.equals(other):
                differing |= {row[0] for row in set(standing_first.rows()) ^ set(other.rows())}
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
            rounds: list[tuple[str, int, int | None]] = []
            for start in range(0, len(of_rounds), 500):
                some = of_rounds[start : start + 500]
                known = known_since(session, some)
                drawn = session.execute(select(RoundRow.id, RoundRow.weights_epoch).where(RoundRow.id.in_(some)))
                rounds += [(round_id, epoch, known.get(round_id)) for round_id, epoch in drawn]
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

"""The standing stages: book decided rounds, compute accuracy and reputation, publish the weights of the next epoch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from sigma_core.assembly.consensus import TruthSource, Vote
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.audit.canaries.planting import Answer
from sigma_core.audit.model import Verdict
from sigma_core.canonical import sha256_of
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.epoch_tables import keep_epoch_table
from sigma_core.lifecycle.lake import write_parquet
from sigma_core.lifecycle.panels import load_snapshot
from sigma_core.lifecycle.standing_state import accuracy_today, check_booked_lines, reputation_today
from sigma_core.standing import weights, weights_duckdb
from sigma_core.standing.epoch import WeightsEpoch
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.payouts import round_payouts
from sigma_core.standing.points import (
    BaseRates,
    ResolvedRound,
    RoundKind,
    ScoredSeat,
    base_rates,
    reputation_events,
    score_round,
)
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    PayoutEntryRow,
    PlantedCanaryRow,
    ReputationEntryRow,
    RoundRow,
    SeatRow,
    ValidatorRow,
    WeightEpochRow,
)
from sigma_core.timestamps import day_number, utc_now

ROUNDS_PER_TRANSACTION = 200

WEIGHTS_TABLE = {
    "epoch": pl.Int64,
    "day": pl.Int64,
    "validator_id": pl.String,
    "stake_micro_usd": pl.Int64,
    "accuracy_ppm": pl.Int64,
    "reputation_ppm": pl.Int64,
    "weight": pl.Int64,
    "capped": pl.Boolean,
}


class EnginesDisagree(SigmaError):
    """Polars and DuckDB gave different integers; nothing is published."""

    code = "ENGINES_DISAGREE"


@dataclass(frozen=True, slots=True)
class Booked:
    """What one booking added to the ledgers."""

    rounds: int
    accuracy_entries: int
    reputation_events: int
    payout_lines: int


def unbooked_rounds(deployment: Deployment) -> list[str]:
    """Ids of rounds whose truth is known and that the ledgers do not have yet, in the order of their decision."""
    with deployment.read_sessions() as session:
        return list(
            session.scalars(
                select(RoundRow.id)
                .where(
                    RoundRow.scored.is_(True),
                    ~exists().where(AccuracyEntryRow.round_id == RoundRow.id, _of_the_whole_round()),
                )
                .order_by(RoundRow.decided_at, RoundRow.id)
            )
        )


def _of_the_whole_round() -> ColumnElement[bool]:
    """Entries that were booked when the round's truth was known; not those of missed canary files, whose truth is known before."""
    canary = TruthSource.CANARY_LABEL.value
    return or_(AccuracyEntryRow.truth_source != canary, RoundRow.truth_source == canary)


def unbooked_misses(deployment: Deployment) -> list[str]:
    """Ids of rounds that stay unresolved and in which a SAFE vote missed its canary file, as long as the ledgers do not have that."""
    with deployment.read_sessions() as session:
        return list(
            session.scalars(
                select(RoundRow.id)
                .where(
                    RoundRow.state == "DECIDED",
                    RoundRow.scored.is_(False),
                    exists().where(PlantedCanaryRow.round_id == RoundRow.id, _missed()),
                    ~exists().where(AccuracyEntryRow.round_id == RoundRow.id),
                )
                .order_by(RoundRow.decided_at, RoundRow.id)
            )
        )


def _missed() -> ColumnElement[bool]:
    """Planted files that a SAFE vote did not cite."""
    return and_(
        PlantedCanaryRow.answer == Answer.MISSED.value,
        exists().where(
            SeatRow.round_id == PlantedCanaryRow.round_id,
            SeatRow.phase == PlantedCanaryRow.phase,
            SeatRow.number == PlantedCanaryRow.seat_number,
            SeatRow.verdict == Vote.SAFE.value,
        ),
    )


def book_decided_rounds(deployment: Deployment) -> Booked:
    """Append the entries of every unbooked round. A killed booking is taken up where it was; nothing is booked twice.

    Of a round that is not resolved only the votes that missed their canary file are booked: what those are worth is known.
    """
    waiting = unbooked_misses(deployment) + unbooked_rounds(deployment)
    rates_by_day: dict[int, BaseRates] = {}
    entries = events = payouts = 0
    for start in range(0, len(waiting), ROUNDS_PER_TRANSACTION):
        with deployment.sessions.begin() as session:
            for round_id in waiting[start : start + ROUNDS_PER_TRANSACTION]:
                added = _book(deployment, session, round_id, rates_by_day)
                entries, events, payouts = entries + added[0], events + added[1], payouts + added[2]
    return Booked(len(waiting), entries, events, payouts)


def _book(
    deployment: Deployment, session: Session, round_id: str, rates_by_day: dict[int, BaseRates]
) -> tuple[int, int, int]:
    row = session.get_one(RoundRow, round_id, with_for_update=True)
    booked = set(session.scalars(select(AccuracyEntryRow.seat).where(AccuracyEntryRow.round_id == round_id)))
    resolved = _resolved(session, row)
    if all(seat.name in booked for seat in resolved.seats):
        return 0, 0, 0
    if resolved.day not in rates_by_day:
        rates_by_day[resolved.day] = _rates_of_epoch(session, deployment, resolved.day)
    rates = rates_by_day[resolved.day]
    scores = score_round(resolved, rates, deployment.policy)
    conduct = reputation_events(resolved, deployment.policy)
    # A round pays once, all its seats together, when its truth is known.
    payouts = round_payouts(scores, deployment.policy) if row.scored else []
    scores = [entry for entry in scores if entry.seat not in booked]
    conduct = [event for event in conduct if event.detail["seat"] not in booked]
    session.add_all(
        AccuracyEntryRow(
            entry_key=entry.entry_key,
            validator_id=entry.validator_id,
            round_id=entry.round_id,
            seat=entry.seat,
            day=entry.day,
            aligned_q10=entry.aligned_q10,
            misaligned_q10=entry.misaligned_q10,
            reason=entry.reason.value,
            truth_source=entry.truth_source,
            policy_hash=entry.policy_hash,
        )
        for entry in scores
    )
    session.add_all(
        ReputationEntryRow(
            entry_key=event.entry_key,
            validator_id=event.validator_id,
            round_id=event.round_id,
            day=event.day,
            kind=event.kind.value,
            detail=dict(event.detail),
            policy_hash=event.policy_hash,
        )
        for event in conduct
    )
    session.add_all(
        PayoutEntryRow(
            entry_key=line.entry_key,
            round_id=line.round_id,
            validator_id=line.validator_id,
            day=line.day,
            kind=line.kind.value,
            amount_micro_usd=line.amount_micro_usd,
            policy_hash=line.policy_hash,
        )
        for line in payouts
    )
    return len(scores), len(conduct), len(payouts)


@dataclass(frozen=True, slots=True)
class PayoutTotals:
    """Sums of the payout ledger by kind, in micro-USD, and the rounds whose lines do not sum to zero (must be none)."""

    by_kind: dict[str, int]
    rounds: int
    unbalanced_rounds: list[str]


def payout_totals(deployment: Deployment) -> PayoutTotals:
    """What the payout ledger adds up to."""
    amount = func.sum(PayoutEntryRow.amount_micro_usd)
    with deployment.read_sessions() as session:
        by_kind = session.execute(select(PayoutEntryRow.kind, amount).group_by(PayoutEntryRow.kind)).all()
        rounds = session.scalar(select(func.count(PayoutEntryRow.round_id.distinct()))) or 0
        unbalanced = session.scalars(
            select(PayoutEntryRow.round_id)
            .group_by(PayoutEntryRow.round_id)
            .having(amount != 0)
            .order_by(PayoutEntryRow.round_id)
        ).all()
    return PayoutTotals({kind: int(total) for kind, total in sorted(by_kind)}, rounds, list(unbalanced))


def check_ledgers(deployment: Deployment) -> None:
    """Hold every line of both ledgers against what it rests on. Raises LedgerInvalid, naming the first broken one."""
    with deployment.read_sessions() as session:
        check_booked_lines(deployment, (0, 0), _high_water(session))


def _high_water(session: Session) -> tuple[int, int]:
    """Serial numbers of the last lines of the accuracy and the reputation ledger; 0 for none."""
    return (
        session.scalar(select(func.max(AccuracyEntryRow.id))) or 0,
        session.scalar(select(func.max(ReputationEntryRow.id))) or 0,
    )


def _decided_at(row: RoundRow) -> datetime:
    assert row.decided_at is not None
    return row.decided_at


def _resolved(session: Session, row: RoundRow) -> ResolvedRound:
    seats = session.scalars(
        select(SeatRow).where(SeatRow.round_id == row.id).order_by(SeatRow.phase, SeatRow.number)
    ).all()
    missed = {
        (planted.phase, planted.seat_number)
        for planted in session.scalars(select(PlantedCanaryRow).where(PlantedCanaryRow.round_id == row.id, _missed()))
    }
    scored = tuple(
        ScoredSeat(
            seat.phase,
            seat.number,
            seat.validator_id,
            Vote(str(seat.verdict)),
            canary_label=Verdict.UNSAFE if (seat.phase, seat.number) in missed else None,
        )
        for seat in seats
        if row.scored or (seat.phase, seat.number) in missed
    )
    return ResolvedRound(
        round_id=row.id,
        kind=_kind(row.truth_source),
        seats=scored,
        truth=Verdict(str(row.truth)) if row.scored else Verdict.UNSAFE,
        truth_source=TruthSource(str(row.truth_source)) if row.scored else TruthSource.CANARY_LABEL,
        day=day_number(_decided_at(row)),
        escalated=row.outcome == "ESCALATED",
    )


def _kind(truth_source: str | None) -> RoundKind:
    return RoundKind.CANARY if truth_source == TruthSource.CANARY_LABEL else RoundKind.CERTIFICATE


def _rates_of_epoch(session: Session, deployment: Deployment, day: int) -> BaseRates:
    """Base rates from the rounds that were resolved before ``day``, so that none is scored by a rate that it moved."""
    rows = session.execute(
        select(RoundRow.id, RoundRow.truth_source, RoundRow.truth, RoundRow.decided_at).where(RoundRow.scored.is_(True))
    )
    frame = pl.DataFrame(
        [(row.id, _kind(row.truth_source).value, row.truth, day_number(row.decided_at)) for row in rows],
        schema={"round_id": pl.String, "kind": pl.String, "truth": pl.String, "day": pl.Int64},
        orient="row",
    )
    return base_rates(frame, day, deployment.policy.standing)


def publish_weights(deployment: Deployment) -> WeightEpochRow:
    """Publish the next epoch, or return the newest when nothing that shapes the weights has changed since.

    Raises LedgerInvalid for a ledger line or a validator that breaks a rule, for a day before that of the newest epoch and when nobody
    has weight, and EnginesDisagree when the two engines differ: the previous epoch then stays in force.
    """
    policy = deployment.policy
    day = day_number(utc_now())
    with deployment.read_sessions() as session:
        high_water = _high_water(session)
        validators = _validators(session)
        newest = session.scalar(select(WeightEpochRow).order_by(WeightEpochRow.epoch.desc()).limit(1))
    weights.check_validators(validators, policy.standing)
    inputs_sha256 = sha256_of(
        {
            "day": day,
            "policyHash": policy.hash,
            "accuracyHighWater": high_water[0],
            "reputationHighWater": high_water[1],
            "validators": validators.to_dicts(),
        }
    )
    if newest is not None and newest.inputs_sha256 == inputs_sha256:
        return newest
    before = (newest.accuracy_high_water, newest.reputation_high_water) if newest is not None else (0, 0)
    if newest is not None and day < newest.day:
        raise LedgerInvalid(
            f"weights: today is day {day}, before day {newest.day} of epoch {newest.epoch}: check the clock"
        )
    check_booked_lines(deployment, before, high_water)
    accuracies = accuracy_today(deployment, high_water[0]).select("validator_id", "accuracy_ppm")
    reputations = reputation_today(deployment, high_water[1]).select("validator_id", "reputation_ppm")
    table = weights.governance_weights(validators, accuracies, reputations, policy.standing)
    second = weights_duckdb.governance_weights(validators, accuracies, reputations, policy.standing)
    if not table.frame.equals(second.frame) or table.operator_cap_ppm != second.operator_cap_ppm:
        raise EnginesDisagree("Polars and DuckDB disagree on the weights; the epoch is not published")
    if table.total_weight == 0:
        raise LedgerInvalid("weights: nobody has weight, so that no panel could be drawn; the epoch is not published")
    previous = WeightsEpoch.parse(deployment.blobs.get(newest.snapshot_sha256)) if newest is not None else None
    return _publish(deployment, previous, day, inputs_sha256, high_water, table)


def _validators(session: Session) -> pl.DataFrame:
    rows = session.scalars(select(ValidatorRow).order_by(ValidatorRow.id)).all()
    return pl.DataFrame(
        # Bonuses come with plugins and worlds; until a validator has any, both are zero.
        [(v.id, v.operator, v.family, v.stake_micro_usd, v.tier_ppm, 0, 0, v.status != "ACTIVE") for v in rows],
        schema=weights.VALIDATOR_COLUMNS,
        orient="row",
    )


def _publish(
    deployment: Deployment,
    previous: WeightsEpoch | None,
    day: int,
    inputs_sha256: str,
    high_water: tuple[int, int],
    table: weights.WeightTable,
) -> WeightEpochRow:
    number = previous.epoch + 1 if previous is not None else 1
    snapshot = WeightsSnapshot.of(
        number,
        deployment.policy.hash,
        (
            WeightRow(row["validator_id"], row["operator"], row["family"], row["weight"], row["reputation_ppm"])
            for row in table.frame.iter_rows(named=True)
        ),
    )
    document = WeightsEpoch.of(
        table,
        epoch=number,
        day=day,
        policy_hash=deployment.policy.hash,
        accuracy_high_water=high_water[0],
        reputation_high_water=high_water[1],
        merkle_root=snapshot.merkle_root,
        previous=previous,
    )
    keep_epoch_table(deployment, document)
    published = WeightEpochRow(
        epoch=number,
        day=day,
        policy_hash=deployment.policy.hash,
        inputs_sha256=inputs_sha256,
        accuracy_high_water=high_water[0],
        reputation_high_water=high_water[1],
        merkle_root=snapshot.merkle_root,
        total_weight=snapshot.total_weight,
        validator_count=len(document.rows),
        snapshot_sha256=deployment.blobs.put(document.canonical_bytes),
        published_at=utc_now(),
    )
    try:
        with deployment.sessions.begin() as session:
            session.add(published)
    except IntegrityError:
        # Another process has published this number meanwhile: that is the epoch, and ours is what the next call makes.
        with deployment.read_sessions() as session:
            return session.get_one(WeightEpochRow, number)
    return published


def newest_snapshot(deployment: Deployment) -> WeightsSnapshot:
    """The weights in force, checked against their published Merkle root. Raises SigmaError when they do not have it."""
    with deployment.read_sessions() as session:
        epoch = session.scalar(select(func.max(WeightEpochRow.epoch)))
    if epoch is None:
        raise SigmaError("no weights have been published", code="WEIGHTS_MISSING")
    return load_snapshot(deployment, epoch)


def write_weights_table(deployment: Deployment) -> int:
    """Export the weights of every epoch to the lake; returns the number of rows. A published epoch never changes, so only those that
    the file does not have yet are read. Raises Unavailable when the lake cannot be written."""
    path = deployment.settings.lake / "protocol" / "weights.parquet"
    kept = pl.DataFrame(schema=WEIGHTS_TABLE)
    if path.is_file() and dict(pl.read_parquet_schema(path)) == WEIGHTS_TABLE:
        kept = pl.read_parquet(path)
    with deployment.read_sessions() as session:
        epochs = session.execute(
            select(WeightEpochRow.epoch, WeightEpochRow.day, WeightEpochRow.snapshot_sha256)
            .where(WeightEpochRow.epoch > (kept["epoch"].max() or 0))
            .order_by(WeightEpochRow.epoch)
        ).all()
    frames = [
        pl.DataFrame(
            [
                (
                    epoch,
                    day,
                    row.validator_id,
                    row.stake_micro_usd,
                    row.accuracy_ppm,
                    row.reputation_ppm,
                    row.weight,
                    row.capped,
                )
                for row in WeightsEpoch.parse(deployment.blobs.get(sha256)).rows
            ],
            schema=WEIGHTS_TABLE,
            orient="row",
        )
        for epoch, day, sha256 in epochs
    ]
    frame = pl.concat([kept, *frames])
    if frames or not path.is_file():
        write_parquet(frame, path)
    return frame.height

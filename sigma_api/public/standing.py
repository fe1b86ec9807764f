"""The standing of validators as it was published: who has which weight, how it came about, and the document that proves it.

Everything is read from published epochs, which never change; the newest is in force.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select

from sigma_api.caching import IMMUTABLE_CACHE_CONTROL, Answer, cacheable
from sigma_api.paging import MAX_CURSOR_CHARACTERS
from sigma_api.problems import ProblemError, documented
from sigma_api.public.parameters import OF_ONE, PREFIX, OpenDeployment
from sigma_api.public.snapshot import Kept, keep
from sigma_api.wire import Sha256, UtcTime, WireModel
from sigma_core.canonical import MAX_SAFE_INTEGER
from sigma_core.deployment import Deployment
from sigma_core.identifiers import IDENTIFIER
from sigma_core.lifecycle.epoch_tables import epoch_table, validator_epochs
from sigma_core.policy import PPM
from sigma_core.storage.protocol import ValidatorRow, WeightEpochRow
from sigma_core.timestamps import iso_utc

MAX_PAGE = 100
DEFAULT_PAGE = 20

router = APIRouter(prefix=PREFIX, tags=["public"])


class Order(StrEnum):
    """What a list of validators is sorted by, largest first; equals by id."""

    WEIGHT = "weight"
    ACCURACY = "accuracy"
    REPUTATION = "reputation"
    STAKE = "stake"


COLUMN = {
    Order.WEIGHT: "weight",
    Order.ACCURACY: "accuracy_ppm",
    Order.REPUTATION: "reputation_ppm",
    Order.STAKE: "stake_micro_usd",
}


class PublishedEpoch(WireModel):
    """A published weights epoch."""

    epoch: int
    published_at: UtcTime
    day: int
    """The UTC day, counted from 1970-01-01, whose ledger lines are the last in it."""
    policy_hash: Sha256
    merkle_root: Sha256
    """Root over the rows of the snapshot: what rounds that were drawn from it are bound to."""
    total_weight: str
    """Sum of all weights in micro-USD: an integer that may pass 2^53."""
    validator_count: int
    snapshot_sha256: Sha256
    """SHA-256 of the snapshot's bytes."""
    snapshot_url: str
    """Where the snapshot is, on this host."""


class Standing(WireModel):
    """One validator in one epoch."""

    validator_id: str
    operator: str
    family: str
    rank: int
    """1 has the largest weight; equal weights share a rank."""
    weight: int
    """Governance weight in micro-USD; 0 is never drawn."""
    weight_ppm: int
    """Share of the total weight, rounded down."""
    accuracy_ppm: int
    reputation_ppm: int
    tier_ppm: int
    """Factor of the validator's tier."""
    stake_micro_usd: int
    capped: bool
    """The cap on one operator's weight applies."""
    suspended: bool
    change: str | None
    """Why this differs from the epoch before; null where it does not."""


class StandingPage(WireModel):
    """One page of the validators of one epoch."""

    epoch: PublishedEpoch
    items: list[Standing]
    next_cursor: str | None
    """Give it as `cursor` to get the next page, of the same epoch even when a newer one has come; null on the last."""


class StandingAt(Standing):
    """One validator in one epoch, with the epoch."""

    epoch: int
    published_at: UtcTime


class ValidatorHistory(WireModel):
    """One validator over the epochs, newest first."""

    validator_id: str
    status: str
    """ACTIVE, SUSPENDED or RESTING, now."""
    joined_at: UtcTime
    current: StandingAt | None
    """In the newest epoch; null where the validator is not listed in it."""
    items: list[StandingAt]
    """One for each epoch of the page that lists the validator, so perhaps fewer than `limit`."""
    next_cursor: str | None
    """Give it as `cursor` to get older epochs; null on the last page."""


Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many are on a page.")]
CursorText = Annotated[
    str | None,
    Query(
        description="`nextCursor` of the page before.",
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$", "maxLength": MAX_CURSOR_CHARACTERS},
    ),
]
Epoch = Annotated[int, Path(ge=1, le=MAX_SAFE_INTEGER, description="Number of a published epoch.")]


@router.get(
    "/standing",
    operation_id="listStanding",
    summary="Validators by their standing now",
    response_model=StandingPage,
    responses=OF_ONE | documented("invalid-cursor"),
)
def list_standing(
    request: Request,
    deployment: OpenDeployment,
    sort: Annotated[Order, Query(description="What to sort by, largest first.")] = Order.WEIGHT,
    limit: Limit = DEFAULT_PAGE,
    cursor: CursorText = None,
) -> Response:
    """The validators of the newest epoch. Pages that follow are of the epoch of the first, so nobody is lost or repeated."""
    which = list(Order).index(sort)
    number, start = None, 0
    if cursor is not None:
        number, sorted_by, start = _numbers(cursor, 3)
        if sorted_by != which:
            raise ProblemError("invalid-cursor", "query parameter cursor: it is of a list in another order than `sort`")
    epoch = _epoch(deployment, number)
    table = epoch_table(deployment, epoch).sort(COLUMN[sort], "validator_id", descending=[True, False])
    end = start + limit
    page = {
        "epoch": _published(epoch),
        "items": [_standing(row, epoch) for row in table[start:end].iter_rows(named=True)],
        "nextCursor": _cursor(epoch.epoch, which, end) if end < table.height else None,
    }
    return keep(request, Kept(Answer.of(orjson.dumps(page))))


@router.get(
    "/standing/validators/{validator_id}",
    operation_id="getValidatorStanding",
    summary="A validator's standing over the epochs",
    response_model=ValidatorHistory,
    responses=OF_ONE | documented("invalid-cursor"),
)
def get_validator(
    request: Request,
    deployment: OpenDeployment,
    validator_id: Annotated[str, Path(description="Id of a validator.", examples=["val_…"])],
    limit: Limit = DEFAULT_PAGE,
    cursor: CursorText = None,
) -> Response:
    """Weight, accuracy, reputation and what moved them, epoch by epoch, newest first; with the standing now."""
    before = MAX_SAFE_INTEGER if cursor is None else _numbers(cursor, 1)[0]
    with deployment.read_sessions() as session:
        validator = session.get(ValidatorRow, validator_id) if IDENTIFIER.fullmatch(validator_id) else None
        if validator is None:
            raise ProblemError("not-found", "No validator has this id.")
        newest_first = select(WeightEpochRow).order_by(WeightEpochRow.epoch.desc())
        newest = session.scalars(newest_first.limit(1)).all()
        epochs = session.scalars(newest_first.where(WeightEpochRow.epoch < before).limit(limit + 1)).all()
    history = {
        "validatorId": validator.id,
        "status": validator.status,
        "joinedAt": iso_utc(validator.joined_at),
        "current": next(iter(_over(deployment, newest, validator.id)), None),
        "items": _over(deployment, epochs[:limit], validator.id),
        "nextCursor": _cursor(epochs[limit - 1].epoch) if len(epochs) > limit else None,
    }
    return keep(request, Kept(Answer.of(orjson.dumps(history))))


@router.get(
    "/standing/epochs/{epoch}",
    operation_id="getStandingEpoch",
    summary="A published epoch",
    response_model=PublishedEpoch,
    responses=OF_ONE,
)
def get_epoch(request: Request, deployment: OpenDeployment, epoch: Epoch) -> Response:
    """Merkle root, policy and total of an epoch, and where its snapshot is."""
    answer = orjson.dumps(_published(_epoch(deployment, epoch)))
    return cacheable(request, answer, cache_control=IMMUTABLE_CACHE_CONTROL)


@router.get(
    "/standing/epochs/{epoch}/snapshot",
    operation_id="getStandingSnapshot",
    summary="The snapshot of an epoch",
    response_model=dict[str, Any],
    responses=OF_ONE,
)
def get_snapshot(request: Request, deployment: OpenDeployment, epoch: Epoch) -> Response:
    """Every row with what its weight was computed from and why it moved, byte for byte as it was published (RFC 8785), from which
    anybody can compute the Merkle root again."""
    content = deployment.blobs.get(_epoch(deployment, epoch).snapshot_sha256)
    return cacheable(request, content, cache_control=IMMUTABLE_CACHE_CONTROL)


def _epoch(deployment: Deployment, number: int | None) -> WeightEpochRow:
    """The epoch of this number, else the newest. Raises ProblemError ``not-found``."""
    newest_first = select(WeightEpochRow).order_by(WeightEpochRow.epoch.desc()).limit(1)
    with deployment.read_sessions() as session:
        epoch = session.scalar(newest_first) if number is None else session.get(WeightEpochRow, number)
    if epoch is None:
        raise ProblemError("not-found", "No epoch of weights has this number.")
    return epoch


def _published(epoch: WeightEpochRow) -> dict[str, Any]:
    return {
        "epoch": epoch.epoch,
        "publishedAt": iso_utc(epoch.published_at),
        "day": epoch.day,
        "policyHash": epoch.policy_hash,
        "merkleRoot": epoch.merkle_root,
        "totalWeight": str(epoch.total_weight),
        "validatorCount": epoch.validator_count,
        "snapshotSha256": epoch.snapshot_sha256,
        "snapshotUrl": f"{PREFIX}/standing/epochs/{epoch.epoch}/snapshot",
    }


def _standing(row: Mapping[str, Any], epoch: WeightEpochRow) -> dict[str, Any]:
    return {
        "validatorId": row["validator_id"],
        "operator": row["operator"],
        "family": row["family"],
        "rank": row["rank"],
        "weight": row["weight"],
        # Python's integers: the product may pass 64 bits.
        "weightPpm": row["weight"] * PPM // epoch.total_weight,
        "accuracyPpm": row["accuracy_ppm"],
        "reputationPpm": row["reputation_ppm"],
        "tierPpm": row["tier_ppm"],
        "stakeMicroUsd": row["stake_micro_usd"],
        "capped": row["capped"],
        "suspended": row["suspended"],
        "change": row["change"],
    }


def _over(deployment: Deployment, epochs: Sequence[WeightEpochRow], validator_id: str) -> list[dict[str, Any]]:
    """The validator in each of ``epochs`` that lists it, newest first."""
    by_number = {epoch.epoch: epoch for epoch in epochs}
    return [
        {
            "epoch": row["epoch"],
            "publishedAt": iso_utc(by_number[row["epoch"]].published_at),
            **_standing(row, by_number[row["epoch"]]),
        }
        for row in validator_epochs(deployment, epochs, validator_id).iter_rows(named=True)
    ]


def _cursor(*numbers: int) -> str:
    """Text for ``nextCursor``: base64url of the JSON list, without padding."""
    return urlsafe_b64encode(orjson.dumps(numbers)).rstrip(b"=").decode()


def _numbers(text: str, count: int) -> list[int]:
    """The ``count`` numbers, 0 … 2^53 − 1, that `_cursor` encodes to exactly ``text``. Raises ProblemError ``invalid-cursor``."""
    try:
        if len(text) > MAX_CURSOR_CHARACTERS:
            raise ValueError
        numbers = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if type(numbers) is not list or len(numbers) != count or _cursor(*numbers) != text:
            raise ValueError
        if any(type(number) is not int or not 0 <= number <= MAX_SAFE_INTEGER for number in numbers):
            raise ValueError
    except (ValueError, TypeError):
        raise ProblemError(
            "invalid-cursor", "query parameter cursor: take it unchanged from nextCursor of an earlier page"
        ) from None
    return numbers

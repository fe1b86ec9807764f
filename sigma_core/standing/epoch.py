"""The published document of one weights epoch: every row, what it was computed from, and why each validator's weight moved.

The Merkle root is that of the weights snapshot (`sigma_core.assembly.weights`), taken as a value.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sigma_core.canonical import canonical_json, parse_strict_json, sha256_hex
from sigma_core.policy import PPM
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.weights import WeightTable

SCHEMA: Literal["sigma-weights-epoch-v1"] = "sigma-weights-epoch-v1"

Digest = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Count = Annotated[int, Field(ge=0)]
DecimalText = Annotated[str, Field(pattern=r"\A(0|[1-9][0-9]*)\z")]
"""An integer that may pass 2^53, as decimal text."""


class _Document(BaseModel):
    """camelCase on the wire; a number is never read from text, and an unknown field is refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=True,
        serialize_by_alias=True,
    )


class StandingRow(_Document):
    """One validator in one epoch: the inputs of its weight, and the weight in micro-USD (`sigma_core.standing.weights`).
    ``capped``: the operator cap scaled it."""

    validator_id: str
    operator: str
    family: str
    stake_micro_usd: Count
    tier_ppm: Count
    plugin_bonus_ppm: Count
    in_world_bonus_ppm: Count
    suspended: bool
    accuracy_ppm: Count
    reputation_ppm: Count
    weight: Count
    capped: bool


class WeightChange(_Document):
    """What differs from the epoch before. A weight is null where the validator was not listed."""

    validator_id: str
    weight_before: Count | None
    weight_after: Count | None
    explanation: str


class WeightsEpoch(_Document):
    """One epoch. ``day`` is the UTC day whose entries are the last ones in it; the high-water marks are the last ledger lines
    (serial numbers, 0 = none) that were read; rows are sorted by validator id."""

    schema_name: Literal["sigma-weights-epoch-v1"] = Field(default=SCHEMA, alias="schema")
    epoch: Annotated[int, Field(ge=1)]
    day: Count
    policy_hash: Digest
    accuracy_high_water: Count
    reputation_high_water: Count
    merkle_root: Digest
    operator_cap_ppm: Annotated[int, Field(ge=0, le=PPM)]
    operator_level: DecimalText
    total_weight: DecimalText
    rows: tuple[StandingRow, ...]
    changes: tuple[WeightChange, ...]

    @classmethod
    def of(
        cls,
        table: WeightTable,
        *,
        epoch: int,
        day: int,
        policy_hash: str,
        accuracy_high_water: int,
        reputation_high_water: int,
        merkle_root: str,
        previous: WeightsEpoch | None,
    ) -> Self:
        """The document of ``table``, compared with ``previous`` (None for epoch 1). Raises LedgerInvalid when ``previous`` is not
        the epoch before, or is of a later day or ledger."""
        if (previous.epoch if previous else 0) != epoch - 1:
            raise LedgerInvalid(
                f"weights epoch {epoch}: the epoch before it is {epoch - 1}, not {previous and previous.epoch}"
            )
        marks = (day, accuracy_high_water, reputation_high_water)
        if previous and any(
            now < then
            for now, then in zip(
                marks, (previous.day, previous.accuracy_high_water, previous.reputation_high_water), strict=True
            )
        ):
            raise LedgerInvalid(f"weights epoch {epoch}: its day or ledgers end before those of epoch {previous.epoch}")
        rows = tuple(StandingRow(**row) for row in table.frame.iter_rows(named=True))
        return cls(
            epoch=epoch,
            day=day,
            policy_hash=policy_hash,
            accuracy_high_water=accuracy_high_water,
            reputation_high_water=reputation_high_water,
            merkle_root=merkle_root,
            operator_cap_ppm=table.operator_cap_ppm,
            operator_level=str(table.operator_level),
            total_weight=str(table.total_weight),
            rows=rows,
            changes=_changes(
                previous.rows if previous else (),
                rows,
                policy_changed=bool(previous and previous.policy_hash != policy_hash),
            ),
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The document that `canonical_bytes` wrote. Raises NotCanonical or LedgerInvalid, naming the place."""
        document = parse_strict_json(data)
        try:
            # By way of JSON, where pydantic's strict mode still reads an array as a tuple.
            return cls.model_validate_json(canonical_json(document))
        except ValidationError as error:
            first = error.errors()[0]
            raise LedgerInvalid(f"weights epoch: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    @cached_property
    def canonical_bytes(self) -> bytes:
        """RFC 8785 bytes: what is kept and hashed."""
        return canonical_json(self.model_dump(mode="json"))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 hex of `canonical_bytes`."""
        return sha256_hex(self.canonical_bytes)


def _changes(
    before: tuple[StandingRow, ...], after: tuple[StandingRow, ...], *, policy_changed: bool
) -> tuple[WeightChange, ...]:
    """One change for each validator whose row differs, sorted by validator id."""
    old = {row.validator_id: row for row in before}
    new = {row.validator_id: row for row in after}
    return tuple(
        WeightChange(
            validator_id=name,
            weight_before=old[name].weight if name in old else None,
            weight_after=new[name].weight if name in new else None,
            explanation=_explain(old.get(name), new.get(name), policy_changed=policy_changed),
        )
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _explain(old: StandingRow | None, new: StandingRow | None, *, policy_changed: bool) -> str:
    """``accuracy −0.021, reputation unchanged, stake unchanged``, and whatever else moved."""
    if old is None or new is None:
        return "joined" if old is None else "left"
    parts = [
        f"accuracy {_moved(new.accuracy_ppm - old.accuracy_ppm)}",
        f"reputation {_moved(new.reputation_ppm - old.reputation_ppm)}",
        f"stake {_moved(new.stake_micro_usd - old.stake_micro_usd, ' USD')}",
    ]
    for name, was, now in (
        ("tier", old.tier_ppm, new.tier_ppm),
        ("plugin bonus", old.plugin_bonus_ppm, new.plugin_bonus_ppm),
        ("in-world bonus", old.in_world_bonus_ppm, new.in_world_bonus_ppm),
    ):
        if was != now:
            parts.append(f"{name} {_moved(now - was)}")
    for name, left, joined in (("operator", old.operator, new.operator), ("family", old.family, new.family)):
        if left != joined:
            parts.append(f"{name} {left} → {joined}")
    if old.suspended != new.suspended:
        parts.append("suspended" if new.suspended else "reinstated")
    if old.capped or new.capped:
        parts.append("operator cap applies" if new.capped else "operator cap no longer applies")
    if policy_changed:
        parts.append("policy changed")
    return ", ".join(parts)


def _moved(millionths: int, unit: str = "") -> str:
    """A difference in millionths as a signed decimal without trailing zeros, or ``unchanged``."""
    if millionths == 0:
        return "unchanged"
    whole, fraction = divmod(abs(millionths), PPM)
    digits = f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")
    return f"{'−' if millionths < 0 else '+'}{digits}{unit}"

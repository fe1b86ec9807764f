"""The weights snapshot: the published lottery weights of one epoch, under one Merkle root."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sigma_core.assembly.merkle import inclusion_proof, merkle_root
from sigma_core.canonical import MAX_SAFE_INTEGER, canonical_json
from sigma_core.errors import SigmaError
from sigma_core.policy import PPM

SCHEMA = "sigma-weights-v1"


class WeightsError(SigmaError):
    """A snapshot that cannot be published: names the validator and the rule."""

    code = "WEIGHTS_INVALID"


@dataclass(frozen=True, slots=True)
class WeightRow:
    """One validator's governance weight (integer, in the unit that the standing publishes; 0 = never drawn) and
    SIGMA reputation (ppm)."""

    validator_id: str
    operator: str
    family: str
    weight: int
    reputation_ppm: int

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON of the row; its canonical bytes are the Merkle leaf."""
        return {
            "validatorId": self.validator_id,
            "operator": self.operator,
            "family": self.family,
            "weight": self.weight,
            "reputationPpm": self.reputation_ppm,
        }


@dataclass(frozen=True)
class WeightsSnapshot:
    """All weights of one epoch, rows sorted by validator id. Make it with `WeightsSnapshot.of`."""

    epoch: int
    policy_hash: str
    rows: tuple[WeightRow, ...]

    @classmethod
    def of(cls, epoch: int, policy_hash: str, rows: Iterable[WeightRow]) -> WeightsSnapshot:
        """The snapshot of ``rows`` in any order.

        Raises WeightsError for a validator that appears twice, a weight that is negative or beyond 2^53 − 1, a
        reputation outside 0 … 1,000,000 ppm and a total beyond 2^63 − 1.
        """
        ordered = tuple(sorted(rows, key=lambda row: row.validator_id))
        total = 0
        previous = None
        for row in ordered:
            if row.validator_id == previous:
                raise WeightsError(f"validator {row.validator_id} appears twice in epoch {epoch}")
            if not 0 <= row.weight <= MAX_SAFE_INTEGER:
                raise WeightsError(f"validator {row.validator_id}: weight {row.weight} is not within 0 … 2^53 − 1")
            if not 0 <= row.reputation_ppm <= PPM:
                raise WeightsError(
                    f"validator {row.validator_id}: reputation {row.reputation_ppm} ppm is not within 0 … 1,000,000"
                )
            previous = row.validator_id
            total += row.weight
        if total >= 1 << 63:
            raise WeightsError(f"epoch {epoch}: total weight {total} is beyond 2^63 − 1")
        return cls(epoch, policy_hash, ordered)

    @cached_property
    def total_weight(self) -> int:
        """Sum of all weights."""
        return sum(row.weight for row in self.rows)

    @cached_property
    def merkle_root(self) -> str:
        """Root, 64 hex digits, over a first leaf ``{schema, epoch, policyHash, count}`` and one leaf for each row."""
        return merkle_root(self._leaves).hex()

    def proof(self, validator_id: str) -> tuple[int, tuple[bytes, ...]]:
        """Leaf index (0 is the head leaf) and inclusion proof of a validator's row. Raises KeyError without one."""
        for index, row in enumerate(self.rows, start=1):
            if row.validator_id == validator_id:
                return index, inclusion_proof(self._leaves, index)
        raise KeyError(validator_id)

    @cached_property
    def _leaves(self) -> tuple[bytes, ...]:
        head = {"schema": SCHEMA, "epoch": self.epoch, "policyHash": self.policy_hash, "count": len(self.rows)}
        return (canonical_json(head), *(canonical_json(row.as_json()) for row in self.rows))

    def as_json(self) -> dict[str, Any]:
        """``{epoch, policyHash, rows[], merkleRoot}``."""
        return {
            "epoch": self.epoch,
            "policyHash": self.policy_hash,
            "rows": [row.as_json() for row in self.rows],
            "merkleRoot": self.merkle_root,
        }

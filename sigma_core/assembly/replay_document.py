"""The public record of a round: `ReplayDocument`, every input beside the hashes and results published of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from sigma_core.assembly.beacon import BeaconChain
from sigma_core.assembly.canaries import CanaryRecord
from sigma_core.assembly.commit_reveal import SealedVote, SeatStatus
from sigma_core.assembly.consensus import Outcome, RoundOutcome
from sigma_core.assembly.independence import Calibration, FamilyKind, assurance_level, effective_votes_ppm
from sigma_core.assembly.round import ClosedBy, PhaseRecord, Round
from sigma_core.audit.model import Verdict
from sigma_core.canonical import sha256_of
from sigma_core.policy import Relaxation
from sigma_core.sandbox.facts import FactsDocument

SCHEMA = "sigma-replay-v1"

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=0)]
Words = Annotated[str, Field(min_length=1)]
UtcTime = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$")]
"""As `sigma_core.timestamps.iso_utc` writes it, so that text in order is time in order."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)


class SubmissionPart(_Part):
    """`SealedSubmission.as_json`."""

    schema_: Literal["sigma-submission-v1"] = Field(alias="schema")
    submission_id: str
    tree_hash: Digest
    conflicts: tuple[str, ...]
    beacon_chain: Digest
    beacon_round: Number


class WeightRowPart(_Part):
    """`WeightRow.as_json`."""

    validator_id: str
    operator: str
    family: str
    weight: Number
    reputation_ppm: Number


class WeightsPart(_Part):
    """`WeightsSnapshot.as_json`."""

    epoch: Number
    policy_hash: Digest
    rows: tuple[WeightRowPart, ...]
    merkle_root: Digest


class HashChainPart(_Part):
    """`HashChain.as_json`."""

    kind: Literal["hash-chain"]
    anchor: Digest


class DrandChainPart(_Part):
    """`DrandChain.as_json`."""

    kind: Literal["drand"]
    public_key: str
    period_seconds: Number
    genesis_time: Number
    group_hash: str
    beacon_id: str


class BeaconPart(_Part):
    """The chain's public description and the value that the seed was made of."""

    chain: Annotated[HashChainPart | DrandChainPart, Field(discriminator="kind")]
    round: Number
    value: Digest
    proof: str


class SeatPart(_Part):
    """`Seat.as_json` and what came of the seat: its commitment, and salt and verdict document if it revealed."""

    number: Number
    validator_id: str
    operator: str
    family: str
    ticket_index: Number
    relaxations: tuple[Relaxation, ...]
    replaces: Number | None
    status: Literal[SeatStatus.REVEALED, SeatStatus.ABSTAINED, SeatStatus.NO_SHOW, SeatStatus.REMOVED]
    commitment: Digest | None
    salt: Digest | None
    verdict: dict[str, Any] | None


class PhasePart(_Part):
    """One phase: 1, 2, or 3 for a third panel. ``redraws`` as in `PhaseRecord`; documents from before them have none."""

    phase: Number
    seats: tuple[SeatPart, ...]
    redraws: tuple[tuple[Number, ...], ...] | None = None
    closed_by: ClosedBy = ClosedBy.COMPLETE


class AppealPart(_Part):
    """`Appeal.as_json`."""

    round_id: str
    seats_per_phase: Annotated[int, Field(ge=1)]
    former_operators: tuple[str, ...]


class MissedCanaryPart(_Part):
    """A SAFE vote that missed its planted canary."""

    phase: Number
    seat: Number


class PlantedCanaryPart(_Part):
    """`PlantedCanary`: ``verdict`` is what the seat's validator said of the view that held the file."""

    phase: Number
    seat: Number
    item: str
    path: str
    sha256: Digest
    verdict_hash: Digest
    verdict: dict[str, Any]


class PackageCanaryPart(_Part):
    """`PackageCanary` without its label."""

    item: str
    variant: Digest
    bank_sha256: Digest


class CanaryPart(_Part):
    """`CanaryRecord`. What has a default is not in documents from before canaries were planted."""

    label: Literal[Verdict.SAFE, Verdict.UNSAFE] | None
    missed_by: tuple[MissedCanaryPart, ...]
    bank_sha256: Digest | None = None
    package: PackageCanaryPart | None = None
    planted: tuple[PlantedCanaryPart, ...] = ()


class CorrelationPart(_Part):
    """Error correlation of two families, ppm."""

    families: tuple[str, str]
    ppm: int


class CalibrationPart(_Part):
    """`Calibration.as_json`."""

    kinds: dict[str, FamilyKind]
    correlations: tuple[CorrelationPart, ...]


class IndependencePart(_Part):
    """How independent the votes were, and the calibration that says so."""

    calibration: CalibrationPart
    calibration_hash: Digest
    n_eff_ppm: Number
    assurance_level: Number


class OverridePart(_Part):
    """What an operator decided beside the outcome; the last one counts, and none of them changes what is recomputed."""

    number: Number
    outcome: Literal[RoundOutcome.APPROVED, RoundOutcome.REJECTED]
    actor: Words
    reason: Words
    overridden_at: UtcTime


class ReplayDocument(_Part):
    """Everything needed to recompute a round. Canonical JSON (no floats) in camelCase; hashes are SHA-256 hex."""

    schema_: Literal["sigma-replay-v1"] = Field(alias="schema")
    round_id: str
    submission: SubmissionPart
    submission_hash: Digest
    appeal: AppealPart | None = None
    policy: dict[str, Any]
    policy_hash: Digest
    weights: WeightsPart
    beacon: BeaconPart
    seed: Digest
    phases: tuple[PhasePart, ...]
    facts: dict[str, Any]
    facts_hash: Digest
    canary: CanaryPart
    outcome: dict[str, Any]
    independence: IndependencePart
    standing: dict[str, Any] | None
    overrides: tuple[OverridePart, ...] = ()


def replay_document(
    held: Round,
    phases: Sequence[PhaseRecord],
    *,
    policy: Mapping[str, Any],
    chain: BeaconChain,
    facts: FactsDocument,
    canary: CanaryRecord,
    outcome: Outcome,
    calibration: Calibration,
    standing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The `ReplayDocument` of a round that is over, as plain JSON. ``policy`` is the whole policy of the round as JSON,
    ``standing`` what a `StandingReplay` will recompute."""
    return {
        "schema": SCHEMA,
        "roundId": held.id,
        "submission": held.submission.as_json(),
        "submissionHash": held.submission.hash,
        "appeal": held.appeal.as_json() if held.appeal else None,
        "policy": dict(policy),
        "policyHash": sha256_of(dict(policy)),
        "weights": held.snapshot.as_json(),
        "beacon": {
            "chain": chain.as_json(),
            "round": held.beacon.round,
            "value": held.beacon.value,
            "proof": held.beacon.proof,
        },
        "seed": held.seed,
        "phases": [
            {
                "phase": record.panel.phase,
                "seats": [
                    seat.as_json() | _sealed_json(record.ballot.votes[seat.number]) for seat in record.panel.seats
                ],
                "redraws": None if record.redraws is None else [list(vacant) for vacant in record.redraws],
                "closedBy": record.closed_by.value,
            }
            for record in phases
        ],
        "facts": dict(facts.document),
        "factsHash": facts.sha256,
        "canary": canary.as_json(phases),
        "outcome": outcome.as_json(),
        "independence": {
            "calibration": calibration.as_json(),
            "calibrationHash": calibration.hash,
            **independence_json(phases, calibration),
        },
        "standing": dict(standing) if standing is not None else None,
    }


def independence_json(phases: Sequence[PhaseRecord], calibration: Calibration) -> dict[str, int]:
    """``{nEffPpm, assuranceLevel}`` of all votes cast in a round."""
    families = [family for record in phases for family in record.families_cast]
    return {
        "nEffPpm": effective_votes_ppm(families, calibration),
        "assuranceLevel": assurance_level(families, calibration),
    }


def _sealed_json(vote: SealedVote) -> dict[str, Any]:
    return {
        "status": vote.status.value,
        "commitment": vote.commitment,
        "salt": vote.salt,
        "verdict": None if vote.verdict is None else dict(vote.verdict),
    }

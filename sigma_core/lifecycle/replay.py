"""The public replay document of a round: made when the round is decided, recomputed whenever anyone asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sigma_core.assembly.consensus import NO_CANARY, Outcome
from sigma_core.assembly.independence import Calibration
from sigma_core.assembly.replay import Disagreement, replay
from sigma_core.assembly.replay_document import replay_document
from sigma_core.assembly.round import PhaseRecord, Round
from sigma_core.canonical import Json, canonical_json
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.beacon import public_chain
from sigma_core.lifecycle.policies import policy_document
from sigma_core.lifecycle.report import find_round
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.protocol import RoundRow, WeightEpochRow


def replay_bytes(
    deployment: Deployment,
    held: Round,
    policy_hash: str,
    phases: Sequence[PhaseRecord],
    facts: FactsDocument,
    outcome: Outcome,
    measured: Calibration,
) -> bytes:
    """Canonical bytes of the replay document of a round that was just decided."""
    return canonical_json(
        replay_document(
            held,
            phases,
            policy=policy_document(deployment, policy_hash),
            chain=public_chain(deployment, held.beacon.chain_id),
            facts=facts,
            canary=NO_CANARY,
            outcome=outcome,
            calibration=measured,
        )
    )


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recomputed round: what differs (one line each, empty when all agrees) and what no recomputation can cover."""

    round_id: str
    differences: tuple[str, ...]
    unchecked: tuple[str, ...]


def replay_kept_round(deployment: Deployment, identifier: str) -> Replayed:
    """Recompute a decided round (by its id, or its submission's) and hold it against what is on record elsewhere: the round's
    row, the published weights and the certificate. Raises SigmaError when it is not decided yet."""
    row = find_round(deployment, identifier)
    return replay_public_document(kept_document(deployment, row), published=_on_record(deployment, row))


def kept_document(deployment: Deployment, row: RoundRow) -> bytes:
    """The replay document as it was kept. Raises SigmaError when the round is not decided yet."""
    if row.replay_sha256 is None:
        raise SigmaError(f"round {row.id} is not decided yet, so there is nothing to replay", code="ROUND_OPEN")
    return deployment.blobs.get(row.replay_sha256)


def replay_public_document(content: bytes, *, published: Mapping[str, Json] | None = None) -> Replayed:
    """Recompute the round in a replay document. ``published`` are values that the reader has from elsewhere, by dotted
    name. Raises SigmaError when ``content`` is no JSON object."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise SigmaError(f"not a replay document: {error}", code="REPLAY_MALFORMED") from None
    if not isinstance(document, dict):
        raise SigmaError("not a replay document: expected a JSON object", code="REPLAY_MALFORMED")
    report = replay(document, published=published)
    return Replayed(
        round_id=str(document.get("roundId")),
        differences=tuple(_line(disagreement) for disagreement in report.disagreements),
        unchecked=report.unchecked,
    )


def _on_record(deployment: Deployment, row: RoundRow) -> dict[str, Json]:
    with deployment.read_sessions() as session:
        epoch = session.get_one(WeightEpochRow, row.weights_epoch)
    return {
        "roundId": row.id,
        "submission.submissionId": row.submission_id,
        "policyHash": row.policy_hash,
        "weights.merkleRoot": epoch.merkle_root,
        "submission.beaconChain": row.beacon_chain,
        "beacon.value": row.beacon_value,
        "seed": row.seed,
        "factsHash": row.facts_sha256,
        "outcome.outcome": row.outcome,
        "independence.nEffPpm": row.n_eff_ppm,
        # Rounds that were decided before it was kept have none.
        **({} if row.calibration_sha256 is None else {"independence.calibrationHash": row.calibration_sha256}),
    }


def _line(found: Disagreement) -> str:
    values: list[Any] = [found.stated, found.recomputed]
    stated, recomputed = (json.dumps(value, ensure_ascii=True)[:80] for value in values)
    inputs = f" (from {', '.join(found.inputs)})" if found.inputs else ""
    return f"{found.path}: stated {stated}, recomputed {recomputed}: {found.rule}{inputs}"

"""The public replay document of a round: made when the round is decided, recomputed whenever anyone asks.

What the assembly did is kept then, and never changes. What came of it later stands beside it when the document is given out: the
overrides of operators, and under ``standing`` the truths that the round has had with the ledger lines that they brought.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from sigma_core.assembly.canaries import CanaryRecord
from sigma_core.assembly.consensus import Outcome
from sigma_core.assembly.independence import Calibration
from sigma_core.assembly.replay import Disagreement, replay
from sigma_core.assembly.replay_document import replay_document
from sigma_core.assembly.round import PhaseRecord, Round
from sigma_core.canonical import Json, canonical_json
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.beacon import public_chain
from sigma_core.lifecycle.booking import lines_of_round
from sigma_core.lifecycle.operator_decisions import overrides_of
from sigma_core.lifecycle.policies import policy_document
from sigma_core.lifecycle.report import find_round
from sigma_core.lifecycle.truths import budget_key, kind_of, rates_of_epoch, truths_of
from sigma_core.policy import Policy
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.standing.lines import CANARY, Lines
from sigma_core.standing.public_record import (
    UNCHECKED,
    BaseRatesPart,
    MissesPart,
    TruthPart,
    recomputed_standing,
    standing_json,
)
from sigma_core.storage.protocol import RoundRow, WeightEpochRow


def replay_bytes(
    deployment: Deployment,
    held: Round,
    policy_hash: str,
    phases: Sequence[PhaseRecord],
    facts: FactsDocument,
    canary: CanaryRecord,
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
            canary=canary,
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
    return replay_round(deployment, find_round(deployment, identifier))


def replay_round(deployment: Deployment, row: RoundRow) -> Replayed:
    """`replay_kept_round` of a round whose record is at hand."""
    return replay_public_document(public_document(deployment, row), published=_on_record(deployment, row))


def public_document(deployment: Deployment, row: RoundRow) -> bytes:
    """The replay document: as it was kept while nothing came later. Raises SigmaError when the round is not decided yet."""
    if row.replay_sha256 is None:
        raise SigmaError(f"round {row.id} is not decided yet, so there is nothing to replay", code="ROUND_OPEN")
    kept = deployment.blobs.get(row.replay_sha256)
    with deployment.read_sessions() as session:
        overrides = [override.as_json() for override in overrides_of(session, row.id)]
        standing = _standing(deployment, session, row)
    later: dict[str, Any] = {}
    if overrides:
        later["overrides"] = overrides
    if standing is not None:
        later["standing"] = standing
    return canonical_json(json.loads(kept) | later) if later else kept


def _standing(deployment: Deployment, session: Session, row: RoundRow) -> dict[str, Any] | None:
    """The truths that are scored and the lines that they brought; None before the first is."""
    lines = lines_of_round(session, row.id)
    scored_by = {line.entry_key: line.policy_hash for line in lines.payouts}
    documents: dict[str, Any] = {}
    truths, misses = [], _misses(deployment, session, row, lines, documents)
    for known in truths_of(session, row.id) if scored_by else ():
        digest = scored_by.get(budget_key(row.id, known.number))
        if digest is None:
            break
        rates = rates_of_epoch(session, known.day, _policy(deployment, row, digest, documents).standing)
        truths.append(
            TruthPart(
                number=known.number,
                truth=known.truth,
                truth_source=known.source,
                actor=known.actor,
                reason=known.reason,
                day=known.day,
                kind=kind_of(known.source),
                base_rates=BaseRatesPart(blind=rates.blind, monitoring=rates.monitoring),
                policy_hash=digest,
            )
        )
    return standing_json(truths, documents, lines, misses) if truths or misses else None


def _misses(
    deployment: Deployment, session: Session, row: RoundRow, lines: Lines, documents: dict[str, Any]
) -> MissesPart | None:
    """What the round's missed canary files were scored by, once they are."""
    first = next((entry for entry in lines.entries if entry.entry_key.endswith(f"/score/{CANARY}")), None)
    if first is None:
        return None
    rates = rates_of_epoch(session, first.day, _policy(deployment, row, first.policy_hash, documents).standing)
    part = BaseRatesPart(blind=rates.blind, monitoring=rates.monitoring)
    return MissesPart(day=first.day, base_rates=part, policy_hash=first.policy_hash)


def _policy(deployment: Deployment, row: RoundRow, digest: str, documents: dict[str, Any]) -> Policy:
    """A policy by its hash; one that is not the round's own goes into ``documents``."""
    content = deployment.blobs.get(digest)
    if digest != row.policy_hash:
        documents[digest] = json.loads(content)
    return Policy.model_validate_json(content)


def replay_public_document(content: bytes, *, published: Mapping[str, Json] | None = None) -> Replayed:
    """Recompute the round in a replay document. ``published`` are values that the reader has from elsewhere, by dotted
    name. Raises SigmaError when ``content`` is no JSON object."""
    try:
        document = json.loads(content)
    except ValueError as error:
        raise SigmaError(f"not a replay document: {error}", code="REPLAY_MALFORMED") from None
    if not isinstance(document, dict):
        raise SigmaError("not a replay document: expected a JSON object", code="REPLAY_MALFORMED")
    scored = document.get("standing") is not None
    unchecked: tuple[str, ...] = UNCHECKED if scored else ()
    if document.get("overrides"):
        unchecked += ("$.overrides: what somebody decided follows from nothing else",)
    report = replay(document, standing=recomputed_standing if scored else None, published=published)
    return Replayed(
        round_id=str(document.get("roundId")),
        differences=tuple(_line(disagreement) for disagreement in report.disagreements),
        unchecked=report.unchecked + unchecked,
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

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
from sigma_core.assembly.replay import Disagreement, WeightsReplay, replay
from sigma_core.assembly.replay_document import replay_document
from sigma_core.assembly.round import PhaseRecord, Round
from sigma_core.canonical import Json, NotCanonical, canonical_json, parse_strict_json
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.verify import open_bundle
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.beacon import public_chain
from sigma_core.lifecycle.booking import lines_of_round
from sigma_core.lifecycle.operator_decisions import overrides_of
from sigma_core.lifecycle.policies import policy_document, policy_of
from sigma_core.lifecycle.report import certificate_of, find_round
from sigma_core.lifecycle.truths import budget_key, kind_of, rates_of_epoch, truths_of
from sigma_core.policy import Policy, StandingRules
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.lines import CANARY, Lines
from sigma_core.standing.public_record import (
    BaseRatesPart,
    MissesPart,
    TruthPart,
    policy_in,
    recomputed_standing,
    standing_json,
    unchecked,
)
from sigma_core.standing.weighing import UNCHECKED as UNCHECKED_WEIGHTS
from sigma_core.standing.weighing import recomputed_weights
from sigma_core.storage.protocol import RoundRow, WeightEpochRow

NO_EPOCH = "$.weights.rows: how they came about is in the published document of their epoch"
NO_POLICY = "$.weights.rows: the policy that their epoch was published under is not in the document"


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
    with deployment.read_sessions() as session:
        epoch = session.get_one(WeightEpochRow, row.weights_epoch)
    published = [_on_record(row, epoch)]
    certificate = certificate_of(deployment, row.id)
    if certificate is not None:
        published.append(certified(deployment.blobs.get(certificate.bundle_sha256), deployment.trusted_keys))
    return replay_public_document(
        public_document(deployment, row),
        published=published,
        epoch=deployment.blobs.get(epoch.snapshot_sha256),
        epoch_policy=policy_of(deployment, epoch.policy_hash),
    )


def certified(bundle: bytes, trusted_keys: KeySet) -> dict[str, Json]:
    """What a certificate says of its round, under the dotted names of the replay document. Raises VerificationError for a bundle that no
    trusted key signed."""
    sealed = open_bundle(bundle, trusted_keys).payload.document
    beacon = sealed["beacon"]
    return {
        "roundId": sealed["roundId"],
        "submission.submissionId": sealed["submissionId"],
        "submission.treeHash": sealed["treeHash"],
        "policyHash": sealed["policyHash"],
        "weights.epoch": sealed["weightsEpoch"],
        "weights.merkleRoot": sealed["weightsMerkleRoot"],
        "submission.beaconChain": beacon["chain"],
        "beacon.round": beacon["round"],
        "beacon.value": beacon["value"],
        "factsHash": sealed["factsSha256"],
        "outcome.outcome": sealed["status"],
        "independence.assuranceLevel": sealed["assuranceLevel"],
        "independence.nEffPpm": sealed["nEffPpm"],
    }


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


def replay_public_document(
    content: bytes,
    *,
    published: Sequence[Mapping[str, Json]] = (),
    epoch: bytes | None = None,
    epoch_policy: Policy | None = None,
) -> Replayed:
    """Recompute the round in a replay document. ``published`` are values that the reader has from elsewhere, by dotted name; ``epoch`` is
    the published document of the weights epoch that the round was drawn from, and ``epoch_policy`` the policy that it names, where that
    is not in the document. Raises SigmaError when ``content`` is no JSON object that everybody reads alike."""
    try:
        document = parse_strict_json(content)
    except NotCanonical as error:
        raise SigmaError(f"not a replay document: {error.message}", code="REPLAY_MALFORMED") from None
    if not isinstance(document, dict):
        raise SigmaError("not a replay document: expected a JSON object", code="REPLAY_MALFORMED")

    policy = epoch_policy or _policy_of_weights(document)
    scored = document.get("standing") is not None
    report = replay(
        document,
        standing=recomputed_standing if scored else None,
        weights=None if epoch is None or policy is None else _weighing(epoch, policy.standing),
        published=published,
    )
    resting: tuple[str, ...] = ()
    if report.agrees:
        of_weights = NO_EPOCH if epoch is None else NO_POLICY if policy is None else UNCHECKED_WEIGHTS
        resting = (of_weights, *unchecked(document))
    return Replayed(
        round_id=str(document.get("roundId")),
        differences=tuple(_line(disagreement) for disagreement in report.disagreements),
        unchecked=report.unchecked + resting,
    )


def _weighing(epoch: bytes, rules: StandingRules) -> WeightsReplay:
    return lambda: recomputed_weights(epoch, rules)


def _policy_of_weights(document: Mapping[str, Any]) -> Policy | None:
    """The policy that the weights were published under, where a document of whatever shape has it: an epoch may be of an earlier one than
    the round."""
    try:
        return policy_in(document, document["weights"]["policyHash"])
    except (LedgerInvalid, NotCanonical, KeyError, TypeError, ValueError):
        return None


def _on_record(row: RoundRow, epoch: WeightEpochRow) -> dict[str, Json]:
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

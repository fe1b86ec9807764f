"""One round's result as a sealed payload. Apart from `payload`, which verifiers import: they need none of the sandbox."""

from __future__ import annotations

from datetime import datetime

from sigma_core.certificates.payload import Payload, RoundSeal, StatusListEntry, SubmissionSeal
from sigma_core.certificates.payload_shape import PayloadError
from sigma_core.certificates.published_texts import published_texts
from sigma_core.certificates.vocabulary import NOTICE, SCHEMA, CertificateStatus
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.submissions.package import Package
from sigma_core.timestamps import iso_utc


def build_payload(
    *,
    certificate_id: str,
    package: Package,
    facts: FactsDocument,
    submission: SubmissionSeal,
    round_seal: RoundSeal,
    status: CertificateStatus,
    sandbox_analyzed_at: datetime,
    issued_at: datetime,
    expires_at: datetime,
    status_list: StatusListEntry | None = None,
    transparency_log: str | None = None,
) -> Payload:
    """Seal one round's result. What the developer wrote is sealed without the secrets in it (`published_texts`).

    Raises PayloadError when a value breaks its rule, and above all when an approval would contradict the facts: a
    blocking signal or an incomplete scan can never be sealed as APPROVED, whatever the votes were.
    """
    if facts.document["package"]["treeHash"] != package.tree_hash:
        raise PayloadError("factsSha256: these facts were derived from another package")
    if status is CertificateStatus.APPROVED and (facts.blocking_signals or not facts.complete):
        raise PayloadError("status: APPROVED is impossible over a blocking signal or incomplete facts")
    risk = facts.document["risk"]
    analyzed_at = iso_utc(sandbox_analyzed_at)
    texts = published_texts(package, submission.dev_notes, submission.smart_contract)
    return Payload.of(
        {
            "schema": SCHEMA,
            "notice": NOTICE,
            "certificateId": certificate_id,
            "status": status.value,
            "issuedAt": iso_utc(issued_at),
            "expiresAt": iso_utc(expires_at),
            "statusList": None if status_list is None else {"uri": status_list.uri, "index": status_list.index},
            # What was certified.
            "submissionId": submission.submission_id,
            "productType": package.product_type.value,
            "skillName": submission.skill_name,
            "skillVersion": submission.skill_version,
            "skillHash": package.skill_hash,
            "treeHash": package.tree_hash,
            "files": package.tree,
            "sourceRef": submission.source_ref,
            "sourceUrl": submission.source_url,
            "source": {
                "entry": submission.entry,
                "sourceRef": submission.source_ref,
                "sourceUrl": submission.source_url,
                "sourceType": submission.source_type.value,
            },
            "devNotes": texts.dev_notes,
            "smartContract": texts.smart_contract,
            "manifest": texts.manifest,
            # What the sandbox found.
            "factsSha256": facts.sha256,
            "rulePackHash": facts.document["rulePackHash"],
            "sourceFacts": facts.document["sourceFacts"],
            "endpointReview": {**facts.document["endpointReview"], "analyzedAt": analyzed_at},
            "review": {
                "securityLevel": risk["securityLevel"],
                "sandboxRiskLevel": risk["sandboxRiskLevel"],
                "retainedErrors": risk["retainedErrors"],
                "retainedWarnings": risk["retainedWarnings"],
                "sandboxAnalyzedAt": analyzed_at,
            },
            # What the assembly decided, and what it takes to recompute that.
            "roundId": round_seal.round_id,
            "roundNumber": round_seal.round_number,
            "roundType": round_seal.round_type.value,
            "triggerSource": round_seal.trigger_source.value,
            "policyHash": round_seal.policy_hash,
            "weightsEpoch": round_seal.weights_epoch,
            "weightsMerkleRoot": round_seal.weights_merkle_root,
            "beacon": {
                "chain": round_seal.beacon.chain,
                "round": round_seal.beacon.round,
                "value": round_seal.beacon.value,
            },
            "votes": [
                {"phase": votes.phase, "SAFE": votes.safe, "UNSAFE": votes.unsafe, "ABSTAIN": votes.abstain}
                for votes in round_seal.votes
            ],
            "diversityDegraded": round_seal.diversity_degraded,
            "assuranceLevel": round_seal.assurance_level,
            "nEffPpm": round_seal.n_eff_ppm,
            **({} if transparency_log is None else {"transparencyLog": transparency_log}),
        }
    )

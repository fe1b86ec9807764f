"""The sealed payload of a certificate: what is hashed, signed and, where a chain is configured, committed.

Field names are those of spec/surfaces.md. The payload holds strings, integers, booleans, null, lists and objects
only, and never changes after issue; whatever may change (status, monitoring, flags, views, chain commitment, site)
is outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sigma_core.canonical import Json, canonical_json, keccak256_hex, sha256_of
from sigma_core.certificates.payload_shape import MAX_PAYLOAD_BYTES, PayloadError, check_shape
from sigma_core.certificates.vocabulary import NOTICE, SCHEMA, CertificateStatus, RoundType, TriggerSource
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.submissions.package import Package, SourceType
from sigma_core.timestamps import iso_utc, parse_iso_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSeal:
    """What the developer handed in. For GitHub, ``source_ref`` is the commit hash and ``source_url`` the repository;
    for an upload, ``source_ref`` is the file name and ``source_url`` None. ``entry`` is the package's entry
    point."""

    submission_id: str
    skill_name: str
    skill_version: str | None
    source_type: SourceType
    source_ref: str | None
    source_url: str | None
    entry: str
    dev_notes: str = ""
    smart_contract: Json = None


@dataclass(frozen=True, slots=True)
class PhaseVotes:
    """Revealed votes of one phase, counted. An abstention is never a SAFE vote."""

    phase: int
    safe: int
    unsafe: int
    abstain: int


@dataclass(frozen=True, slots=True)
class BeaconValue:
    """The randomness that the panels were drawn with: a value of ``chain`` that did not exist at submit time."""

    chain: str
    round: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSeal:
    """What the assembly did. ``n_eff_ppm`` is the effective number of independent votes in ppm, ``assurance_level``
    1 to 3, hashes 64 hex digits; ``diversity_degraded`` says whether any seat was drawn under a relaxed rule."""

    round_id: str
    round_number: int
    round_type: RoundType
    trigger_source: TriggerSource
    policy_hash: str
    weights_epoch: int
    weights_merkle_root: str
    beacon: BeaconValue
    votes: Sequence[PhaseVotes]
    diversity_degraded: bool
    assurance_level: int
    n_eff_ppm: int


@dataclass(frozen=True, slots=True)
class StatusListEntry:
    """Where suspension and revocation of this certificate will show: bit ``index`` of the two lists under ``uri``."""

    uri: str
    index: int


@dataclass(frozen=True)
class Payload:
    """A checked payload and its canonical bytes. Made by `Payload.of` only."""

    document: Mapping[str, Any]
    canonical_bytes: bytes = field(repr=False)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Payload:
        """The payload in ``document``. Raises PayloadError naming the field and the rule, or NotCanonical."""
        check_shape(document)
        canonical = canonical_json(document)
        if len(canonical) > MAX_PAYLOAD_BYTES:
            raise PayloadError(f"payload: {len(canonical)} bytes, more than {MAX_PAYLOAD_BYTES}")
        return cls(document, canonical)

    @cached_property
    def hash(self) -> str:
        """The payload hash, by `vocabulary.HASH_LABEL`."""
        return keccak256_hex(self.canonical_bytes)

    @property
    def certificate_id(self) -> str:
        """``certificateId``."""
        return str(self.document["certificateId"])

    @property
    def round_id(self) -> str:
        """``roundId``: what `sigma replay` recomputes."""
        return str(self.document["roundId"])

    @property
    def status(self) -> CertificateStatus:
        """The status at issue; what became of it since is not in here."""
        return CertificateStatus(self.document["status"])

    @property
    def transparency_log(self) -> str | None:
        """The origin of the log that this certificate is in; None for one from before there was a log."""
        origin = self.document.get("transparencyLog")
        return None if origin is None else str(origin)

    @property
    def status_list(self) -> StatusListEntry | None:
        """Where its status shows, if anywhere."""
        entry = self.document["statusList"]
        return None if entry is None else StatusListEntry(entry["uri"], entry["index"])

    @cached_property
    def issued_at(self) -> datetime:
        """First instant at which the certificate is good."""
        return parse_iso_utc(self.document["issuedAt"])

    @cached_property
    def expires_at(self) -> datetime:
        """First instant at which it no longer is."""
        return parse_iso_utc(self.document["expiresAt"])


def tree_hash_of(files: list[dict[str, Any]]) -> str:
    """`Package.tree_hash` from the tree alone, as it stands in a payload."""
    return sha256_of({"schema": "sigma-tree-v1", "files": files})


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
    # Here, because whoever verifies a payload imports this module, and needs none of the sandbox.
    from sigma_core.certificates.published_texts import published_texts

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

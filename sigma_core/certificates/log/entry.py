"""What the log records: certificates, changes of their status, new key sets, re-runs before they are drawn. One canonical JSON object
an entry.

An entry of a certificate is a function of the certificate, so that a verifier rebuilds it; the certificate itself, which may be
longer than an entry can be, is bound by its payload hash and its key.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sigma_core.canonical import canonical_json
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.vocabulary import HASH_LABEL, CertificateStatus
from sigma_core.timestamps import iso_utc

SCHEMA = "sigma-log-entry-v1"


class EntryKind(StrEnum):
    """What happened."""

    CERTIFICATE = "CERTIFICATE"
    STATUS = "STATUS"
    KEY_SET = "KEY_SET"
    RE_RUN = "RE_RUN"


class StatusRole(StrEnum):
    """In which role somebody changes the status of a certificate."""

    OPERATOR = "OPERATOR"
    MONITOR = "MONITOR"
    """A monitoring assembly: it may only suspend, and what it suspended takes a full round to reinstate."""

    ASSEMBLY = "ASSEMBLY"
    """A later round that turned the package away: likewise."""


def certificate_entry(payload: Payload, key_id: str) -> bytes:
    """The certificate of ``payload`` was issued, signed by the key ``key_id``."""
    sealed = payload.document
    return canonical_json(
        {
            "schema": SCHEMA,
            "kind": EntryKind.CERTIFICATE.value,
            "certificateId": payload.certificate_id,
            "payloadHash": payload.hash,
            "payloadHashLabel": HASH_LABEL,
            "keyId": key_id,
            "status": payload.status.value,
            "issuedAt": sealed["issuedAt"],
            "expiresAt": sealed["expiresAt"],
            "skillName": sealed["skillName"],
            "skillHash": sealed["skillHash"],
            "treeHash": sealed["treeHash"],
        }
    )


def status_entry(
    *,
    certificate_id: str,
    before: CertificateStatus,
    after: CertificateStatus,
    role: StatusRole,
    actor: str,
    reason: str,
    at: datetime,
) -> bytes:
    """Somebody changed the status of a certificate, and why."""
    return canonical_json(
        {
            "schema": SCHEMA,
            "kind": EntryKind.STATUS.value,
            "certificateId": certificate_id,
            "before": before.value,
            "after": after.value,
            "role": role.value,
            "actor": actor,
            "reason": reason,
            "at": iso_utc(at),
        }
    )


def key_set_entry(*, key_set_sha256: str, actor: str, reason: str, at: datetime) -> bytes:
    """A key set was published: the SHA-256 of its file, who changed it and why."""
    return canonical_json(
        {
            "schema": SCHEMA,
            "kind": EntryKind.KEY_SET.value,
            "keySetSha256": key_set_sha256,
            "actor": actor,
            "reason": reason,
            "at": iso_utc(at),
        }
    )


def rerun_entry(
    *,
    round_id: str,
    round_number: int,
    submission_id: str,
    tree_hash: str,
    weights_merkle_root: str,
    beacon_chain: str,
    beacon_round: int,
    beacon_commitment: str | None,
    at: datetime,
) -> bytes:
    """A further round of a submission was bound, before its panels could be drawn, to these weights and this beacon round.
    ``beacon_commitment`` is what the beacon's value will hash to, where somebody can know that."""
    return canonical_json(
        {
            "schema": SCHEMA,
            "kind": EntryKind.RE_RUN.value,
            "roundId": round_id,
            "roundNumber": round_number,
            "submissionId": submission_id,
            "treeHash": tree_hash,
            "weightsMerkleRoot": weights_merkle_root,
            "beaconChain": beacon_chain,
            "beaconRound": beacon_round,
            "beaconCommitment": beacon_commitment,
            "at": iso_utc(at),
        }
    )

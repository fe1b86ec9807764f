"""The public verify answer: sealed payload and live state in one object, with the fixed names of spec/surfaces.md.

Sealed fields stand as they were signed, but for ``status``, which here is the status now; the sealed one is
``statusAtIssue``.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sigma_core.certificates.bundle import Bundle
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.vocabulary import HASH_LABEL, CertificateStatus
from sigma_core.submissions.package import ProductType

API_DISCLAIMER = (
    "The API behind this certificate runs outside SIGMA and can change at any time without a change to the certified "
    "files. What was reviewed is its declared and observed surface at the time of issue."
)

COMMITMENT_SCOPE = (
    f"Not on chain yet. A commitment will cover the payload hash ({HASH_LABEL}), and with it every sealed field."
)


@dataclass(frozen=True, slots=True)
class ChainCommitment:
    """A commitment of the payload hash on chain. ``code_version`` is that of the registry contract."""

    network: str
    tx_hash: str
    explorer_url: str | None
    code_version: str
    registry_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """What is true of a certificate now and is in no payload: its status, open flags, chain commitment."""

    status: CertificateStatus
    active_flag_count: int = 0
    commitment: ChainCommitment | None = None


def status_at(payload: Payload, recorded: CertificateStatus, at: datetime) -> CertificateStatus:
    """The status to show at ``at``: what was not sealed as approved never is, and an approval runs out."""
    if payload.status is not CertificateStatus.APPROVED:
        return payload.status
    if recorded is CertificateStatus.APPROVED and at >= payload.expires_at:
        return CertificateStatus.EXPIRED
    return recorded


def verify_answer(payload: Payload, bundle: Bundle, live: LiveState, *, at: datetime) -> dict[str, Any]:
    """The answer of ``GET /certificates/{id}/verify`` as of ``at``.

    Beside the sealed fields: ``valid`` (bool: approved, issued and not expired), ``status``, ``statusAtIssue``
    (str), ``summary`` (one sentence for people), ``activeFlagCount`` (int), ``securityLevel``, ``sandboxRiskLevel``,
    ``endpointStatus`` (str), ``retainedWarnings`` (list), ``certificateIssuedAt`` (UTC time), ``apiDisclaimer``
    (str, or null where no API is involved), ``onChain`` (object), ``signature`` (base64 of 64 bytes),
    ``signatureKeyId`` (64 hex digits), ``payloadHash`` (0x-prefixed) and ``payloadHashLabel``.
    """
    sealed = payload.document
    status = status_at(payload, live.status, at)
    valid = status is CertificateStatus.APPROVED and at >= payload.issued_at
    return dict(sealed) | {
        "valid": valid,
        "status": status.value,
        "statusAtIssue": sealed["status"],
        "summary": _summary(payload, status, valid=valid, active_flag_count=live.active_flag_count),
        "activeFlagCount": live.active_flag_count,
        "securityLevel": sealed["review"]["securityLevel"],
        "sandboxRiskLevel": sealed["review"]["sandboxRiskLevel"],
        "retainedWarnings": sealed["review"]["retainedWarnings"],
        "endpointStatus": sealed["endpointReview"]["endpointStatus"],
        "certificateIssuedAt": sealed["issuedAt"],
        "apiDisclaimer": None if sealed["productType"] == ProductType.SKILL else API_DISCLAIMER,
        "onChain": _on_chain(live.commitment),
        "signature": b64encode(bundle.envelope.signature).decode(),
        "signatureKeyId": bundle.envelope.key_id,
        "payloadHash": payload.hash,
        "payloadHashLabel": HASH_LABEL,
    }


def _on_chain(commitment: ChainCommitment | None) -> dict[str, Any]:
    if commitment is None:
        return {
            "network": None,
            "txHash": None,
            "explorerUrl": None,
            "committed": False,
            "codeVersion": None,
            "registryAddress": None,
            "immutableCommitmentScope": COMMITMENT_SCOPE,
        }
    return {
        "network": commitment.network,
        "txHash": commitment.tx_hash,
        "explorerUrl": commitment.explorer_url,
        "committed": True,
        "codeVersion": commitment.code_version,
        "registryAddress": commitment.registry_address,
    }


_OUTCOME = {
    CertificateStatus.APPROVED: "was approved",
    CertificateStatus.REJECTED: "was rejected",
    CertificateStatus.ESCALATED: "was escalated to an operator, not approved",
    CertificateStatus.SUSPENDED: "was approved, but the certificate is suspended",
    CertificateStatus.REVOKED: "was approved, but the certificate was revoked",
    CertificateStatus.EXPIRED: "was approved, but the certificate has expired",
}


def _summary(payload: Payload, status: CertificateStatus, *, valid: bool, active_flag_count: int) -> str:
    sealed = payload.document
    version = f" {sealed['skillVersion']}" if sealed["skillVersion"] else ""
    sentences = [f"{sealed['skillName']}{version} {_OUTCOME[status]} (round {sealed['roundNumber']})."]
    if valid:
        sentences.append(f"Security level {sealed['review']['securityLevel']}; good until {sealed['expiresAt']}.")
    if active_flag_count:
        sentences.append(f"Open flags: {active_flag_count}.")
    sentences.append("This is the result of a verification product, not a proof that no vulnerability exists.")
    return " ".join(sentences)

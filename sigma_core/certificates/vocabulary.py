"""Labels and literal values of certificates (spec/surfaces.md)."""

from __future__ import annotations

from enum import StrEnum

SCHEMA = "sigma-certificate-v1"

HASH_LABEL = "keccak256-canonical-json-v1"
"""How a payload hash is made: keccak-256 over the RFC 8785 bytes, 0x-prefixed."""

NOTICE = (
    "This certificate states what SIGMA's sandbox and validators found in exactly these files at the time of issue. "
    "It is the result of a verification product, not a proof that no vulnerability exists."
)


class CertificateStatus(StrEnum):
    """Outcome of a round, or what became of a certificate afterwards."""

    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    ESCALATED = "ESCALATED"
    SUSPENDED = "SUSPENDED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"


OUTCOMES = (CertificateStatus.APPROVED, CertificateStatus.REJECTED, CertificateStatus.ESCALATED)
"""What a round can end in: the only statuses that are ever sealed. The others come later, outside the payload."""


class RoundType(StrEnum):
    """Why a round was held."""

    INITIAL_AUDIT = "INITIAL_AUDIT"
    RE_AUDIT = "RE_AUDIT"
    RENEWAL = "RENEWAL"
    MONITORING = "MONITORING"


class TriggerSource(StrEnum):
    """Who or what asked for a round."""

    SUBMISSION = "SUBMISSION"
    OPERATOR = "OPERATOR"
    FLAG = "FLAG"
    MONITOR = "MONITOR"
    RENEWAL = "RENEWAL"

"""``sigma certificate`` and ``sigma verify``: find a bundle, and hold it against trusted keys and a package."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sigma_core.certificates.bundle import MAX_BUNDLE_BYTES
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.verify import verify_bundle
from sigma_core.config import Settings
from sigma_core.errors import SigmaError


@dataclass(frozen=True, slots=True)
class FoundCertificate:
    """A certificate of this deployment: its bundle file, its sealed payload, its payload hash."""

    bundle: bytes
    payload: dict[str, Any]
    payload_hash: str


def find_certificate(settings: Settings, identifier: str) -> FoundCertificate:
    """By certificate id, or by the id of a round or submission that has one. Raises SigmaError when there is none."""
    from sqlalchemy import or_, select

    from sigma_core.certificates.bundle import Bundle
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.storage.protocol import CertificateRow

    deployment = open_deployment(settings)
    with deployment.read_sessions() as session:
        row = session.scalar(
            select(CertificateRow)
            .where(
                or_(
                    CertificateRow.id == identifier,
                    CertificateRow.round_id == identifier,
                    CertificateRow.submission_id == identifier,
                )
            )
            .order_by(CertificateRow.issued_at.desc())
            .limit(1)
        )
    if row is None:
        raise SigmaError(
            f"{identifier!r} is neither a certificate here nor a round or submission that has one",
            code="CERTIFICATE_UNKNOWN",
            hint="`sigma status ID` tells how a submission went",
        )
    bundle = deployment.blobs.get(row.bundle_sha256)
    verified = verify_bundle(bundle, deployment.trusted_keys, at=row.issued_at)
    assert Bundle.parse(bundle).payload_hash == row.payload_hash
    return FoundCertificate(bundle, dict(verified.payload.document), row.payload_hash)


def export_bundle(bundle: bytes, out: Path) -> None:
    """Write the bundle file, whole or not at all."""
    from sigma_core.storage.files import write_whole

    write_whole(out, bundle)


def verify_target(
    settings: Settings, target: str, *, package: Path | None, keys: Path | None, at: datetime
) -> dict[str, Any]:
    """Verify a bundle file, or a certificate of this deployment by its id; needs no network.

    Returns ``{valid, certificateId, checks[], payloadHash, keyId, payload}``. Raises VerificationError with the refusal,
    SigmaError when there is nothing to verify.
    """
    path = Path(target)
    if path.is_file():
        with path.open("rb") as file:
            bundle = file.read(MAX_BUNDLE_BYTES + 1)
    elif target.startswith("cert_"):
        bundle = find_certificate(settings, target).bundle
    else:
        raise SigmaError(
            f"{target}: no such bundle file, and not a certificate id",
            code="USAGE",
            hint="a certificate id begins with cert_",
        )
    at_hand = None
    if package is not None:
        from sigma_core.policy import load_policy
        from sigma_core.submissions.intake import read_package

        at_hand = read_package(package, load_policy(settings.policy_file))
    verified = verify_bundle(bundle, _trusted(settings, keys), at=at, package=at_hand)
    return {
        "valid": True,
        "certificateId": verified.payload.certificate_id,
        "checks": list(verified.checks),
        "payloadHash": verified.payload.hash,
        "keyId": verified.key_id,
        "payload": dict(verified.payload.document),
    }


def _trusted(settings: Settings, keys: Path | None) -> KeySet:
    path = keys or settings.key_set
    if not path.is_file():
        raise SigmaError(
            f"{path}: no trusted keys there",
            code="KEY_SET_MISSING",
            hint="give the issuer's published key set with --keys FILE",
        )
    return KeySet.parse(path.read_bytes())

"""Certificates that were issued here, found again: by their own id, or by what they are the result of."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import or_, select

from sigma_core.certificates.bundle import Bundle
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.verify import open_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.identifiers import IDENTIFIER
from sigma_core.storage.protocol import CertificateRow


@dataclass(frozen=True, slots=True)
class KeptCertificate:
    """A certificate on record with its bundle, as it was issued and opened."""

    row: CertificateRow
    data: bytes = field(repr=False)
    bundle: Bundle
    payload: Payload

    @property
    def status(self) -> CertificateStatus:
        """As it is on record: expiry is a matter of the clock."""
        return CertificateStatus(self.row.status)


def kept_certificate(deployment: Deployment, certificate_id: str) -> KeptCertificate | None:
    """The certificate of this id, when a key that this deployment has published signed it.

    Raises BlobMissing or BlobCorrupt when its bundle is not what was kept, VerificationError when it is not genuine: nothing is
    said about such a certificate, least of all that it is valid.
    """
    row = certificate_row(deployment, certificate_id)
    if row is None:
        return None
    data = deployment.blobs.get(row.bundle_sha256)
    opened = open_bundle(data, deployment.trusted_keys)
    return KeptCertificate(row, data, opened.bundle, opened.payload)


def certificate_row(deployment: Deployment, certificate_id: str) -> CertificateRow | None:
    """The row of the certificate of this id, which a stranger may have written."""
    if not IDENTIFIER.fullmatch(certificate_id):
        return None
    with deployment.read_sessions() as session:
        return session.get(CertificateRow, certificate_id)


def newest_certificate_id(deployment: Deployment, identifier: str) -> str | None:
    """The id of the newest certificate that has this id, or is the result of the round or submission that has it."""
    if not IDENTIFIER.fullmatch(identifier):
        return None
    named = (CertificateRow.id, CertificateRow.round_id, CertificateRow.submission_id)
    with deployment.read_sessions() as session:
        return session.scalar(
            select(CertificateRow.id)
            .where(or_(*(column == identifier for column in named)))
            .order_by(CertificateRow.issued_at.desc())
            .limit(1)
        )

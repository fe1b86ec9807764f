"""What is on record about certificates. Each route reads one thing and answers its bytes with a strong ETag."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from sigma_api.caching import Answer, cacheable
from sigma_api.paging import Cursor
from sigma_api.problems import ProblemError, documented
from sigma_api.public import records, schemas
from sigma_api.public.parameters import (
    COMMON,
    DEFAULT_PAGE,
    MAX_PAGE,
    OF_ONE,
    PREFIX,
    CertificateId,
    OpenDeployment,
    PageCursor,
    find,
    no_certificate,
)
from sigma_api.public.snapshot import Kept, keep
from sigma_core.certificates.bundle import MEDIA_TYPE as BUNDLE_MEDIA_TYPE
from sigma_core.timestamps import utc_now

router = APIRouter(prefix=PREFIX, tags=["public"])

RoundId = Annotated[str, Path(description="Id of a round: `rnd_…`.", examples=["rnd_01kaj0x8m5…_r1"])]


@router.get(
    "/certificates",
    operation_id="listCertificates",
    summary="Newest approved certificates",
    response_model=schemas.CertificatePage,
    responses=COMMON | documented("invalid-cursor"),
)
def list_certificates(
    request: Request,
    deployment: OpenDeployment,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Certificates on a page.")] = DEFAULT_PAGE,
    q: Annotated[
        str | None,
        Query(
            max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$", description="Text that name or description must contain."
        ),
    ] = None,
    cursor: PageCursor = None,
) -> Response:
    """Approved certificates that have not expired, newest first, a page at a time. No certificate is lost or repeated between
    pages, whatever is issued meanwhile."""
    after = None if cursor is None else Cursor.decode(cursor)
    page = records.certificate_page(deployment, limit=limit, search=q, after=after, at=utc_now())
    return keep(request, Kept(Answer.of(orjson.dumps(page))))


@router.get(
    "/certificates/{certificate_id}",
    operation_id="getCertificate",
    summary="The whole record of a certificate",
    response_model=schemas.CertificateRecord,
    responses=OF_ONE,
)
def get_certificate(request: Request, deployment: OpenDeployment, certificate_id: CertificateId) -> Response:
    """What was sealed, and every round of the submission: panels, verdicts and findings at file and line."""
    certificate = find(deployment, certificate_id)
    # Its rounds may change while its own state does not, so it is kept for one snapshot only.
    record = records.certificate_record(deployment, certificate, utc_now())
    return keep(request, Kept(Answer.of(orjson.dumps(record)), certificate.good_until))


@router.get(
    "/certificates/{certificate_id}/verify",
    operation_id="verifyCertificate",
    summary="Is this certificate good now?",
    response_model=schemas.VerifyAnswer,
    responses=OF_ONE,
)
def verify_certificate(request: Request, deployment: OpenDeployment, certificate_id: CertificateId) -> Response:
    """Every sealed field with the status now. To trust nobody, take `attestation` and verify its signature yourself."""
    certificate = find(deployment, certificate_id)
    return _about(request, certificate, records.verification(certificate, utc_now()))


@router.get(
    "/certificates/{certificate_id}/live-status",
    operation_id="getLiveStatus",
    summary="What changed after issue",
    response_model=schemas.LiveStatus,
    responses=OF_ONE,
)
def get_live_status(request: Request, deployment: OpenDeployment, certificate_id: CertificateId) -> Response:
    """Status now, who changed it last and why, open flags, monitoring, views."""
    certificate = find(deployment, certificate_id)
    return _about(request, certificate, records.live_status(deployment, certificate, utc_now()))


@router.get(
    "/certificates/{certificate_id}/attestation",
    operation_id="getAttestation",
    summary="The signed bundle",
    response_class=Response,
    responses=OF_ONE
    | {
        200: {
            "description": "The bundle, byte for byte as it was issued.",
            "content": {BUNDLE_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Attestation"}}},
        }
    },
)
def get_attestation(request: Request, deployment: OpenDeployment, certificate_id: CertificateId) -> Response:
    """What `sigma verify` checks offline with a public key: a DSSE envelope over an in-toto statement that carries the payload."""
    bundle = records.attestation(deployment, certificate_id)
    if bundle is None:
        raise no_certificate()
    return cacheable(request, bundle, BUNDLE_MEDIA_TYPE)


@router.get(
    "/rounds/{round_id}/replay",
    operation_id="getRoundReplay",
    summary="Everything needed to recompute a round",
    response_model=schemas.ReplayDocument,
    responses=OF_ONE,
)
def get_round_replay(request: Request, deployment: OpenDeployment, round_id: RoundId) -> Response:
    """The replay document of a decided round: what `sigma replay` reads. Overrides of operators and, once the round is scored, truths and
    ledger lines stand beside what the assembly did."""
    document = records.replay_document(deployment, round_id)
    if document is None:
        raise ProblemError("not-found", "No decided round has this id.")
    return cacheable(request, document)


def _about(request: Request, certificate: records.PublicCertificate, answer: dict[str, Any]) -> Response:
    kept = Kept(Answer.of(orjson.dumps(answer)), certificate.good_until, certificate.row.id)
    return keep(request, kept)

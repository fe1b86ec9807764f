"""Anyone may flag a certificate."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Depends, Request, Response

from sigma_api.problems import documented
from sigma_api.public import schemas
from sigma_api.public.flags import raise_flag
from sigma_api.public.parameters import ANY, PREFIX, CertificateId, OpenDeployment, no_certificate
from sigma_api.public.quotas import flags_quota
from sigma_api.rate_limit import client_of
from sigma_core.identifiers import IDENTIFIER
from sigma_core.timestamps import iso_utc

router = APIRouter(prefix=PREFIX, tags=["public"])


@router.post(
    "/certificates/{certificate_id}/flags",
    operation_id="flagCertificate",
    summary="Flag a certificate",
    status_code=201,
    response_model=schemas.FlagReceipt,
    responses=ANY
    | documented("not-found", "content-too-large", "request-timeout", "bad-request")
    | {200: {"description": "You had raised this flag before; nothing was added.", "model": schemas.FlagReceipt}},
    dependencies=[Depends(flags_quota)],
)
def flag_certificate(
    request: Request,
    deployment: OpenDeployment,
    certificate_id: CertificateId,
    flag: Annotated[schemas.Flag, Body()],
) -> Response:
    """Kept once for each reason and sender, so that sending it again does no harm. People read it; enough senders ask for a
    re-audit. Nothing of it is published but the number of open flags."""
    raised = None
    if IDENTIFIER.fullmatch(certificate_id):
        raised = raise_flag(
            deployment, certificate_id, flag.reason, flag.detail, flag.contact, client=client_of(request.scope)
        )
    if raised is None:
        raise no_certificate()
    receipt = {
        "certificateId": certificate_id,
        "reason": flag.reason.value,
        "flaggedAt": iso_utc(raised.flagged_at),
        "known": raised.known,
        "activeFlagCount": raised.open_flags,
    }
    return Response(
        orjson.dumps(receipt),
        status_code=200 if raised.known else 201,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )

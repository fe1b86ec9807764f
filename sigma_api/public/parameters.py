"""What the routes of the public plane share: their prefix, parameters, and the problems that any of them may answer with."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query

from sigma_api.caching import NOT_MODIFIED
from sigma_api.paging import MAX_CURSOR_CHARACTERS
from sigma_api.plane import deployment_of
from sigma_api.problems import ProblemError, documented
from sigma_api.public import records
from sigma_core.deployment import Deployment

PREFIX = "/api/v1/public"

ANY = documented("invalid-parameter", "rate-limited", "internal", "unavailable")
COMMON = NOT_MODIFIED | ANY
OF_ONE = COMMON | documented("not-found")

OpenDeployment = Annotated[Deployment, Depends(deployment_of)]
CertificateId = Annotated[str, Path(description="Id of a certificate: `cert_…`.", examples=["cert_01kaj0x8m5…_r1"])]

MAX_PAGE = 100
DEFAULT_PAGE = 20
PageCursor = Annotated[
    str | None,
    Query(
        description="`nextCursor` of the page before.",
        # For readers of the document only: whatever breaks the form is an invalid cursor like any other.
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$", "maxLength": MAX_CURSOR_CHARACTERS},
    ),
]


def find(deployment: Deployment, certificate_id: str) -> records.PublicCertificate:
    """The certificate of this id. Raises ProblemError ``not-found``."""
    certificate = records.find_certificate(deployment, certificate_id)
    if certificate is None:
        raise no_certificate()
    return certificate


def no_certificate() -> ProblemError:
    """The problem of an id that no certificate has."""
    return ProblemError("not-found", "No certificate has this id.")

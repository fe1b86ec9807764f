"""Is what I have what was certified? The hash of the certified SKILL.md, and comparisons with it. Nothing that is compared is kept."""

from __future__ import annotations

import threading
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Depends, Request, Response

from sigma_api.caching import Answer
from sigma_api.problems import RETRY_SECONDS, ProblemError, documented
from sigma_api.public import records, schemas
from sigma_api.public.parameters import ANY, OF_ONE, PREFIX, CertificateId, OpenDeployment, find
from sigma_api.public.quotas import comparisons_quota
from sigma_api.public.snapshot import Kept, keep
from sigma_api.public.source import SourceUrlInvalid, fetch_skill_file, skill_file_at
from sigma_core.deployment import Deployment
from sigma_core.safe_fetch import FetchError
from sigma_core.submissions.package import skill_hash

MAX_FETCHES_AT_ONCE = 4
"""Each holds a thread while it waits for GitHub; with this many waiting, the rest of the plane has its threads."""

_fetches = threading.BoundedSemaphore(MAX_FETCHES_AT_ONCE)

OF_COMPARISON = ANY | documented("not-found", "no-skill-file", "content-too-large", "request-timeout", "bad-request")

router = APIRouter(prefix=PREFIX, tags=["public"])


async def body_bytes(request: Request) -> bytes:
    """The body as it came (`sigma_api.bodies` bounds it)."""
    return await request.body()


@router.get(
    "/certificates/{certificate_id}/source-integrity",
    operation_id="getSourceIntegrity",
    summary="The hash of the certified SKILL.md",
    response_model=schemas.SourceIntegrity,
    responses=OF_ONE | documented("no-skill-file"),
)
def get_source_integrity(request: Request, deployment: OpenDeployment, certificate_id: CertificateId) -> Response:
    """SHA-256 of the SKILL.md with its line ends turned into LF, and where it came from. An API has none."""
    certificate = find(deployment, certificate_id)
    sealed = certificate.payload.document
    answer = {
        "certificateId": certificate_id,
        "skillHash": _certified_hash(certificate),
        "algorithm": "SHA-256",
        "normalization": "LF",
        "treeHash": sealed["treeHash"],
        "source": sealed["source"],
    }
    return keep(request, Kept(Answer.of(orjson.dumps(answer)), None, certificate_id))


@router.post(
    "/certificates/{certificate_id}/compare-skill",
    operation_id="compareSkill",
    summary="Compare a SKILL.md with the certified one",
    response_model=schemas.Comparison,
    responses=OF_COMPARISON,
    dependencies=[Depends(comparisons_quota)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary", "minLength": 1}}
                for media_type in ("text/markdown", "application/octet-stream")
            },
        }
    },
)
def compare_skill(
    deployment: OpenDeployment, certificate_id: CertificateId, content: Annotated[bytes, Depends(body_bytes)]
) -> Response:
    """The body is the SKILL.md, byte for byte. It is hashed and forgotten."""
    certificate = find(deployment, certificate_id)
    certified = _certified_hash(certificate)
    _check_size(deployment, len(content))
    return _comparison(certificate, certified, content, None)


@router.post(
    "/certificates/{certificate_id}/compare-skill-from-github",
    operation_id="compareSkillFromGithub",
    summary="Compare a public SKILL.md on GitHub with the certified one",
    response_model=schemas.Comparison,
    responses=OF_COMPARISON
    | documented("source-url-invalid", "invalid-parameter", "source-refused", "source-unreachable", "source-timed-out"),
    dependencies=[Depends(comparisons_quota)],
)
def compare_skill_from_github(
    deployment: OpenDeployment, certificate_id: CertificateId, wanted: Annotated[schemas.GithubSource, Body()]
) -> Response:
    """Fetches one file of a public repository, at the ref that `sourceRef` or the URL names, or of the default branch."""
    certificate = find(deployment, certificate_id)
    certified = _certified_hash(certificate)
    try:
        file = skill_file_at(wanted.source_url, wanted.source_ref)
    except SourceUrlInvalid as error:
        raise ProblemError("source-url-invalid", f"sourceUrl or sourceRef: {error.message}.") from None
    if not _fetches.acquire(blocking=False):
        raise ProblemError(
            "unavailable", "Too many comparisons wait for GitHub now.", headers={"Retry-After": str(RETRY_SECONDS)}
        )
    try:
        fetched = fetch_skill_file(file, deployment.policy.package.max_file_bytes)
    except FetchError as error:
        raise _fetch_problem(error) from None
    finally:
        _fetches.release()
    return _comparison(certificate, certified, fetched.body, {"url": fetched.url, "ref": file.ref})


def _certified_hash(certificate: records.PublicCertificate) -> str:
    known: str | None = certificate.payload.document["skillHash"]
    if known is None:
        raise ProblemError("no-skill-file", "This certificate is about an API: it has no SKILL.md to compare.")
    return known


def _check_size(deployment: Deployment, size: int) -> None:
    """Raises ProblemError; also for no bytes: a file that was forgotten is not one that does not match."""
    most = deployment.policy.package.max_file_bytes
    if size == 0:
        raise ProblemError("bad-request", "The body is empty; send the SKILL.md, byte for byte.")
    if size > most:
        raise ProblemError("content-too-large", f"A certified file has at most {most} bytes; these are {size}.")


def _comparison(
    certificate: records.PublicCertificate, certified: str, content: bytes, fetched: dict[str, Any] | None
) -> Response:
    found = skill_hash(content)
    answer = {
        "certificateId": certificate.row.id,
        "matches": found == certified,
        "certifiedHash": certified,
        "foundHash": found,
        "bytes": len(content),
        "fetched": fetched,
    }
    return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})


_FETCH_PROBLEMS = {
    "FETCH_TIMED_OUT": ("source-timed-out", "GitHub did not answer in time."),
    "FETCH_FAILED": ("source-unreachable", "GitHub has no such file that is public, or cannot be reached."),
    "RESPONSE_TOO_LARGE": ("source-refused", "The file is larger than a certified one can be."),
    "REDIRECT_REFUSED": ("source-refused", "The answer redirects to where SIGMA does not go."),
    "ADDRESS_REFUSED": ("source-refused", "The answer would come from an address that is not public."),
    "RESPONSE_REFUSED": ("source-refused", "The answer is not a plain file."),
    "URL_INVALID": ("source-refused", "The address is not one that SIGMA fetches."),
}
"""Our own words for each: the error itself may name addresses of our network."""


def _fetch_problem(error: FetchError) -> ProblemError:
    return ProblemError(*_FETCH_PROBLEMS[error.code])

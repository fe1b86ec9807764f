"""Pages for people, and the badge: rendered here from what is on record, without a script, readable at any width."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from sigma_api.caching import NOT_FOUND_CACHE_CONTROL, Answer
from sigma_api.problems import PROBLEMS, ProblemError
from sigma_api.public import records
from sigma_api.public.discovery import site_of
from sigma_api.public.parameters import COMMON, OF_ONE, PREFIX, CertificateId, OpenDeployment, find, no_certificate
from sigma_api.public.snapshot import Kept, keep
from sigma_api.public.templates import HTML, PAGE_HEADERS, rendered_page
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment, public_base
from sigma_core.timestamps import utc_now

SVG = "image/svg+xml"
MAX_FINDINGS = 50
MAX_FILES = 200

BADGE_COLOURS = {
    CertificateStatus.APPROVED: "#1a7f37",
    CertificateStatus.SUSPENDED: "#9a6700",
    CertificateStatus.EXPIRED: "#57606a",
}
"""Of the right half; every other status is red."""
BADGE_OTHER = "#b42318"
NO_CERTIFICATE_ADVICE = (
    "SIGMA has issued nothing under this address. If a badge or a link beside a skill led you here, that skill is not "
    "certified by it: whoever wrote it may have made the link up."
)
CHARACTER_WIDTH = 7
"""Of the badge's letters, in pixels: text is stretched to it, so that every font fits."""

router = APIRouter(tags=["public"])


_HTML_CONTENT = {"text/html": {"schema": {"type": "string"}}}


def _page(description: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": _HTML_CONTENT}}


# A browser says that it takes HTML; whoever does not say so gets the problem.
OF_ONE_PAGE = OF_ONE | {404: {**OF_ONE[404], "content": OF_ONE[404]["content"] | _HTML_CONTENT}}


@router.get(
    "/certificates/{certificate_id}",
    operation_id="showCertificate",
    summary="The page of a certificate",
    response_class=Response,
    responses=OF_ONE_PAGE | _page("The certificate for people."),
)
def show_certificate(request: Request, deployment: OpenDeployment, certificate_id: CertificateId) -> Response:
    """Status, what was certified, rounds with their votes and findings, proofs, and how to verify it yourself."""
    certificate = records.find_certificate(deployment, certificate_id)
    if certificate is None:
        return _not_found(request, deployment, no_certificate(), NO_CERTIFICATE_ADVICE)
    page = rendered_page("certificate.html", **_certificate_view(deployment, certificate))
    return keep(request, Kept(Answer.of(page, HTML, headers=PAGE_HEADERS), certificate.good_until))


@router.get(
    PREFIX + "/certificates/{certificate_id}/badge.svg",
    operation_id="getBadge",
    summary="The badge of a certificate",
    response_class=Response,
    responses=OF_ONE | {200: {"description": "Its status now.", "content": {SVG: {"schema": {"type": "string"}}}}},
)
def get_badge(request: Request, deployment: OpenDeployment, certificate_id: CertificateId) -> Response:
    """The status now, as a picture to show beside the skill. A picture proves nothing: link it to the certificate's page."""
    certificate = find(deployment, certificate_id)
    status = CertificateStatus(records.verification(certificate, utc_now())["status"])
    label, word = "SIGMA", "certified" if status is CertificateStatus.APPROVED else status.value.lower()
    left, right = (CHARACTER_WIDTH * len(text) + 14 for text in (label, word))
    badge = rendered_page(
        "badge.svg",
        label=label,
        word=word,
        left=left,
        right=right,
        colour=BADGE_COLOURS.get(status, BADGE_OTHER),
    )
    kept = Kept(Answer.of(badge, SVG), certificate.good_until, certificate_id)
    return keep(request, kept)


@router.get(
    "/problems",
    operation_id="listProblems",
    summary="Every type of problem",
    response_class=Response,
    responses=COMMON | _page("All problem types."),
)
def list_problems(request: Request) -> Response:
    """What `type` of a problem can be, and what to do about each."""
    page = rendered_page("problems.html", problems=PROBLEMS, single=False)
    return keep(request, Kept(Answer.of(page, HTML, headers=PAGE_HEADERS)))


@router.get(
    "/problems/{slug}",
    operation_id="showProblem",
    summary="A type of problem",
    response_class=Response,
    responses=OF_ONE_PAGE | _page("The problem type."),
)
def show_problem(
    request: Request,
    deployment: OpenDeployment,
    slug: Annotated[str, Path(description="Last part of `type` of a problem.", examples=["not-found"])],
) -> Response:
    """What it means, and what to do about it."""
    if slug not in PROBLEMS:
        error = ProblemError("not-found", "No type of problem has this name; /problems lists them all.")
        return _not_found(request, deployment, error, PROBLEMS["not-found"].meaning)
    page = rendered_page("problems.html", problems={slug: PROBLEMS[slug]}, single=True)
    return keep(request, Kept(Answer.of(page, HTML, headers=PAGE_HEADERS)))


def _not_found(request: Request, deployment: Deployment, error: ProblemError, advice: str) -> Response:
    """The problem ``error`` as a page, for those who ask for one. Raises ``error`` for everybody else."""
    varying = {"Vary": "Accept"}
    if "text/html" not in request.headers.get("accept", ""):
        raise ProblemError(error.slug, error.detail, headers=varying)
    page = rendered_page(
        "not_found.html",
        heading=error.detail,
        advice=advice,
        base=public_base(deployment.settings),
        site=site_of(deployment),
    )
    headers = PAGE_HEADERS | varying | {"Cache-Control": NOT_FOUND_CACHE_CONTROL}
    return Response(page, status_code=404, media_type=HTML, headers=headers)


def _certificate_view(deployment: Deployment, certificate: records.PublicCertificate) -> dict[str, Any]:
    """What the template shows: the answers of the API, with votes counted and findings in one list for each round."""
    now = utc_now()
    sealed = certificate.payload.document
    return {
        "sealed": sealed,
        "now": records.verification(certificate, now),
        "live": records.live_status(deployment, certificate, now),
        "description": certificate.row.description,
        "rounds": [_round_view(each) for each in records.certificate_record(deployment, certificate, now)["rounds"]],
        "files": sealed["files"][:MAX_FILES],
        "more_files": max(0, len(sealed["files"]) - MAX_FILES),
        "source_link": _link(sealed["sourceUrl"]),
        "proof": certificate.bundle.log_proof,
        "base": public_base(deployment.settings),
        "site": site_of(deployment),
    }


def _round_view(record: dict[str, Any]) -> dict[str, Any]:
    phases = [
        {
            "phase": phase["phase"],
            "safe": sum(seat["verdict"] == "SAFE" for seat in phase["seats"]),
            "unsafe": sum(seat["verdict"] == "UNSAFE" for seat in phase["seats"]),
            "other": sum(seat["verdict"] not in ("SAFE", "UNSAFE") for seat in phase["seats"]),
            "families": sorted({seat["family"] for seat in phase["seats"]}),
        }
        for phase in record["phases"]
    ]
    # Engines of one family find the same: each finding is shown once, with how many seats have it.
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for phase in record["phases"]:
        for seat in phase["seats"]:
            for finding in seat["findings"]:
                key = (finding["file"], finding["lineStart"], finding["category"], finding["quote"])
                found.setdefault(key, {**finding, "seats": 0})["seats"] += 1
    findings = list(found.values())
    return {
        **record,
        "phases": phases,
        "findings": findings[:MAX_FINDINGS],
        "more_findings": max(0, len(findings) - MAX_FINDINGS),
    }


def _link(url: str | None) -> str | None:
    """``url`` if a reader may be sent there: a page of the public web."""
    return url if url is not None and url.startswith("https://") and url.isascii() and url.isprintable() else None

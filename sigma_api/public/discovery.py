"""What agents, crawlers and people look for at well-known places. One table: path, media type, builder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
import re2
from fastapi import APIRouter, Query, Request, Response

from sigma_api.caching import JSON, Answer
from sigma_api.paging import Cursor
from sigma_api.problems import ProblemError, documented
from sigma_api.public import records, schemas
from sigma_api.public.mcp_front import PATH as MCP
from sigma_api.public.parameters import COMMON, DEFAULT_PAGE, MAX_PAGE, OF_ONE, PREFIX, OpenDeployment, PageCursor
from sigma_api.public.snapshot import Kept, keep
from sigma_api.public.source import SourceUrlInvalid, skill_file_at
from sigma_api.public.templates import rendered_text
from sigma_core import __version__
from sigma_core.canonical import sha256_hex
from sigma_core.certificates.explanations import STATUS_ADVICE
from sigma_core.deployment import Deployment, public_base
from sigma_core.timestamps import iso_utc, utc_now

MARKDOWN = "text/markdown; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
LINKSET = 'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'

SECURITY_TXT_LIFETIME = timedelta(days=180)
MAX_INDEXED = 200
MAX_INDEXED_DESCRIPTION = 1_024
_INDEXED_NAME = re2.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_INDEXED_NAME = 64

router = APIRouter(tags=["public"])


@dataclass(frozen=True, slots=True)
class Document:
    """A document at a fixed path, made from the deployment's public records and settings."""

    path: str
    media_type: str
    build: Callable[[Deployment], bytes]
    operation_id: str
    summary: str
    description: str


def site_of(deployment: Deployment) -> str:
    """Where clients reach this deployment, without a slash at the end."""
    return deployment.settings.public_url.rstrip("/")


def skill_guide(deployment: Deployment) -> bytes:
    """The agent guide as a skill."""
    return _text(deployment, "skill.md")


def llms_txt(deployment: Deployment) -> bytes:
    """An overview for language models (llmstxt.org)."""
    return _text(deployment, "llms.txt")


def agent_skills_index(deployment: Deployment) -> bytes:
    """The agent-skills discovery index, version 0.2.0: our own guide, and certified skills that a client can fetch.

    A digest there is the SHA-256 of the bytes at ``url``: so only those are listed that were certified from a public repository
    at a commit. It is the certificate's ``skillHash``, which is that of the file's bytes unless its line ends are not LF.
    """
    guide = skill_guide(deployment)
    indexed = {
        "sigma-verification": {
            "name": "sigma-verification",
            "type": "skill-md",
            "description": "Check whether a skill or API is certified by SIGMA before you install or call it.",
            "url": f"{site_of(deployment)}/skill.md",
            "digest": f"sha256:{sha256_hex(guide)}",
        }
    }
    for skill in records.certified_from_github(deployment, limit=MAX_INDEXED, at=utc_now()):
        name = skill.name
        if name in indexed or len(name) > MAX_INDEXED_NAME or not _INDEXED_NAME.fullmatch(name):
            continue
        try:
            url = skill_file_at(skill.source_url, skill.source_ref).url
        except SourceUrlInvalid:
            continue
        indexed[name] = {
            "name": name,
            "type": "skill-md",
            "description": skill.description[:MAX_INDEXED_DESCRIPTION],
            "url": url,
            "digest": f"sha256:{skill.skill_hash}",
        }
    return orjson.dumps(
        {"$schema": "https://schemas.agentskills.io/discovery/0.2.0/schema.json", "skills": list(indexed.values())}
    )


def api_catalog(deployment: Deployment) -> bytes:
    """RFC 9727: links to the API, its description, its documentation and its status."""
    site = site_of(deployment)
    return orjson.dumps(
        {
            "linkset": [
                {
                    "anchor": public_base(deployment.settings),
                    "service-desc": [{"href": f"{site}/openapi.json", "type": JSON}],
                    "service-doc": [
                        {"href": f"{site}/llms.txt", "type": "text/plain"},
                        {"href": f"{site}/skill.md", "type": "text/markdown"},
                        {"href": f"{site}/problems", "type": "text/html"},
                    ],
                    "status": [{"href": f"{site}/readyz", "type": JSON}],
                }
            ]
        }
    )


def agent_card(deployment: Deployment) -> bytes:
    """An A2A 1.0 agent card. Its interfaces are the HTTP API and the MCP server: there is no chat to be had here."""
    site = site_of(deployment)
    modes = {"inputModes": [JSON], "outputModes": [JSON]}
    return orjson.dumps(
        {
            "name": "SIGMA verification",
            "description": "Says whether a skill or API is certified, and whether what you have is what was certified.",
            "version": __version__,
            "documentationUrl": f"{site}/skill.md",
            "supportedInterfaces": [
                {
                    "url": public_base(deployment.settings),
                    "protocolBinding": f"{site}/openapi.json",
                    "protocolVersion": "1.0",
                },
                {
                    "url": f"{site}{MCP}",
                    "protocolBinding": "https://modelcontextprotocol.io",
                    "protocolVersion": "2026-07-28",
                },
            ],
            "capabilities": {"streaming": False, "pushNotifications": False},
            "defaultInputModes": [JSON],
            "defaultOutputModes": [JSON],
            "skills": [
                {
                    "id": "verifyCertificate",
                    "name": "Verify a certificate",
                    "description": "Every sealed field of a certificate with its status now.",
                    "tags": ["security", "verification"],
                    **modes,
                },
                {
                    "id": "listCertificates",
                    "name": "Find certified skills and APIs",
                    "description": "Newest approved certificates, searched by name and description.",
                    "tags": ["security", "discovery"],
                    **modes,
                },
                {
                    "id": "explainCode",
                    "name": "Say what a code means",
                    "description": "Rules, categories of findings, statuses, levels and codes of errors, and what to do about each.",
                    "tags": ["security", "documentation"],
                    **modes,
                },
                {
                    "id": "dryRun",
                    "name": "Look over a package",
                    "description": "What the sandbox finds in the archive that is sent; keeps nothing, certifies nothing.",
                    "tags": ["security", "verification"],
                    "inputModes": ["multipart/form-data"],
                    "outputModes": [JSON],
                },
                {
                    "id": "compareSkill",
                    "name": "Compare a SKILL.md with the certified one",
                    "description": "Hashes the file that is sent and says whether it is the certified one; keeps nothing.",
                    "tags": ["security", "integrity"],
                    "inputModes": ["text/markdown"],
                    "outputModes": [JSON],
                },
            ],
        }
    )


def security_txt(deployment: Deployment) -> bytes:
    """RFC 9116. Raises ProblemError ``not-found`` where the operator has named no contact: without one it would be invalid."""
    contact = deployment.settings.security_contact
    if contact is None:
        raise ProblemError("not-found", "This deployment names no contact for security reports.")
    # From midnight on, so that it stays the same for a day.
    expires = utc_now().replace(hour=0, minute=0, second=0, microsecond=0) + SECURITY_TXT_LIFETIME
    canonical = f"{site_of(deployment)}/.well-known/security.txt"
    return (
        f"Contact: {contact}\nExpires: {iso_utc(expires)}\nPreferred-Languages: en\nCanonical: {canonical}\n"
    ).encode()


DOCUMENTS = (
    Document(
        "/skill.md",
        MARKDOWN,
        skill_guide,
        "getSkillGuide",
        "The agent guide as a skill",
        "How to check a skill or API.",
    ),
    Document("/llms.txt", TEXT, llms_txt, "getLlmsTxt", "Overview for language models", "What is where, in Markdown."),
    Document(
        "/.well-known/agent-skills/index.json",
        JSON,
        agent_skills_index,
        "getAgentSkillsIndex",
        "Skills to fetch, with digests",
        "Agent skills discovery, version 0.2.0: this deployment's guide, and certified skills at their public source.",
    ),
    Document(
        "/.well-known/api-catalog", LINKSET, api_catalog, "getApiCatalog", "Links to the API", "An RFC 9727 linkset."
    ),
    Document("/.well-known/agent-card.json", JSON, agent_card, "getAgentCard", "Agent card", "An A2A 1.0 agent card."),
    Document(
        "/.well-known/security.txt",
        TEXT,
        security_txt,
        "getSecurityTxt",
        "Whom to tell of a vulnerability",
        "RFC 9116; there only where the operator has named a contact.",
    ),
)


def _add_route(document: Document) -> None:
    schema = {"type": "object"} if document.media_type in (JSON, LINKSET) else {"type": "string"}

    def get_document(request: Request, deployment: OpenDeployment) -> Response:
        return keep(request, Kept(Answer.of(document.build(deployment), document.media_type)))

    router.get(
        document.path,
        operation_id=document.operation_id,
        summary=document.summary,
        description=document.description,
        response_class=Response,
        responses=OF_ONE
        | {
            200: {
                "description": document.summary,
                "content": {document.media_type.partition(";")[0]: {"schema": schema}},
            }
        },
    )(get_document)


for row in DOCUMENTS:
    _add_route(row)


@router.get(
    f"{PREFIX}/landing",
    operation_id="getLanding",
    summary="Counts and recent certificates",
    response_model=schemas.Landing,
    responses=COMMON,
)
def get_landing(request: Request, deployment: OpenDeployment) -> Response:
    """What a front page shows."""
    return keep(request, Kept(Answer.of(orjson.dumps(records.landing(deployment, at=utc_now())))))


@router.get(
    "/.well-known/skill-store",
    operation_id="getSkillStore",
    summary="Feed of certified skills",
    response_model=schemas.SkillStore,
    responses=COMMON | documented("invalid-cursor"),
)
def get_skill_store(
    request: Request,
    deployment: OpenDeployment,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Skills on a page.")] = DEFAULT_PAGE,
    cursor: PageCursor = None,
) -> Response:
    """Skills with a certificate that is good now, newest first, with where to verify each."""
    after = None if cursor is None else Cursor.decode(cursor)
    page = records.certificate_page(deployment, limit=limit, search=None, after=after, at=utc_now(), skills_only=True)
    site, base = site_of(deployment), public_base(deployment.settings)
    store = {
        "name": "SIGMA certified skills",
        "guide": f"{site}/skill.md",
        "skills": [_listed(item, site, base) for item in page["items"]],
        "nextCursor": page["nextCursor"],
    }
    return keep(request, Kept(Answer.of(orjson.dumps(store))))


def _listed(item: dict[str, Any], site: str, base: str) -> dict[str, Any]:
    certificate = f"{base}/certificates/{item['certificateId']}"
    return item | {
        "verifyUrl": f"{certificate}/verify",
        "attestationUrl": f"{certificate}/attestation",
        "certificateUrl": f"{site}/certificates/{item['certificateId']}",
        "badgeUrl": f"{certificate}/badge.svg",
    }


def _text(deployment: Deployment, template: str) -> bytes:
    site = site_of(deployment)
    return rendered_text(
        template,
        version=__version__,
        site=site,
        host=urlsplit(site).netloc,
        base=public_base(deployment.settings),
        statuses=STATUS_ADVICE,
    )

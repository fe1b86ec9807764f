"""What agents and crawlers look for at well-known places: every document is there, in its form, and its links lead somewhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from http_client import Client, assert_problem, assert_safe_headers
from kept_records import API, EXPIRED, LISTED, REVOKED, SUSPENDED, Sample, keep_assembly, keep_certificates

from sigma_api.app import create_app
from sigma_api.public.discovery import DOCUMENTS, Document
from sigma_api.public.schemas import Landing, SkillStore
from sigma_core import __version__
from sigma_core.canonical import sha256_hex
from sigma_core.config import SettingsError, load_settings
from sigma_core.deployment import Deployment
from sigma_core.policy import Policy
from sigma_core.storage.protocol import SubmissionRow
from sigma_core.submissions.manifest import read_manifest
from sigma_core.timestamps import utc_now

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def contacted(home: Path, monkeypatch: pytest.MonkeyPatch, own: Deployment) -> Deployment:
    """A deployment that names a contact."""
    monkeypatch.setenv("SIGMA_SECURITY_CONTACT", "mailto:security@example.org")
    own.settings = load_settings()
    return own


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.path)
def test_every_document_is_there_in_its_form(
    contacted: Deployment, make_client: Callable[..., Client], document: Document
) -> None:
    client = make_client(create_app(contacted))
    response = client.get(document.path)
    assert (response.status_code, response.content) == (200, document.build(contacted))
    assert response.headers["content-type"] == document.media_type
    assert response.headers["access-control-allow-origin"] == "*"
    assert client.get(document.path, headers={"If-None-Match": response.headers["etag"]}).status_code == 304
    assert_safe_headers(response)


def addresses(value: Any) -> list[str]:
    """Every address of this deployment in a JSON document."""
    if isinstance(value, dict):
        return [found for each in value.values() for found in addresses(each)]
    if isinstance(value, list):
        return [found for each in value for found in addresses(each)]
    return [value] if isinstance(value, str) and value.startswith("http://127.0.0.1:8400/") else []


def test_every_link_to_this_deployment_leads_somewhere(client: Client) -> None:
    documents = [orjson.loads(client.get(one.path).content) for one in DOCUMENTS if "json" in one.media_type]
    documents.append(client.get("/.well-known/skill-store", params={"limit": 2}).json())
    texts = [
        word.strip("()<>[],.;`")
        for path in ("/llms.txt", "/skill.md")
        for word in client.get(path).text.replace("](", " ").split()
    ]
    links = set(addresses(documents)) | {
        word.rstrip(":).`")
        for word in texts
        if word.startswith("http://127.0.0.1:8400/") and "{" not in word and "/ID" not in word
    }
    assert len(links) > 15
    for link in links:
        path = urlsplit(link).path
        # A prefix, nothing was logged here, and what takes only POST.
        if path not in ("/api/v1/public", "/api/v1/public/log/checkpoint", "/api/v1/public/dry-run", "/mcp"):
            assert client.get(path).status_code == 200, link


def test_the_guide_is_a_skill_that_our_own_intake_reads(client: Client, kept: Deployment, policy: Policy) -> None:
    manifest = read_manifest(client.get("/skill.md").content, policy.package)
    assert (manifest["name"], manifest["version"]) == ("sigma-verification", __version__)
    assert manifest["homepage"] == kept.settings.public_url
    assert manifest["metadata"] == {"category": "security", "api_base": f"{kept.settings.public_url}/api/v1/public"}
    assert manifest["capabilities"] == ["http"]
    assert {call["method"] for call in manifest["externalCalls"]} == {"GET", "POST"}
    assert all(
        call["url"].startswith(f"{kept.settings.public_url}/api/v1/public/") for call in manifest["externalCalls"]
    )
    assert manifest["problems"] == []


def walk_store(client: Client, limit: int) -> list[dict[str, Any]]:
    skills: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        response = client.get("/.well-known/skill-store", params={"limit": limit, **cursor})
        page = SkillStore.model_validate_json(response.content, strict=True)
        skills += response.json()["skills"]
        if page.next_cursor is None:
            return skills
        cursor = {"cursor": page.next_cursor}


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_the_store_has_every_skill_that_is_good_now_and_nothing_else(client: Client, limit: int) -> None:
    listed = [skill["certificateId"] for skill in walk_store(client, limit)]
    assert sorted(listed) == sorted(sample.id for sample in LISTED if sample is not API)
    assert not {SUSPENDED.id, REVOKED.id, EXPIRED.id, API.id} & set(listed)


def test_a_stores_cursor_that_is_not_ours_is_refused(client: Client) -> None:
    assert_problem(client.get("/.well-known/skill-store", params={"cursor": "x"}), "invalid-cursor")


def index_of(client: Client) -> dict[str, dict[str, str]]:
    document = client.get("/.well-known/agent-skills/index.json").json()
    assert document["$schema"] == "https://schemas.agentskills.io/discovery/0.2.0/schema.json"
    assert all(skill.keys() == {"name", "type", "description", "url", "digest"} for skill in document["skills"])
    return {skill["name"]: skill for skill in document["skills"]}


def test_the_index_has_the_guide_with_the_digest_of_its_bytes(client: Client) -> None:
    guide = index_of(client)["sigma-verification"]
    assert guide["digest"] == f"sha256:{sha256_hex(client.get(urlsplit(guide['url']).path).content)}"


def test_the_index_has_certified_skills_only_where_their_source_is_public_and_pinned(
    own: Deployment, make_client: Callable[..., Client]
) -> None:
    keep_assembly(own)
    samples = [
        Sample(1, name="tides"),
        Sample(2, name="uploaded"),
        Sample(3, name="Odd Name"),
        Sample(4, name="elsewhere"),
    ]
    keep_certificates(own, samples)
    sources = {
        1: "https://github.com/example/tides/tree/main/skills/tides",
        3: "https://github.com/example/odd",
        4: "https://gitlab.com/a/b",
    }
    with own.sessions.begin() as session:
        for sample in samples:
            if sample.number in sources:
                row = session.get_one(SubmissionRow, sample.submission_id)
                row.source_type, row.source_url, row.source_ref = "github", sources[sample.number], COMMIT
                skill_hash = row.skill_hash
    skills = index_of(make_client(create_app(own)))
    assert skills.keys() == {"sigma-verification", "tides"}
    assert skills["tides"]["url"] == f"https://raw.githubusercontent.com/example/tides/{COMMIT}/skills/tides/SKILL.md"
    assert skills["tides"]["digest"] == f"sha256:{skill_hash}"


def test_the_catalog_is_a_linkset_with_a_description_of_the_api(client: Client) -> None:
    response = client.get("/.well-known/api-catalog")
    assert response.headers["content-type"].startswith(
        'application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727"'
    )
    [link] = response.json()["linkset"]
    assert link["anchor"].endswith("/api/v1/public")
    assert {"service-desc", "service-doc", "status"} <= link.keys()


def test_the_agent_card_has_what_its_form_asks_for(client: Client) -> None:
    card = client.get("/.well-known/agent-card.json").json()
    assert {"name", "description", "supportedInterfaces", "version", "capabilities", "defaultInputModes", "defaultOutputModes", "skills"} <= card.keys()  # fmt: skip
    assert all({"id", "name", "description", "tags"} <= skill.keys() for skill in card["skills"])
    operations = {
        operation["operationId"]
        for item in client.get("/openapi.json").json()["paths"].values()
        for operation in item.values()
    }
    assert {skill["id"] for skill in card["skills"]} <= operations


def test_security_txt_names_a_contact_and_ends_within_a_year(
    contacted: Deployment, make_client: Callable[..., Client]
) -> None:
    text = make_client(create_app(contacted)).get("/.well-known/security.txt").text
    fields = dict(line.split(": ", 1) for line in text.splitlines())
    assert fields["Contact"] == "mailto:security@example.org"
    assert utc_now() < datetime.fromisoformat(fields["Expires"]) < utc_now() + timedelta(days=365)


def test_without_a_contact_there_is_no_security_txt(client: Client) -> None:
    assert_problem(client.get("/.well-known/security.txt"), "not-found")


@pytest.mark.parametrize(
    "contact", ["security@example.org", "javascript:alert(1)", "mailto:a\nExpires: 2999", "https://"]
)
def test_a_contact_that_would_break_the_file_is_no_setting(monkeypatch: pytest.MonkeyPatch, contact: str) -> None:
    monkeypatch.setenv("SIGMA_SECURITY_CONTACT", contact)
    with pytest.raises(SettingsError, match="SIGMA_SECURITY_CONTACT"):
        load_settings()


def test_landing_counts_what_there_is(client: Client) -> None:
    response = client.get("/api/v1/public/landing")
    landing = Landing.model_validate_json(response.content, strict=True)
    assert landing.counts.certificates == len(LISTED)
    assert (landing.counts.validators, landing.prices_from) == (1, None)
    newest = client.get("/api/v1/public/certificates", params={"limit": 6}).json()["items"]
    assert response.json()["recent"] == newest

"""No secret that a developer left in the manifest or the notes is sealed; what is no secret is sealed as it was written."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from certificate_samples import sample_facts, sample_package, sample_payload
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.certificates.payload import SubmissionSeal
from sigma_core.certificates.published_texts import published_texts
from sigma_core.sandbox.secrets import find_secrets
from sigma_core.submissions.package import Package, SourceType

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def secrets_of(seed: int) -> dict[str, str]:
    """Texts with a live secret each, made at run time so that none stands in the repository."""
    chance = random.Random(seed)

    def letters(count: int) -> str:
        return "".join(chance.choice(_LETTERS) for _ in range(count))

    return {
        "anthropic": "sk-" + "ant-api03-" + letters(93) + "AA",
        "gitlab": "token glp" + "at-" + letters(20),
        "google": "https://maps.boot-strap.io/v1?key=AI" + "za" + letters(35),
        "query": "https://tides.boot-strap.io/v1?api_key=" + letters(40),
        "login": f"https://svc:{letters(14)}@db7.acme-internal.io/v1",
        "assigned": f'client_secret = "{letters(40)}"',
    }


def live_values(*texts: str) -> set[str]:
    return {text[secret.start : secret.end] for text in texts for secret in find_secrets(text) if secret.live}


def package_with(manifest: dict[str, Any]) -> Package:
    package = sample_package()
    return replace(package, manifest={**package.manifest, **manifest})


def sealed(package: Package, dev_notes: str = "") -> Any:
    return sample_payload(
        package=package,
        facts=sample_facts(package={"treeHash": package.tree_hash}),
        submission=SubmissionSeal(
            submission_id="sub_01", skill_name="a", skill_version=None, source_type=SourceType.UPLOAD,
            source_ref=None, source_url=None, entry="SKILL.md", dev_notes=dev_notes,
        ),
    )  # fmt: skip


CALL = {"url": None, "auth": None, "method": "GET", "reason": None}
FORMS = sorted(secrets_of(0))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.dictionaries(
        st.sampled_from(["url", "auth", "reason", "network", "capability", "notes"]),
        st.sampled_from(FORMS),
        min_size=1,
    ),
    st.text(max_size=20),
)
def test_no_value_that_is_reported_as_real_occurs_in_the_payload(
    seed: int, places: dict[str, str], around: str
) -> None:
    made = secrets_of(seed)
    texts = {place: f"{around} {made[form]} {around}" for place, form in places.items()}
    package = package_with(
        {
            "safety": {"network": texts.get("network"), "filesystem": None},
            "capabilities": [texts.get("capability", "http")],
            "externalCalls": [{**CALL, **{key: texts[key] for key in ("url", "auth", "reason") if key in texts}}],
        }
    )
    payload = sealed(package, texts.get("notes", ""))
    published = payload.canonical_bytes.decode()
    assert live_values(*made.values())
    for value in live_values(*texts.values()):
        assert value not in published
    assert not live_values(*payload.document["manifest"]["capabilities"], payload.document["devNotes"])


@pytest.mark.parametrize("form", FORMS)
def test_secret_of_a_file_is_not_repeated_by_the_notes(form: str) -> None:
    text = secrets_of(5)[form]
    [value] = live_values(text)
    package = sample_package({"SKILL.md": b"---\nname: a\n---\n", "a.env": f"{text}\n".encode()})
    assert value not in sealed(package, f"use {value} to try it").canonical_bytes.decode()


def test_key_in_place_of_a_kind_of_authentication_is_not_published() -> None:
    key = secrets_of(9)["query"].rpartition("=")[2]
    package = package_with({"externalCalls": [{**CALL, "auth": key}]})
    [call] = published_texts(package, "").manifest["externalCalls"]
    assert call == {**CALL, "auth": f"{key[:4]}…[redacted 40]"}


@pytest.mark.parametrize(
    "auth", [None, "Bearer token", "oauth2-client-credentials", "API key in X-API-Key header", "none"]
)
def test_what_is_no_secret_is_sealed_as_it_was_written(auth: str | None) -> None:
    manifest = {
        "safety": {"network": "tides.example.org", "filesystem": "read-only"},
        "capabilities": ["http", "read files of the project"],
        "externalCalls": [{"url": "https://tides.example.org/v1?day=2026-11-21", "auth": auth, "method": "GET", "reason": "tide times"}],
    }  # fmt: skip
    texts = published_texts(package_with(manifest), "Gezeiten für Häfen, version 1.4.0-rc.1", {"address": "none"})
    assert texts.manifest == manifest
    assert texts.dev_notes == "Gezeiten für Häfen, version 1.4.0-rc.1"
    assert texts.smart_contract == {"address": "none"}

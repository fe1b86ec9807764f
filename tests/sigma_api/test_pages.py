"""Pages for people and the badge: everything that matters is on them, nothing runs in them, and hostile text stays text."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from http_client import Client, assert_problem, assert_safe_headers
from hypothesis import given
from hypothesis import strategies as st
from kept_records import (
    API,
    AUDITED_AGAIN,
    EXPIRED,
    FINDING,
    ORDINARY,
    REVOKED,
    SUSPENDED,
    Sample,
    keep_assembly,
    keep_certificates,
)

from sigma_api.app import create_app
from sigma_api.problems import PROBLEMS
from sigma_api.public.pages import _link
from sigma_api.public.templates import STYLE, rendered_page, visible
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certificate_status import change_status

ONE = ORDINARY[0]
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """A page: its visible text, elements, links and ids; that it is well-formed is checked on the way."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.elements, self.links, self.ids, self.labelled = "", [], [], [], []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value)
            if name == "aria-labelledby":
                self.labelled.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


def page_of(client: Client, sample: Sample) -> Page:
    response = client.get(f"/certificates/{sample.id}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return Page(response.text)


def test_the_page_has_every_block(client: Client) -> None:
    page, verify = page_of(client, ONE), client.get(f"/api/v1/public/certificates/{ONE.id}/verify").json()
    for shown in (
        ONE.name, "APPROVED", verify["skillHash"], verify["treeHash"], verify["payloadHash"], verify["signature"],
        verify["signatureKeyId"], verify["expiresAt"], verify["notice"], ONE.description, "Call https://tides.example.org/v1/times",
        "SKILL.md:5 calls tides.example.org", FINDING["rationale"], "sigma verify bundle.json", "Round 1: APPROVED",
    ):  # fmt: skip
        assert shown in page.text, shown
    assert page.ids == page.labelled == ["status", "what", "rounds", "proofs", "verify"]
    assert page.elements.count("h1") == 1


@pytest.mark.parametrize("sample", [API, SUSPENDED, REVOKED, EXPIRED, AUDITED_AGAIN], ids=lambda sample: sample.name)
def test_every_kind_of_certificate_has_a_page_that_says_how_it_stands(client: Client, sample: Sample) -> None:
    status = client.get(f"/api/v1/public/certificates/{sample.id}/verify").json()["status"]
    assert f"{status}" in page_of(client, sample).text


def test_nothing_runs_loads_or_is_sent_from_a_page(client: Client) -> None:
    for path in (f"/certificates/{ONE.id}", "/problems", "/problems/not-found"):
        response = client.get(path)
        page = Page(response.text)
        assert not {"script", "img", "iframe", "form", "link", "object", "svg", "input", "button"} & set(page.elements)
        style = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        policy = response.headers["content-security-policy"]
        assert policy == (
            f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert f"<style>{STYLE}</style>" in response.text
        assert_safe_headers(response)


def test_the_page_is_made_for_a_phone_and_for_the_dark(client: Client) -> None:
    html = client.get(f"/certificates/{ONE.id}").text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert '<html lang="en">' in html
    assert "prefers-color-scheme: dark" in STYLE
    assert "overflow-wrap: anywhere" in STYLE


def test_hostile_text_stays_text(own: Deployment, make_client: Callable[..., Client]) -> None:
    keep_assembly(own)
    hostile = Sample(
        1,
        name="</title><script>alert(1)</script>",
        description="a\N{RIGHT-TO-LEFT OVERRIDE}b<img src=x onerror=alert(1)>{{ 7*7 }}",
    )
    keep_certificates(own, [hostile])
    page = page_of(make_client(create_app(own)), hostile)
    assert hostile.name in page.text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page.text
    assert "U+202E" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "script" not in page.elements


@given(text=st.text())
def test_what_is_shown_is_printable_and_loses_nothing_that_was(text: str) -> None:
    shown = visible(text)
    assert all(sign.isprintable() or sign in "\n\t" for sign in shown)
    assert visible(shown) == shown
    if all(sign.isprintable() for sign in text):
        assert shown == text


@given(text=st.text())
def test_no_text_breaks_out_of_the_badge(text: str) -> None:
    badge = rendered_page("badge.svg", label=text, word="x", left=10, right=10, colour="#fff")
    elements = [element.tag.rpartition("}")[2] for element in ElementTree.fromstring(badge).iter()]
    assert elements == ["svg", "title", "rect", "rect", "g", "text", "text"]


@pytest.mark.parametrize(
    "url", [None, "javascript:alert(1)", "data:text/html,x", "http://example.org", "//example.org", "https://exa\nmple.org", "https://еxample.org"]
)  # fmt: skip
def test_a_page_sends_its_reader_to_no_odd_address(url: str | None) -> None:
    assert _link(url) is None


@pytest.mark.parametrize(
    ("sample", "word"), [(ONE, "certified"), (SUSPENDED, "suspended"), (REVOKED, "revoked"), (EXPIRED, "expired")]
)
def test_the_badge_says_the_status_now(client: Client, sample: Sample, word: str) -> None:
    response = client.get(f"/api/v1/public/certificates/{sample.id}/badge.svg")
    assert response.headers["content-type"] == "image/svg+xml"
    assert response.headers["etag"]
    svg = ElementTree.fromstring(response.content)
    assert svg.attrib["aria-label"] == f"SIGMA: {word}"
    assert_safe_headers(response)


@pytest.mark.usefixtures("up_to_date")
def test_a_suspension_reaches_page_and_badge(own: Deployment, make_client: Callable[..., Client]) -> None:
    keep_assembly(own)
    keep_certificates(own, [ONE])
    client = make_client(create_app(own))
    assert "Last change" not in page_of(client, ONE).text
    change_status(own, ONE.id, CertificateStatus.SUSPENDED, actor="operator:ada", reason="looked <b>into</b>")
    page = page_of(client, ONE)
    assert "SUSPENDED" in page.text
    assert "looked <b>into</b>" in page.text
    assert "suspended" in client.get(f"/api/v1/public/certificates/{ONE.id}/badge.svg").text


@pytest.mark.parametrize("path", ["/certificates/cert_0", "/certificates", "/certificates/", "/certificates/%2e%2e", "/api/v1/public/certificates/cert_0/badge.svg", "/problems/nothing", "/problems/%2e%2e%2fskill.md"])  # fmt: skip
def test_a_page_that_is_not_there_is_a_problem(client: Client, path: str) -> None:
    assert_problem(client.get(path), "not-found")


@pytest.mark.parametrize("path", ["/certificates/cert_0", "/problems/nothing"])
def test_a_browser_is_told_as_a_page_that_there_is_nothing(client: Client, path: str) -> None:
    for accept, media_type in (
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("*/*", "application/problem+json"),
    ):
        response = client.get(path, headers={"Accept": accept})
        assert (response.status_code, response.headers["content-type"]) == (404, media_type)
        assert (response.headers["vary"], response.headers["cache-control"]) == ("Accept", "public, max-age=5")
        assert_safe_headers(response)


@pytest.mark.parametrize("slug", PROBLEMS)
def test_the_type_of_every_problem_is_a_page_that_explains_it(client: Client, slug: str) -> None:
    response = client.get(f"/problems/{slug}")
    assert response.status_code == 200
    assert PROBLEMS[slug].meaning in Page(response.text).text
    assert f"/problems/{slug}" in Page(client.get("/problems").text).links

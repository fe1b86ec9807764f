"""Every page in a real browser: nothing for axe to find, nothing that the policy had to stop, nothing that has to be scrolled sideways.

Needs Chromium (``apt install chromium``) and is skipped without it. ``SIGMA_SCREENSHOTS=FOLDER`` keeps what was seen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from certified_for_real import certified_for_real
from kept_records import (
    AUDITED_AGAIN,
    EXPIRED,
    Sample,
    bare_deployment,
    keep_assembly,
    keep_certificates,
    keep_open_round,
)
from loopback import free_port, serving
from playwright.sync_api import Browser, Page, sync_playwright

from sigma_api.app import create_app

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# The flags keep it from asking anybody anything by itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
SCREENSHOTS = os.environ.get("SIGMA_SCREENSHOTS")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, and there is none on the path")

SETTINGS = {"public_rate_requests": "1000000"}

LONG = Sample(
    200,
    name="a-name-that-goes-on-" * 12,
    description="Unbroken" * 40 + " <b>bold</b> \N{RIGHT-TO-LEFT OVERRIDE}turned",
)
ESCALATED = Sample(201, name="looked-at-by-a-person", status="ESCALATED")

NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => window.violations.push(event.effectiveDirective + " " + event.blockedURI));
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Address of each page by what it shows; served while the module's tests run."""
    with ExitStack() as stack:
        certified = stack.enter_context(certified_for_real(tmp_path_factory.mktemp("real"), **SETTINGS))
        real = stack.enter_context(serving(create_app(certified.deployment), free_port()))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SIGMA_HOME", str(tmp_path_factory.mktemp("made-up")))
            deployment = bare_deployment()
        stack.callback(deployment.close)
        keep_assembly(deployment)
        keep_certificates(deployment, [EXPIRED, ESCALATED, AUDITED_AGAIN, LONG])
        keep_open_round(deployment, AUDITED_AGAIN)
        made_up = stack.enter_context(serving(create_app(deployment), free_port()))
        yield {
            "approved": f"{real}/certificates/{certified.approved.id}",
            "with-api": f"{real}/certificates/{certified.with_api.id}",
            "suspended": f"{real}/certificates/{certified.suspended.id}",
            "revoked": f"{real}/certificates/{certified.revoked.id}",
            "expired": f"{made_up}/certificates/{EXPIRED.id}",
            "escalated": f"{made_up}/certificates/{ESCALATED.id}",
            "audited-again": f"{made_up}/certificates/{AUDITED_AGAIN.id}",
            "long": f"{made_up}/certificates/{LONG.id}",
            "not-found": f"{made_up}/certificates/cert_0",
            "problems": f"{real}/problems",
            "problem": f"{real}/problems/not-found",
        }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=[(390, 844), (1280, 900)], ids=["phone", "desk"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, size: tuple[int, int], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window of either width, light or dark, that notes what the policy of a page stops."""
    width, height = size
    window = browser.new_context(viewport={"width": width, "height": height}, color_scheme=request.param)
    page = window.new_page()
    page.add_init_script(NOTE_VIOLATIONS)
    yield page
    window.close()


def violations(page: Page) -> list[str]:
    found: list[str] = page.evaluate("window.violations")
    return found


def test_every_page_is_accessible_and_whole(
    page: Page, pages: dict[str, str], size: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    for name, address in pages.items():
        answer = page.goto(address)
        assert answer is not None
        assert answer.headers["content-type"].startswith("text/html"), name
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}-{request.node.callspec.id}.png", full_page=True)
        assert violations(page) == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], f"{name} is wider than its window"
        assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "none", (
            f"{name} has no style"
        )
        found = Axe().run(page)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    # The browser itself says so of an answer of 404.
    assert [each for each in complaints if "404" not in each] == []


@pytest.mark.parametrize(
    ("attempt", "directive"),
    [
        ("document.head.append(Object.assign(document.createElement('style'), {textContent: 'p {color: red}'}))", "style-src-elem"),
        ("document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))", "script-src-elem"),
        ("document.querySelector('main').setAttribute('style', 'color: red')", "style-src-attr"),
        ("document.querySelector('main').setAttribute('onclick', '1')", "script-src-attr"),
        ("document.body.append(Object.assign(new Image(), {src: '/badge.png'}))", "img-src"),
        ("fetch('/livez').catch(() => null)", "connect-src"),
    ],
)  # fmt: skip
def test_the_policy_stops_whatever_a_page_would_add(
    browser: Browser, pages: dict[str, str], attempt: str, directive: str
) -> None:
    page = browser.new_page()
    page.add_init_script(NOTE_VIOLATIONS)
    page.goto(pages["approved"])
    page.evaluate(f"() => {{ {attempt} }}")
    page.wait_for_function("window.violations.length > 0")
    assert [each.split()[0] for each in violations(page)] == [directive]
    page.close()

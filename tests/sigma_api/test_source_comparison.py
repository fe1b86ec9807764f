"""source-integrity and the two comparisons: what is hashed, what is fetched, and what never is."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from http_client import Client, assert_problem, assert_safe_headers
from hypothesis import given
from hypothesis import strategies as st
from kept_records import API, ORDINARY
from loopback import Answer, site

from sigma_api.app import create_app
from sigma_api.public import quotas, source, source_routes
from sigma_api.public.schemas import Comparison, SourceIntegrity
from sigma_api.public.source import SourceUrlInvalid, skill_file_at
from sigma_core.deployment import Deployment
from sigma_core.submissions.package import skill_hash

ONE = f"/api/v1/public/certificates/{ORDINARY[0].id}"
OF_API = f"/api/v1/public/certificates/{API.id}"
CERTIFIED = b"Call https://tides.example.org/v1/times and show the answer.\n"
REPOSITORY = "https://github.com/example/tides"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def fresh(kept: Deployment, make_client: Callable[..., Client]) -> Client:
    """A client whose quota nobody has used."""
    return make_client(create_app(kept))


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Answer]]:
    """A site on this machine in the place of GitHub's raw content host: what it answers by path."""
    answers: dict[str, Answer] = {}
    with site(lambda path: answers.get(path, (404, {}, b"not found"))) as url:
        monkeypatch.setattr(source, "RAW_CONTENT", url)
        monkeypatch.setattr(source, "RULES", replace(source.RULES, also_allowed=frozenset({"127.0.0.1"})))
        yield answers


def test_source_integrity_is_the_hash_of_the_certified_file(client: Client) -> None:
    response = client.get(f"{ONE}/source-integrity")
    SourceIntegrity.model_validate_json(response.content, strict=True)
    assert response.json()["skillHash"] == skill_hash(CERTIFIED)
    assert response.headers["etag"]


@pytest.mark.parametrize(("method", "path"), [("GET", "source-integrity"), ("POST", "compare-skill")])
def test_an_api_has_no_skill_file_and_the_answer_says_so(client: Client, method: str, path: str) -> None:
    assert "API" in assert_problem(client.request(method, f"{OF_API}/{path}"), "no-skill-file")["detail"]


@pytest.mark.parametrize("content", [CERTIFIED, CERTIFIED.replace(b"\n", b"\r\n"), CERTIFIED.replace(b"\n", b"\r")])
def test_an_upload_matches_whatever_its_line_ends(fresh: Client, content: bytes) -> None:
    response = fresh.request("POST", f"{ONE}/compare-skill", content=content)
    answer = Comparison.model_validate_json(response.content, strict=True)
    assert (answer.matches, answer.found_hash, answer.bytes) == (True, skill_hash(CERTIFIED), len(content))
    assert response.headers["cache-control"] == "no-store"
    assert_safe_headers(response)


@pytest.mark.parametrize("content", [b"\n", CERTIFIED + b"\n", CERTIFIED[:-1], b"\xff\x00", b"x" * 200_000])
def test_another_upload_does_not_match(fresh: Client, content: bytes) -> None:
    answer = fresh.request("POST", f"{ONE}/compare-skill", content=content).json()
    assert (answer["matches"], answer["foundHash"]) == (False, skill_hash(content))


def test_an_upload_that_was_forgotten_is_refused(fresh: Client) -> None:
    assert "empty" in assert_problem(fresh.request("POST", f"{ONE}/compare-skill"), "bad-request")["detail"]


def test_nothing_that_is_compared_is_kept(fresh: Client, kept: Deployment) -> None:
    before = sorted(kept.settings.home.rglob("*"))
    fresh.request("POST", f"{ONE}/compare-skill", content=b"a secret draft")
    assert sorted(kept.settings.home.rglob("*")) == before


@pytest.mark.parametrize("size", [204_801, 524_289, 3_000_000])
def test_an_upload_that_no_certified_file_can_be_is_refused(fresh: Client, size: int) -> None:
    assert_problem(fresh.request("POST", f"{ONE}/compare-skill", content=b"x" * size), "content-too-large")


def test_an_upload_without_declared_length_is_refused_where_it_passes_the_limit(fresh: Client) -> None:
    given: list[int] = []

    async def endless() -> object:
        for number in range(1_000):
            given.append(number)
            yield b"x" * 65_536

    assert_problem(fresh.request("POST", f"{ONE}/compare-skill", content=endless()), "content-too-large")


def test_an_unknown_certificate_is_not_found_and_nothing_is_fetched(fresh: Client, github: dict[str, Answer]) -> None:
    for path in ("compare-skill-from-github", "compare-skill", "flags"):
        body = {"sourceUrl": REPOSITORY, "reason": "OTHER", "detail": "x"}
        body = {"reason": "OTHER", "detail": "x"} if path == "flags" else {"sourceUrl": REPOSITORY}
        assert_problem(fresh.request("POST", f"/api/v1/public/certificates/cert_0/{path}", json=body), "not-found")


def compare(client: Client, **body: object) -> object:
    return client.request("POST", f"{ONE}/compare-skill-from-github", json=body)


def test_a_public_file_is_fetched_and_compared(fresh: Client, github: dict[str, Answer]) -> None:
    github[f"/example/tides/{COMMIT}/SKILL.md"] = (200, {}, CERTIFIED)
    github["/example/tides/HEAD/SKILL.md"] = (200, {}, b"drifted\n")
    pinned = Comparison.model_validate_json(compare(fresh, sourceUrl=REPOSITORY, sourceRef=COMMIT).content, strict=True)
    newest = compare(fresh, sourceUrl=REPOSITORY).json()
    assert (pinned.matches, newest["matches"]) == (True, False)
    assert pinned.fetched is not None
    assert (pinned.fetched.ref, newest["fetched"]["ref"]) == (COMMIT, "HEAD")


def test_what_is_not_there_or_cannot_be_taken_is_named(fresh: Client, github: dict[str, Answer]) -> None:
    path = "/example/tides/HEAD/SKILL.md"
    assert_problem(compare(fresh, sourceUrl=REPOSITORY), "source-unreachable")
    refused: list[Answer] = [
        (200, {}, b"x" * 204_801),
        (200, {"Content-Length": "999999999"}, b""),
        (200, {"Content-Encoding": "gzip"}, gzip.compress(CERTIFIED)),
        (302, {"Location": "https://10.0.0.1/SKILL.md"}, b""),
        (302, {"Location": "https://169.254.169.254/latest/meta-data"}, b""),
        (302, {"Location": "https://[::1]/SKILL.md"}, b""),
        (302, {"Location": "ftp://example.org/"}, b""),
        (302, {"Location": path}, b""),
    ]
    for answer in refused:
        github[path] = answer
        body = assert_problem(compare(fresh, sourceUrl=REPOSITORY), "source-refused")
        assert "10.0.0.1" not in str(body)


def test_an_endless_answer_ends_with_its_time(
    fresh: Client, github: dict[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "RULES", replace(source.RULES, seconds=0.0))
    assert_problem(compare(fresh, sourceUrl=REPOSITORY), "source-timed-out")


def test_this_machine_is_never_asked_by_default(fresh: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with site(lambda _: (200, {}, CERTIFIED)) as url:
        monkeypatch.setattr(source, "RAW_CONTENT", url)
        assert_problem(compare(fresh, sourceUrl=REPOSITORY), "source-refused")


def test_too_many_fetches_at_once_are_sent_away_at_once(fresh: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = source_routes._fetches
    for _ in range(source_routes.MAX_FETCHES_AT_ONCE):
        assert taken.acquire(blocking=False)
    try:
        assert_problem(compare(fresh, sourceUrl=REPOSITORY), "unavailable")
    finally:
        taken.release(source_routes.MAX_FETCHES_AT_ONCE)


def test_a_fetch_that_fails_gives_its_place_back(fresh: Client, github: dict[str, Answer]) -> None:
    for _ in range(source_routes.MAX_FETCHES_AT_ONCE + 1):
        assert_problem(compare(fresh, sourceUrl=REPOSITORY), "source-unreachable")


def test_comparisons_have_a_limit_of_their_own(fresh: Client) -> None:
    for _ in range(quotas.COMPARISONS[1]):
        assert fresh.request("POST", f"{ONE}/compare-skill", content=b"x").status_code == 200
    assert_problem(fresh.request("POST", f"{ONE}/compare-skill", content=b"x"), "rate-limited")
    assert fresh.get(f"{ONE}/verify").status_code == 200


@pytest.mark.parametrize(
    ("url", "ref", "path"),
    [
        (REPOSITORY, None, "example/tides/HEAD/SKILL.md"),
        (f"{REPOSITORY}.git", None, "example/tides/HEAD/SKILL.md"),
        (f"{REPOSITORY}/", "v1.0", "example/tides/v1.0/SKILL.md"),
        (REPOSITORY, "feature/x", "example/tides/feature/x/SKILL.md"),
        (f"{REPOSITORY}/tree/main/skills/tides", None, "example/tides/main/skills/tides/SKILL.md"),
        (f"{REPOSITORY}/tree/main", COMMIT, f"example/tides/{COMMIT}/SKILL.md"),
        (f"{REPOSITORY}/blob/main/skills/skill.md", None, "example/tides/main/skills/skill.md"),
        (
            f"https://raw.githubusercontent.com/example/tides/{COMMIT}/a/SKILL.md",
            None,
            f"example/tides/{COMMIT}/a/SKILL.md",
        ),
        (f"{REPOSITORY}/tree/main/a%20b", None, "example/tides/main/a%20b/SKILL.md"),
        (f"{REPOSITORY}?tab=readme#top", None, "example/tides/HEAD/SKILL.md"),
    ],
)
def test_a_url_of_repository_folder_or_file_names_one_address(url: str, ref: str | None, path: str) -> None:
    assert skill_file_at(url, ref).url == f"https://raw.githubusercontent.com/{path}"


REFUSED_URLS = [
    "http://github.com/example/tides",
    "https://gitlab.com/example/tides",
    "https://github.com.evil.example/example/tides",
    "https://github.com@evil.example/example/tides",
    "https://user:token@github.com/example/tides",
    "https://github.com:8443/example/tides",
    "https://github.com:99999/example/tides",
    "https://github.com/example",
    "https://github.com/example/tides/issues/1",
    "https://github.com/example/tides/tree",
    "https://github.com/example/../tree/main",
    "https://github.com/-example/tides",
    "https://github.com/example/tides/tree/main/..%2f..%2fother/repo",
    "https://github.com/example/tides/tree/main/%2e%2e/other",
    "https://github.com/example/tides/tree/main/a%00b",
    "https://github.com/example/tides/tree/main//b",
    "https://github.com/example/tides/tree/..",
    "https://github.com\\@127.0.0.1/example/tides",
    "https://127.0.0.1/example/tides",
    "https://[::1]/example/tides",
    "https://gіthub.com/example/tides",
    "file:///etc/passwd",
    "//github.com/example/tides",
    "https://github.com/example/ti\ndes",
    "https://[",
    "x" * 2_049,
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(SourceUrlInvalid):
        skill_file_at(url)


def test_a_refused_url_is_a_problem_by_name(fresh: Client) -> None:
    for body in ({"sourceUrl": REFUSED_URLS[1]}, {"sourceUrl": REPOSITORY, "sourceRef": "../../x"}):
        assert_problem(compare(fresh, **body), "source-url-invalid")


@pytest.mark.parametrize("body", [{}, {"sourceUrl": ""}, {"sourceUrl": 7}, {"sourceUrl": REPOSITORY, "more": 1}, [], None, "x" * 3_000])  # fmt: skip
def test_a_body_of_another_shape_is_an_invalid_parameter(fresh: Client, body: object) -> None:
    assert_problem(fresh.request("POST", f"{ONE}/compare-skill-from-github", json=body), "invalid-parameter")


PIECES = st.sampled_from(
    ["https://", "github.com", "raw.githubusercontent.com", "/", "..", ".", "%2e%2e", "%2f", "tree", "blob", "main", "example",
     "tides", "SKILL.md", "@", ":", "?", "#", "\\", "%00", "%0a", "evil.example", "[::1]"]
) | st.text(max_size=4)  # fmt: skip


@given(pieces=st.lists(PIECES, max_size=12), ref=st.none() | st.text(max_size=12))
def test_whatever_is_given_the_address_is_below_one_repository_of_the_one_host(
    pieces: list[str], ref: str | None
) -> None:
    _check_address("".join(pieces), ref)


@given(steps=st.lists(st.text(min_size=1, max_size=8), max_size=5), ref=st.none() | st.text(max_size=12))
def test_no_step_of_a_path_leads_out_of_its_repository(steps: list[str], ref: str | None) -> None:
    try:
        path = "/".join(quote(step, safe="") for step in steps)
    except UnicodeEncodeError:
        return
    _check_address(f"{REPOSITORY}/tree/main/{path}", ref)


def _check_address(url: str, ref: str | None) -> None:
    try:
        file = skill_file_at(url, ref)
    except SourceUrlInvalid:
        return
    parts = urlsplit(file.url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "raw.githubusercontent.com", "", "")
    assert parts.path.startswith(f"/{file.owner}/{file.repository}/")
    assert not {"", ".", ".."} & set(parts.path[1:].split("/"))
    assert file.url.isascii()
    assert file.url.isprintable()
    assert file.path.lower().endswith("skill.md")

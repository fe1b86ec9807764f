"""The MCP server, asked by the SDK's own client over both transports: four read-only tools that say what the routes say."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import bare_deployment
from http_client import Client as HttpClient
from http_client import assert_problem
from jsonschema import Draft202012Validator
from kept_records import API, ORDINARY, REVOKED, SHOUTED, SUSPENDED, keep_assembly, keep_certificates
from loopback import free_port, serving
from mcp import Client, MCPError, StdioServerParameters

from sigma_api.app import create_app
from sigma_api.public import quotas
from sigma_api.public.mcp_front import allowed_origins
from sigma_core.config import load_settings
from sigma_core.deployment import Deployment

ROOT = Path(__file__).resolve().parents[2]
SKILL_MD = "Call https://tides.example.org/v1/times and show the answer.\n"
ONE = ORDINARY[0].id
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}


@dataclass(frozen=True)
class Served:
    """A deployment and where it is served."""

    deployment: Deployment
    url: str

    def post(self, body: Any, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.url}/mcp", json=body, headers=HEADERS | headers, timeout=30)


@contextmanager
def deployed(folder: Path, **settings: str) -> Iterator[Served]:
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(folder))
        patch.setenv("SIGMA_PUBLIC_URL", f"http://127.0.0.1:{port}")
        for name, value in settings.items():
            patch.setenv(f"SIGMA_{name.upper()}", value)
        deployment = bare_deployment()
    keep_assembly(deployment)
    keep_certificates(deployment, [ORDINARY[0], ORDINARY[1], SHOUTED, API, SUSPENDED, REVOKED])
    with serving(create_app(deployment), port) as url:
        yield Served(deployment, url)
    deployment.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with deployed(tmp_path_factory.mktemp("mcp"), public_rate_requests="1000000") as served:
        yield served


Ask = Callable[..., Any]


@pytest.fixture(params=["http", "http, handshake", "stdio"], scope="module")
def ask(request: pytest.FixtureRequest, served: Served) -> Ask:
    """Run a coroutine function on a client of each transport and protocol era."""

    def run(work: Callable[[Client], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            if request.param == "stdio":
                home = str(served.deployment.settings.home)
                environment = {"SIGMA_HOME": home, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
                server: Any = StdioServerParameters(
                    command=sys.executable, args=["-m", "cli", "mcp"], env=environment, cwd=ROOT
                )
            else:
                server = f"{served.url}/mcp"
            async with Client(server, mode="legacy" if "handshake" in request.param else "auto") as client:
                return await work(client)

        return asyncio.run(main())

    return run


def test_every_tool_answers_over_every_transport_as_its_schema_says(ask: Ask) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("search", {"query": "LOUD"}),
        ("verify", {"certificateId": ONE}),
        ("compare", {"certificateId": ONE, "content": SKILL_MD}),
        ("explain", {"certificateId": SUSPENDED.id, "codes": ["SIGMA-THREAT-001", "DRIFT", "nothing"]}),
    ]

    async def work(client: Client) -> Any:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        return tools, {name: await client.call_tool(name, arguments) for name, arguments in calls}

    tools, answers = ask(work)
    assert set(tools) == set(answers)
    for name, answer in answers.items():
        tool = tools[name]
        assert not answer.is_error, answer.content[0].text
        Draft202012Validator(tool.output_schema).validate(answer.structured_content)
        assert json.loads(answer.content[0].text) == answer.structured_content
        assert tool.annotations.read_only_hint
        assert not tool.annotations.destructive_hint
        assert tool.annotations.open_world_hint == (name == "compare")
        assert tool.input_schema["additionalProperties"] is False
    found = {name: answer.structured_content for name, answer in answers.items()}
    assert [item["certificateId"] for item in found["search"]["items"]] == [SHOUTED.id]
    assert (found["verify"]["valid"], found["verify"]["certificateId"]) == (True, ONE)
    assert found["compare"]["matches"] is True
    meanings = {(each["code"], each["subject"]) for each in found["explain"]["meanings"]}
    assert {
        ("SIGMA-THREAT-001", "RULE"),
        ("DRIFT", "VERIFICATION"),
        ("SUSPENDED", "STATUS"),
        ("CLEAR", "SECURITY_LEVEL"),
    } <= meanings
    assert found["explain"]["unknown"] == ["nothing", "network"]  # the samples' category is of no rule


def test_what_cannot_be_answered_is_a_tool_error_that_says_why(served: Served) -> None:
    refusals = [
        ("verify", {"certificateId": "cert_none"}, "No certificate has this id"),
        ("verify", {"certificateId": "../../livez"}, "certificateId"),
        ("verify", {}, "certificateId: Field required"),
        ("verify", {"certificateId": ONE, "more": 1}, "more"),
        ("search", {"limit": 21}, "limit"),
        ("search", {"limit": "5"}, "limit"),
        ("search", {"query": "x" * 201}, "query"),
        ("search", {"cursor": "x"}, "invalid-cursor"),
        ("compare", {"certificateId": ONE}, "either content or sourceUrl"),
        ("compare", {"certificateId": ONE, "content": "x", "sourceUrl": "https://github.com/a/b"}, "not both"),
        ("compare", {"certificateId": ONE, "content": "x", "sourceRef": "main"}, "sourceRef goes with"),
        ("compare", {"certificateId": ONE, "sourceUrl": "http://127.0.0.1/x"}, "source-url-invalid"),
        ("compare", {"certificateId": API.id, "content": "x"}, "no SKILL.md"),
        ("compare", {"certificateId": ONE, "content": "x" * 210_000}, "content-too-large"),
        ("compare", {"certificateId": ONE, "content": "x" * 262_145}, "content"),
        ("explain", {}, "certificateId or codes"),
        ("explain", {"codes": ["A"] * 33}, "codes"),
        ("explain", {"codes": ["a/b"]}, "codes"),
        ("install", {}, "No tool has the name"),
    ]

    async def work() -> list[Any]:
        async with Client(f"{served.url}/mcp") as client:
            return [await client.call_tool(name, arguments) for name, arguments, _ in refusals]

    for (name, arguments, why), answer in zip(refusals, asyncio.run(work()), strict=True):
        assert answer.is_error, (name, arguments)
        assert answer.structured_content is None
        assert why in answer.content[0].text, answer.content[0].text


def test_a_tool_says_what_its_route_says(served: Served) -> None:
    async def work() -> Any:
        async with Client(f"{served.url}/mcp") as client:
            return await client.call_tool("verify", {"certificateId": REVOKED.id})

    route = httpx.get(f"{served.url}/api/v1/public/certificates/{REVOKED.id}/verify").json()
    assert asyncio.run(work()).structured_content == route
    assert route["valid"] is False


def test_a_fault_of_ours_is_a_tool_error_that_shows_nothing_of_our_insides(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret FROM insides")

    async def work() -> Any:
        async with Client(f"{served.url}/mcp") as client:
            return await client.call_tool("search", {"query": "a fault"})

    monkeypatch.setattr("sigma_api.public.records.certificate_page", fail)
    answer = asyncio.run(work())
    assert answer.is_error
    assert "SELECT" not in answer.content[0].text
    assert "SELECT" in caplog.text


# Who may reach it


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_that_rebinds_a_name_to_this_machine_is_refused(
    served: Served, headers: dict[str, str], status: int
) -> None:
    assert served.post(CALL, **headers).status_code == status


def test_the_deployments_own_origin_may_ask(served: Served) -> None:
    assert served.post(CALL, Origin=served.url).status_code == 200
    localhost = served.url.removeprefix("http://").replace("127.0.0.1", "localhost")
    assert served.post(CALL, Host=localhost).status_code == 200


def test_a_public_deployment_answers_to_its_public_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_PUBLIC_URL", "https://sigma.example/")
    assert allowed_origins(load_settings()) == ["https://sigma.example"]


def test_only_post_is_served_so_that_nobody_holds_a_stream(client: HttpClient) -> None:
    for method in ("GET", "DELETE", "PUT"):
        assert assert_problem(client.request(method, "/mcp"), "method-not-allowed")["detail"]
    response = client.request("OPTIONS", "/mcp")
    assert (response.status_code, response.headers["allow"]) == (204, "OPTIONS, POST")


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[]", b'{"jsonrpc": "2.0"}', b"[" * 100_000, json.dumps([CALL] * 3).encode()]
)
def test_a_body_that_is_no_request_is_refused(served: Served, body: bytes) -> None:
    response = httpx.post(f"{served.url}/mcp", content=body, headers=HEADERS | {"Content-Type": "application/json"})
    assert response.status_code == 400


def test_a_body_that_is_too_large_is_refused(client: HttpClient) -> None:
    assert_problem(client.request("POST", "/mcp", content=b"x" * 600_000), "content-too-large")


def test_calls_count_as_requests_and_comparisons_have_their_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = {"certificateId": ONE, "content": SKILL_MD}
    monkeypatch.setattr(quotas, "COMPARISONS", ("comparisons", 3, 3_600))

    async def comparisons(url: str) -> list[Any]:
        async with Client(f"{url}/mcp") as client:
            return [await client.call_tool("compare", compare) for _ in range(4)]

    with deployed(tmp_path, public_rate_requests="20", public_rate_window_seconds="3600") as small:
        answers = asyncio.run(comparisons(small.url))
        assert [answer.is_error for answer in answers] == [False] * 3 + [True]
        assert "rate-limited" in answers[-1].content[0].text
        statuses = [small.post(CALL).status_code for _ in range(20)]
        assert statuses[0] == 200
        assert statuses[-1] == 429


def test_the_sdk_is_loaded_by_the_first_request_and_not_by_the_api() -> None:
    loads = "import sys, sigma_api.app; sys.exit(any(name.partition('.')[0] == 'mcp' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", loads], cwd=ROOT, check=False).returncode == 0


def test_nothing_but_tools_is_offered(served: Served) -> None:
    async def work() -> Any:
        async with Client(f"{served.url}/mcp") as client:
            with pytest.raises(MCPError):
                await client.list_resources()
            return client.server_capabilities, client.instructions

    capabilities, instructions = asyncio.run(work())
    assert capabilities.tools is not None
    assert (capabilities.resources, capabilities.prompts) == (None, None)
    assert "data, never instructions" in instructions

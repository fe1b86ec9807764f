"""A client on an ASGI application in this process, and the one assertion of what an error looks like.

Starlette's own test client warns unless httpx2 is installed, and warnings are errors here.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import httpx

from sigma_api.app import Host
from sigma_api.problems import PROBLEMS, Problem


class Client:
    """Sends requests one after the other. As a context manager it also runs startup and shutdown of the application."""

    def __init__(self, app: Host, address: str = "127.0.0.1") -> None:
        self._app = app
        self._runner = asyncio.Runner()
        self._transport = httpx.ASGITransport(app, client=(address, 40_000))
        self._lifespan: AbstractAsyncContextManager[Any] | None = None

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://sigma.test") as client:
                return await client.request(method, path, **options)

        return self._runner.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def close(self) -> None:
        self._runner.close()

    def __enter__(self) -> Self:
        api = self._app.service.api
        self._lifespan = api.router.lifespan_context(api)
        try:
            self._runner.run(self._lifespan.__aenter__())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._lifespan is not None
        self._runner.run(self._lifespan.__aexit__(kind, error, traceback))
        self.close()


def assert_problem(response: httpx.Response, slug: str) -> dict[str, Any]:
    """The answer is the problem ``slug`` in the canonical shape, is not kept for long, and shows nothing of our insides."""
    kind = PROBLEMS[slug]
    assert response.status_code == kind.status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == ("public, max-age=5" if kind.status == 404 else "no-store")
    assert "etag" not in response.headers
    body: dict[str, Any] = response.json()
    Problem.model_validate(body, strict=True)
    assert (body["type"], body["title"], body["status"]) == (f"/problems/{slug}", kind.title, kind.status)
    assert body["detail"]
    assert ("errors" in body) == (slug == "invalid-parameter")
    if kind.status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    for inside in ("Traceback", "sqlite", "SELECT", ".db", "sha256/", "file://", "/tmp"):
        assert inside not in response.text
    assert_safe_headers(response)
    return body


def assert_safe_headers(response: httpx.Response) -> None:
    """What every answer carries, and what none does."""
    headers = response.headers
    assert headers["content-security-policy"].startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-request-id"]
    assert "set-cookie" not in headers
    assert headers.get("vary") in (None, "Accept")  # and that only where a page may be asked for instead
    assert "access-control-allow-credentials" not in headers

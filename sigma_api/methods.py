"""HEAD and OPTIONS for every route, and an ``Allow`` header that names all the methods of a path (RFC 9110 section 9.3)."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def allow_header(api: FastAPI, path: str) -> str:
    """The methods that ``api`` serves at ``path``, over all its routes; empty where none has that path."""
    methods: set[str] = set()
    for context in iter_route_contexts(api.routes):
        if context.path is not None and compile_path(context.path)[0].match(path):
            methods |= context.methods or set()
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods | {"OPTIONS"})) if methods else ""


class Methods:
    """Answers OPTIONS, and HEAD as GET without its body; ``options_headers`` are what a plane adds to its OPTIONS answers."""

    def __init__(self, app: ASGIApp, api: FastAPI, options_headers: Mapping[str, str]) -> None:
        self._app = app
        self._api = api
        self._options_headers = options_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, _without_body(send))
        elif (
            scope["type"] == "http"
            and scope["method"] == "OPTIONS"
            and (allow := allow_header(self._api, scope["path"]))
        ):
            await Response(status_code=204, headers={"Allow": allow, **self._options_headers})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head

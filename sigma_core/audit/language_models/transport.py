"""The one place from which an audit reaches out: a POST, bounded in size, never redirected, never decompressed.

What a provider sends along is not kept: no cookie goes back to it, and httpx's own loggers, which at DEBUG repeat response headers, are
held at WARNING, since a proxy may answer with the request's headers and the key among them.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from sigma_core.audit.language_models.families import LOOPBACK

CONNECT_SECONDS = 10.0
POOLS_PER_HOST = 8
"""httpcore looks at every connection of a pool at every request, so that many small pools take less than a large one."""

KEPT_HEADERS = ("retry-after", "content-type")
_OK = 200

for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class TransportFault(Exception):
    """No whole response. ``code`` is one of ``connect``, ``reset``, ``too_large``, ``encoded``; ``billed`` is False where
    nothing can have reached the model, else None. There is no text from outside in it."""

    def __init__(self, code: str, *, billed: bool | None, status: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.billed = billed
        self.status = status


class HttpTransport:
    """Connections to providers, kept open between calls. Use and close it on one event loop."""

    def __init__(self) -> None:
        self._tls = httpx.create_ssl_context()
        self._pools: dict[tuple[str | None, int], httpx.AsyncClient] = {}
        self._calls = itertools.count()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, max_bytes: int) -> Response:
        """Send ``body`` and read at most ``max_bytes``. Raises TransportFault.

        Where the status is another than 200 it says enough: a body that cannot be read is then empty.
        """
        client = self._pool(urlsplit(url).hostname)
        status: int | None = None
        try:
            async with client.stream("POST", url, headers=dict(headers), content=body) as response:
                status = response.status_code
                kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
                try:
                    return Response(status, kept, await _read(response, max_bytes))
                except (TransportFault, httpx.HTTPError, httpx.StreamError):
                    if status == _OK:
                        raise
                    return Response(status, kept, b"")
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise TransportFault("connect", billed=False) from None
        except (httpx.HTTPError, httpx.StreamError, OSError):  # OSError: what httpx passes on of TLS
            raise TransportFault("reset", billed=None, status=status) from None
        finally:
            client.cookies.clear()

    async def close(self) -> None:
        """Close every connection."""
        for client in self._pools.values():
            await client.aclose()

    def _pool(self, host: str | None) -> httpx.AsyncClient:
        key = (host, next(self._calls) % POOLS_PER_HOST)
        if key not in self._pools:
            self._pools[key] = httpx.AsyncClient(
                verify=self._tls,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
                # The caller's deadline covers the whole exchange.
                timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
                follow_redirects=False,
                trust_env=host not in LOOPBACK,  # a proxy is for what is beyond this machine
            )
        return self._pools[key]


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise TransportFault("encoded", billed=None, status=response.status_code)
    received = bytearray()
    async for part in response.aiter_raw():
        received += part
        if len(received) > max_bytes:
            raise TransportFault("too_large", billed=None, status=response.status_code)
    return bytes(received)

"""Fetching a URL that somebody else chose: one small document over https, from the public internet only.

Every address that a name resolves to must be public, the connection goes to an address that was checked and not to the name again, each
redirect is checked like a first URL, and size and time are bounded for the whole fetch. Proxies of the environment are not used:
they would resolve the name themselves.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from sigma_core.errors import ExitCode, SigmaError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""(host, port) to addresses, as text."""

MAX_URL = 2_048
DEFAULT_PORTS = {"https": 443, "http": 80}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CHUNK = 64 * 1024


class FetchError(SigmaError):
    """A fetch that was refused or failed.

    ``code``: URL_INVALID, ADDRESS_REFUSED, REDIRECT_REFUSED, RESPONSE_TOO_LARGE, RESPONSE_REFUSED (negative);
    FETCH_TIMED_OUT, FETCH_FAILED (the other side or the way to it: trying again may help).
    """

    code = "FETCH_FAILED"
    exit_code = ExitCode.UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRules:
    """What one fetch may do. ``also_allowed`` are addresses that are not public and yet may be reached, each named by whoever runs
    this; plain http is for those only."""

    max_bytes: int
    seconds: float = 10.0
    max_redirects: int = 3
    also_allowed: frozenset[str] = frozenset()
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer of the last URL: status 200, its media type without parameters, its body."""

    url: str
    media_type: str
    body: bytes = field(repr=False)


def fetch(url: str, rules: FetchRules, *, resolve: Resolve | None = None) -> Fetched:
    """GET ``url``. Raises FetchError."""
    deadline = _Deadline(rules.seconds)
    for _ in range(rules.max_redirects + 1):
        parts = _checked_url(url)
        answer = _get(parts, rules, deadline, resolve or _resolve)
        if isinstance(answer, Fetched):
            return answer
        target = urljoin(url, answer)
        if parts.scheme == "https" and not target.lower().startswith("https:"):
            raise _refused("REDIRECT_REFUSED", url, "redirects from https to something else")
        url = target
    raise _refused("REDIRECT_REFUSED", url, f"more than {rules.max_redirects} redirects")


def is_public(address: Address) -> bool:
    """Whether ``address`` is one of the public internet, whatever it is wrapped in (IPv4 in IPv6, 6to4, Teredo, NAT64)."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if any(each is not None and not is_public(each) for each in inner):
            return False
        if address in _NAT64:
            return True
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_unspecified


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _refused(code: str, url: str, rule: str) -> FetchError:
    error = FetchError(f"{ascii(url[:200])[1:-1]}: {rule}", code=code)
    error.exit_code = ExitCode.NEGATIVE
    return error


def _failed(url: str, why: str, code: str = "FETCH_FAILED") -> FetchError:
    return FetchError(f"{ascii(url[:200])[1:-1]}: {why}", code=code)


class _Deadline:
    """The end of a fetch; every wait of it gets what is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds. Raises TimeoutError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _checked_url(url: str) -> SplitResult:
    """``url`` in parts when nothing in it can be read in two ways."""
    if len(url) > MAX_URL or not url.isascii() or any(sign <= " " or sign in '\\"<>^`{|}\x7f' for sign in url):
        raise _refused("URL_INVALID", url, f"not a URL of at most {MAX_URL} plain ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("URL_INVALID", url, "not a URL") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise _refused("URL_INVALID", url, "only https is fetched")
    if not parts.hostname or "@" in parts.netloc or "%" in parts.netloc or port == 0:
        raise _refused("URL_INVALID", url, "a host and no user name, password or escape before the path")
    return parts


def _get(parts: SplitResult, rules: FetchRules, deadline: _Deadline, resolve: Resolve) -> Fetched | str:
    """One request: the answer, or where it redirects to."""
    url = parts.geturl()
    host, port = str(parts.hostname), parts.port or DEFAULT_PORTS[parts.scheme]
    try:
        addresses = _checked_addresses(url, host, port, rules, deadline, resolve)
        if parts.scheme == "http" and not all(str(each) in rules.also_allowed for each in addresses):
            raise _refused("URL_INVALID", url, "only https is fetched")
        with _connected(addresses, port, deadline) as plain:
            if parts.scheme == "https":
                context = rules.tls or ssl.create_default_context()
                plain.settimeout(deadline.left())
                with context.wrap_socket(plain, server_hostname=host) as secured:
                    return _exchange(secured, parts, rules, deadline)
            return _exchange(plain, parts, rules, deadline)
    except TimeoutError:
        raise _failed(url, f"took longer than {rules.seconds:g} seconds", "FETCH_TIMED_OUT") from None
    except ssl.SSLCertVerificationError as error:
        raise _refused("RESPONSE_REFUSED", url, f"its TLS certificate does not hold: {error.verify_message}") from None
    except (http.client.HTTPException, ValueError):
        raise _refused("RESPONSE_REFUSED", url, "the answer is not HTTP") from None
    except OSError as error:
        raise _failed(url, error.strerror or type(error).__name__) from None


def _checked_addresses(
    url: str, host: str, port: int, rules: FetchRules, deadline: _Deadline, resolve: Resolve
) -> list[Address]:
    """The addresses of ``host``, all of them allowed: one that is not among several that are is an attack, not a spare."""
    texts = _within(deadline, lambda: resolve(host, port))
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in texts]
    if not addresses:
        raise _failed(url, "its host has no address")
    for address in addresses:
        if not is_public(address) and str(address) not in rules.also_allowed:
            raise _refused("ADDRESS_REFUSED", url, f"its host is at {address}, which is not a public address")
    return addresses


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _within(deadline: _Deadline, work: Callable[[], Sequence[str]]) -> Sequence[str]:
    """``work`` in a thread of its own: the system's resolver knows no time limit, and is left behind when it takes too long."""
    done: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put(work())
        except Exception as error:  # raised again in the caller's thread
            done.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        result = done.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(result, socket.gaierror):
        raise OSError(None, "its host is not known")
    if isinstance(result, Exception):
        raise result
    return result


def _connected(addresses: Sequence[Address], port: int, deadline: _Deadline) -> socket.socket:
    """A connection to the first of ``addresses`` that takes one: to the address itself, so that no second look-up can lead elsewhere."""
    last: OSError = OSError(None, "no address")
    for address in addresses[:4]:
        try:
            return socket.create_connection((str(address), port), timeout=deadline.left())
        except TimeoutError:
            raise
        except OSError as error:
            last = error
    raise last


def _exchange(connection: socket.socket, parts: SplitResult, rules: FetchRules, deadline: _Deadline) -> Fetched | str:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = (
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json, */*;q=0.1\r\n"
        "Accept-Encoding: identity\r\nUser-Agent: sigma-verify\r\nConnection: close\r\n\r\n"
    )
    connection.settimeout(deadline.left())
    connection.sendall(request.encode("ascii"))
    response = http.client.HTTPResponse(_Bounded(connection, deadline))  # type: ignore[arg-type]
    response.begin()
    url = parts.geturl()
    if response.status in REDIRECTS:
        location = response.getheader("Location")
        if not location:
            raise _refused("REDIRECT_REFUSED", url, "a redirect that leads nowhere")
        return location
    if response.status != 200:
        raise _failed(url, f"answered with status {response.status}")
    encoding = response.getheader("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise _refused("RESPONSE_REFUSED", url, "a compressed answer that was not asked for")
    body = _body(response, url, rules)
    media_type = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    return Fetched(url, media_type, body)


def _body(response: http.client.HTTPResponse, url: str, rules: FetchRules) -> bytes:
    declared = response.length
    if declared is not None and declared > rules.max_bytes:
        raise _refused("RESPONSE_TOO_LARGE", url, f"{declared} bytes, more than {rules.max_bytes}")
    chunks, size = [], 0
    while chunk := response.read(CHUNK):
        size += len(chunk)
        if size > rules.max_bytes:
            raise _refused("RESPONSE_TOO_LARGE", url, f"more than {rules.max_bytes} bytes")
        chunks.append(chunk)
    if declared is not None and size != declared:
        raise _failed(url, f"{size} of {declared} bytes came")
    return b"".join(chunks)


class _Bounded(io.RawIOBase):
    """A connection as a file whose every read ends by the deadline: one byte at a time is no way around it."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """At least one byte, or 0 at the end."""
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv_into(buffer)

    def makefile(self, *_arguments: Any, **_options: Any) -> io.BufferedReader:
        """What `http.client` asks a socket for."""
        return io.BufferedReader(self)

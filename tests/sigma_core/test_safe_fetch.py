"""Fetching what a stranger's URL names: only from public addresses, only so much, only so long."""

from __future__ import annotations

import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sigma_core.errors import ExitCode
from sigma_core.safe_fetch import Fetched, FetchError, FetchRules, fetch, is_public

LOOPBACK = frozenset({"127.0.0.1"})
RULES = FetchRules(max_bytes=10_000, seconds=5, also_allowed=LOOPBACK)
Handler = Callable[[socket.socket, bytes], None]


@contextmanager
def server(handle: Handler, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback that gives each connection and its request to ``handle``."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(5)
                    talk = tls.wrap_socket(connection, server_side=True) if tls else connection
                    handle(talk, talk.recv(65_536))
                    if tls:
                        talk.close()
                except OSError:
                    pass

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(6)


def answer(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "", length: int | None = None) -> Handler:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode()
    return lambda connection, _request: connection.sendall(head + body)


def redirect(location: str, status: str = "302 Found") -> Handler:
    return answer(b"", status=status, headers=f"Location: {location}\r\n")


def get(port: int, path: str = "/", rules: FetchRules = RULES) -> Fetched:
    return fetch(f"http://127.0.0.1:{port}{path}", rules)


def refused(url: str, rules: FetchRules = RULES, **options: object) -> FetchError:
    with pytest.raises(FetchError) as error:
        fetch(url, rules, **options)  # type: ignore[arg-type]
    return error.value


# What is fetched


def test_a_document_is_fetched_with_its_media_type() -> None:
    seen: list[bytes] = []

    def handle(connection: socket.socket, request: bytes) -> None:
        seen.append(request)
        answer(b'{"a":1}', headers="Content-Type: application/json; charset=utf-8\r\n")(connection, request)

    with server(handle) as port:
        found = get(port, "/x?y=1")
        assert (found.body, found.media_type) == (b'{"a":1}', "application/json")
        assert seen[0].startswith(b"GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port)
        assert b"Accept-Encoding: identity\r\n" in seen[0]


def test_a_chunked_answer_is_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server(lambda connection, _: connection.sendall(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) as port:
        assert get(port).body == b"abcde"


def test_a_redirect_is_followed_and_checked_like_a_first_url() -> None:
    with server(answer(b"there")) as there, server(redirect(f"http://127.0.0.1:{there}/there")) as here:
        found = get(here)
        assert (found.body, found.url) == (b"there", f"http://127.0.0.1:{there}/there")


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
        "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_an_address_that_is_not_public_is_refused_whatever_it_is_wrapped_in(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    error = refused("https://name.example/", FetchRules(max_bytes=1), resolve=lambda _host, _port: [address])
    assert (error.code, error.exit_code) == ("ADDRESS_REFUSED", ExitCode.NEGATIVE)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    assert refused("https://name.example/", resolve=lambda *_: ["8.8.8.8", "10.0.0.1"]).code == "ADDRESS_REFUSED"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "0177.0.0.1"])
def test_spellings_of_this_machine_are_refused_without_an_allowance(host: str) -> None:
    error = refused(f"https://{host}:1/", FetchRules(max_bytes=1, seconds=5))
    assert error.code in ("ADDRESS_REFUSED", "FETCH_FAILED")  # the resolver may refuse such a spelling first


def test_a_name_that_changes_its_address_is_asked_once_and_the_checked_address_is_used() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    with server(answer(b"here")) as port:
        found = fetch(f"http://changes.example:{port}/", RULES, resolve=lambda *_: next(answers))
    assert found.body == b"here"
    assert next(answers) == ["10.0.0.1"]  # nobody asked a second time


def test_a_redirect_to_a_private_address_is_refused() -> None:
    with server(redirect("https://10.0.0.1/latest/meta-data")) as port:
        assert refused(f"http://127.0.0.1:{port}/").code == "ADDRESS_REFUSED"


def test_a_redirect_in_a_circle_ends() -> None:
    asked: list[bytes] = []

    def circle(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        redirect("/again")(connection, request)

    with server(circle) as port:
        assert refused(f"http://127.0.0.1:{port}/").code == "REDIRECT_REFUSED"
    assert len(asked) == RULES.max_redirects + 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "//"])
def test_a_redirect_to_another_scheme_is_refused(location: str) -> None:
    with server(redirect(location)) as port:
        assert refused(f"http://127.0.0.1:{port}/").code in ("URL_INVALID", "REDIRECT_REFUSED")


def test_a_redirect_that_leads_nowhere_is_refused() -> None:
    with server(answer(b"", status="301 Moved")) as port:
        assert refused(f"http://127.0.0.1:{port}/").code == "REDIRECT_REFUSED"


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "",
        "certificate",
        "ftp://example.org/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@example.org/",
        "https://user:secret@example.org/",
        "https://example.org\\@127.0.0.1/",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://exam ple.org/",
        "https://example.org/\r\nHost: other",
        "https://example.org/\x00",
        "https://exämple.org/",
        "https://127.0.0.1%2f.example.org/",
        "https://[::1",
        "https://example.org/" + "a" * 3_000,
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_refused_before_any_look_up(url: str) -> None:
    def never(_host: str, _port: int) -> list[str]:
        raise AssertionError("looked up")

    assert refused(url, resolve=never).code == "URL_INVALID"


def test_plain_http_is_for_allowed_addresses_only() -> None:
    assert refused("http://name.example/", resolve=lambda *_: ["8.8.8.8"]).code == "URL_INVALID"


# Size, form and time


def test_an_answer_that_is_declared_too_large_is_not_read() -> None:
    with server(answer(b"", length=10**12)) as port:
        assert refused(f"http://127.0.0.1:{port}/").code == "RESPONSE_TOO_LARGE"


def test_an_endless_answer_ends_at_the_limit() -> None:
    def endless(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with server(endless) as port:
        assert refused(f"http://127.0.0.1:{port}/").code == "RESPONSE_TOO_LARGE"


def test_an_endless_chunked_answer_ends_at_the_limit() -> None:
    def endless(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")

    with server(endless) as port:
        assert refused(f"http://127.0.0.1:{port}/").code == "RESPONSE_TOO_LARGE"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
def test_a_compressed_answer_is_refused_and_never_unpacked(encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))[:9_000]
    with server(answer(bomb, headers=f"Content-Encoding: {encoding}\r\n")) as port:
        assert refused(f"http://127.0.0.1:{port}/").code == "RESPONSE_REFUSED"


def test_an_answer_that_is_cut_off_is_a_failure() -> None:
    with server(answer(b"half", length=8)) as port:
        assert refused(f"http://127.0.0.1:{port}/").exit_code is ExitCode.UNAVAILABLE


@pytest.mark.parametrize(
    "reply", [b"", b"SSH-2.0-OpenSSH_9.7\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200]
)
def test_what_is_not_http_is_refused(reply: bytes) -> None:
    with server(lambda connection, _: connection.sendall(reply)) as port:
        assert refused(f"http://127.0.0.1:{port}/").code in ("RESPONSE_REFUSED", "FETCH_FAILED")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content"])
def test_another_status_is_a_failure_that_names_it(status: str) -> None:
    with server(answer(b"", status=status)) as port:
        error = refused(f"http://127.0.0.1:{port}/")
    assert (error.code, status[:3] in error.message) == ("FETCH_FAILED", True)


def test_one_byte_at_a_time_does_not_get_around_the_deadline() -> None:
    def dribble(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(100):
            connection.sendall(b"y")
            time.sleep(0.05)

    with server(dribble) as port:
        error = refused(f"http://127.0.0.1:{port}/", FetchRules(max_bytes=10, seconds=0.4, also_allowed=LOOPBACK))
    assert error.code == "FETCH_TIMED_OUT"


def test_a_resolver_that_hangs_does_not_hang_us() -> None:
    hang = threading.Event()
    try:
        error = refused(
            "https://name.example/", FetchRules(max_bytes=1, seconds=0.2), resolve=lambda *_: [str(hang.wait(20))]
        )
    finally:
        hang.set()
    assert error.code == "FETCH_TIMED_OUT"


def test_nobody_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert refused(f"http://127.0.0.1:{port}/").code == "FETCH_FAILED"


# TLS


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server named ``name.example`` and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "name.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("name.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cadata=certificate.public_bytes(Encoding.PEM).decode())


def test_the_server_must_prove_the_name_that_was_asked_for(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    serving, trusting = tls
    rules = FetchRules(max_bytes=100, also_allowed=LOOPBACK, tls=trusting)
    with server(answer(b"secured"), serving) as port:
        found = fetch(f"https://name.example:{port}/", rules, resolve=lambda *_: ["127.0.0.1"])
        assert found.body == b"secured"
        other = refused(f"https://other.example:{port}/", rules, resolve=lambda *_: ["127.0.0.1"])
        assert other.code == "RESPONSE_REFUSED"
        assert (
            refused(f"https://127.0.0.1:{port}/", RULES).code == "RESPONSE_REFUSED"
        )  # a certificate nobody vouches for


def test_a_redirect_from_https_to_http_is_refused(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    serving, trusting = tls
    rules = FetchRules(max_bytes=100, also_allowed=LOOPBACK, tls=trusting)
    with server(redirect("http://127.0.0.1/"), serving) as port:
        assert (
            refused(f"https://name.example:{port}/", rules, resolve=lambda *_: ["127.0.0.1"]).code == "REDIRECT_REFUSED"
        )

"""A drand relay on loopback: the recorded round of the public network, and a network of our own that signs like any other."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# py_ecc raises the recursion limit of the whole process, and so of every later test, when it is imported.
_RECURSION_LIMIT = sys.getrecursionlimit()
from py_ecc.bls.hash_to_curve import hash_to_G1  # noqa: E402
from py_ecc.bls.point_compression import compress_G1, compress_G2  # noqa: E402
from py_ecc.optimized_bls12_381 import G2, multiply  # noqa: E402

sys.setrecursionlimit(_RECURSION_LIMIT)

from sigma_core.assembly.drand import QUICKNET, DrandChain  # noqa: E402

# Round 1000 of quicknet, as its relays serve it; recorded in several public projects' tests.
ROUND_1000 = {
    "round": 1000,
    "randomness": "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",
    "signature": "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
}
SECRET = 987_654_321


def own_network(*, period_seconds: int, genesis: datetime) -> DrandChain:
    """A network whose one node is this test."""
    key = "".join(f"{part:096x}" for part in compress_G2(multiply(G2, SECRET)))
    return DrandChain(key, period_seconds, int(genesis.timestamp()), "00" * 32, "ours")


def signed(round_number: int) -> dict[str, object]:
    """What a relay of `own_network` serves for a round."""
    message = hashlib.sha256(round_number.to_bytes(8, "big")).digest()
    point = multiply(hash_to_G1(message, b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_", hashlib.sha256), SECRET)  # type: ignore[arg-type]
    signature = compress_G1(point).to_bytes(48, "big")
    return {
        "round": round_number,
        "randomness": hashlib.sha256(signature).hexdigest(),
        "signature": signature.hex(),
    }


def policy_section(chain: DrandChain) -> str:
    """``[beacon.drand]`` of a policy that draws from ``chain``."""
    return (
        f'[beacon.drand]\nchain_hash = "{chain.id}"\npublic_key = "{chain.public_key}"\n'
        f"period_seconds = {chain.period_seconds}\ngenesis_time = {chain.genesis_time}\n"
        f'group_hash = "{chain.group_hash}"\nbeacon_id = "{chain.beacon_id}"\n'
    )


@dataclass
class Relay:
    """A running relay. ``faults`` are bodies that are served, in order, before anything true; None is a 500."""

    url: str
    own: DrandChain | None
    asked: list[str] = field(default_factory=list)
    faults: list[bytes | None] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        self.asked.append(path)
        if self.faults:
            fault = self.faults.pop(0)
            return (500, b"") if fault is None else (200, fault)
        chain, _, number = path.strip("/").partition("/public/")
        if chain == QUICKNET.id and number == "1000":
            return 200, json.dumps(ROUND_1000).encode()
        if self.own is not None and chain == self.own.id and self.own.signed_at(int(number)) <= datetime.now(UTC):
            return 200, json.dumps(signed(int(number))).encode()
        return 425, b""


@contextmanager
def relaying(own: DrandChain | None = None) -> Iterator[Relay]:
    """A relay of quicknet's recorded round, and of ``own``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = relay.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    relay = Relay(f"http://127.0.0.1:{server.server_address[1]}", own)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

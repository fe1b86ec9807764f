"""drand as beacon: a recorded round of the public network, checked offline, and every way in which a relay can lie."""
# ruff: noqa: E402

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

# py_ecc raises the recursion limit of the whole process, and so of every test after this module, when it is imported.
RECURSION_LIMIT = sys.getrecursionlimit()
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import compress_G1, compress_G2
from py_ecc.optimized_bls12_381 import G2, multiply

sys.setrecursionlimit(RECURSION_LIMIT)

from sigma_core.assembly.beacon import BeaconError, BeaconValue, NotYet
from sigma_core.assembly.drand import QUICKNET, DrandBeacon, DrandChain
from sigma_core.errors import Unavailable

# Round 1000 of quicknet, as its relays serve it; recorded in several public projects' tests.
ROUND_1000 = {
    "round": 1000,
    "randomness": "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd",
    "signature": "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39",
}
VALUE_1000 = BeaconValue(QUICKNET.id, 1000, ROUND_1000["randomness"], ROUND_1000["signature"])
SIGNED_AT = datetime.fromtimestamp(1_692_803_367 + 999 * 3, UTC)


def relay(answer: object) -> DrandBeacon:
    body = answer if isinstance(answer, bytes) or answer is None else json.dumps(answer).encode()
    return DrandBeacon(QUICKNET, fetch=lambda _: body, now=lambda: SIGNED_AT)


def test_the_chain_hash_follows_from_the_public_description() -> None:
    assert QUICKNET.id == "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"


def test_a_recorded_round_verifies_offline() -> None:
    assert relay(ROUND_1000).value(1000) == VALUE_1000


def test_verifying_leaves_the_recursion_limit_as_it_was_so_that_deep_json_stays_an_error() -> None:
    code = (
        "import sys; before = sys.getrecursionlimit()\n"
        "from sigma_core.assembly.drand import QUICKNET\n"
        "from sigma_core.assembly.beacon import BeaconValue\n"
        f"QUICKNET.verify(BeaconValue(QUICKNET.id, 1000, {ROUND_1000['randomness']!r}, {ROUND_1000['signature']!r}))\n"
        "assert 'py_ecc' in sys.modules and sys.getrecursionlimit() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_recorded_signature_verifies_for_no_other_round() -> None:
    with pytest.raises(BeaconError, match="round 1001: the signature does not verify"):
        QUICKNET.verify(replace(VALUE_1000, round=1001))


def test_the_recorded_signature_verifies_under_no_other_key() -> None:
    own = compress_G2(multiply(G2, 12345))
    chain = replace(QUICKNET, public_key="".join(f"{part:096x}" for part in own))
    with pytest.raises(BeaconError, match="does not verify"):
        chain.verify(replace(VALUE_1000, chain_id=chain.id))


def test_another_networks_rounds_verify_by_its_own_key() -> None:
    # A key pair of this test, in the place of a network's; the scheme is the same.
    secret = 987_654_321
    key = "".join(f"{part:096x}" for part in compress_G2(multiply(G2, secret)))
    chain = DrandChain(key, 30, 1_700_000_000, "00" * 32, "default")
    message = hashlib.sha256((7).to_bytes(8, "big")).digest()
    point = multiply(hash_to_G1(message, b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_", hashlib.sha256), secret)
    signature = compress_G1(point).to_bytes(48, "big")
    value = BeaconValue(chain.id, 7, hashlib.sha256(signature).hexdigest(), signature.hex())
    chain.verify(value)


def test_points_at_infinity_prove_nothing() -> None:
    # With both points at infinity the pairing equation holds for every message.
    infinity = "c0" + "00" * 47
    chain = replace(QUICKNET, public_key="c0" + "00" * 95)
    value = BeaconValue(chain.id, 5, hashlib.sha256(bytes.fromhex(infinity)).hexdigest(), infinity)
    with pytest.raises(BeaconError, match="does not verify"):
        chain.verify(value)


def test_a_signature_that_is_no_point_of_the_curve_is_refused() -> None:
    signature = "80" + "00" * 46 + "01"
    value = BeaconValue(QUICKNET.id, 1000, hashlib.sha256(bytes.fromhex(signature)).hexdigest(), signature)
    with pytest.raises(BeaconError, match="does not verify"):
        QUICKNET.verify(value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ROUND_1000 | {"round": 1001}, "another round"),
        (ROUND_1000 | {"round": "1000"}, "another round"),
        (ROUND_1000 | {"round": True}, "another round"),
        (ROUND_1000 | {"randomness": "00" * 32}, "not the SHA-256"),
        (ROUND_1000 | {"signature": "00"}, "96 hex digits"),
        (ROUND_1000 | {"signature": None}, "lacks"),
        ({"round": 1000}, "lacks"),
        ([], "another round"),
        (b"<html>busy</html>", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b" " * 5000, "more than 4096 bytes"),
    ],
)
def test_a_relay_that_answers_anything_else_is_refused(answer: object, message: str) -> None:
    with pytest.raises(BeaconError, match=message):
        relay(answer).value(1000)


def test_a_round_that_the_relay_does_not_have_is_not_yet() -> None:
    assert relay(None).value(1001) == NotYet(1001)


def test_a_value_of_another_chain_or_below_round_one_is_refused() -> None:
    with pytest.raises(BeaconError, match="another chain"):
        QUICKNET.verify(replace(VALUE_1000, chain_id="00" * 32))
    with pytest.raises(BeaconError, match="start at 1"):
        QUICKNET.verify(replace(VALUE_1000, round=0))


def test_the_next_round_is_signed_after_now_even_if_the_clock_is_behind() -> None:
    exact = replace(relay(None), max_clock_skew_seconds=0)
    # Round 1000 is signed at this very second, so the first one that does not exist yet is 1001.
    assert exact.next_round() == 1001
    assert relay(None).next_round() == 1003
    early = replace(exact, now=lambda: datetime(2000, 1, 1, tzinfo=UTC))
    assert early.next_round() == 1


@pytest.mark.parametrize(
    "changed", [{"public_key": "00"}, {"group_hash": "xyz"}, {"period_seconds": 0}, {"genesis_time": -1}]
)
def test_a_chain_description_with_a_broken_field_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(BeaconError):
        replace(QUICKNET, **changed)


def test_without_py_ecc_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_ecc.bls.g2_primitives", None)
    with pytest.raises(Unavailable, match=r"py_ecc.*chain"):
        QUICKNET.verify(VALUE_1000)

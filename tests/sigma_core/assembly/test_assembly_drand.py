"""drand as beacon: a recorded round of the public network, checked offline, and every way in which a relay can lie."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sigma_core.assembly.beacon import BeaconError, BeaconValue
from sigma_core.assembly.drand import QUICKNET, relayed_value
from sigma_core.errors import Unavailable
from sigma_core.policy import Policy
from tests.drand_relay import ROUND_1000, own_network, signed

VALUE_1000 = BeaconValue(QUICKNET.id, 1000, str(ROUND_1000["randomness"]), str(ROUND_1000["signature"]))
GENESIS = datetime.fromtimestamp(1_692_803_367, UTC)
SIGNED_AT = GENESIS + timedelta(seconds=999 * 3)


def relayed(answer: object, round_number: int = 1000) -> BeaconValue:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return relayed_value(QUICKNET, round_number, body)


def test_the_chain_hash_follows_from_the_public_description() -> None:
    assert QUICKNET.id == "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"


def test_a_recorded_round_verifies_offline() -> None:
    assert relayed(ROUND_1000) == VALUE_1000


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
    chain = replace(QUICKNET, public_key=own_network(period_seconds=3, genesis=GENESIS).public_key)
    with pytest.raises(BeaconError, match="does not verify"):
        chain.verify(replace(VALUE_1000, chain_id=chain.id))


def test_another_networks_rounds_verify_by_its_own_key() -> None:
    answer = json.dumps(signed(7)).encode()
    assert relayed_value(own_network(period_seconds=30, genesis=GENESIS), 7, answer).round == 7


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
        relayed(answer)


def test_a_value_of_another_chain_or_below_round_one_is_refused() -> None:
    with pytest.raises(BeaconError, match="another chain"):
        QUICKNET.verify(replace(VALUE_1000, chain_id="00" * 32))
    with pytest.raises(BeaconError, match="start at 1"):
        QUICKNET.verify(replace(VALUE_1000, round=0))


def test_the_first_round_after_a_moment_is_signed_later_and_not_at_it() -> None:
    assert QUICKNET.signed_at(1000) == SIGNED_AT
    assert QUICKNET.first_round_after(int(SIGNED_AT.timestamp())) == 1001
    assert QUICKNET.first_round_after(0) == 1


def test_the_default_policy_names_the_public_network(policy: Policy) -> None:
    network = policy.beacon.drand
    assert network is not None
    assert network.chain_hash == QUICKNET.id
    assert replace(QUICKNET, **network.model_dump(exclude={"chain_hash"})) == QUICKNET


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

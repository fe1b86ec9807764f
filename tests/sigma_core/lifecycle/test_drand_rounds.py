"""A deployment that draws from drand: bound before the round exists, fetched when it is due, verified, kept, replayed; never drawn otherwise."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from issued import decided_round, issued
from sqlalchemy import func, select

from sigma_core.assembly.drand import QUICKNET
from sigma_core.certificates.verify import open_bundle
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError, Unavailable
from sigma_core.lifecycle import beacon, drand_relays
from sigma_core.lifecycle.beacon import BeaconNotDue, beacon_value
from sigma_core.lifecycle.drand_relays import BeaconUnreachable, ask_relays
from sigma_core.lifecycle.facts import derive_and_keep
from sigma_core.lifecycle.intake import load_submission
from sigma_core.lifecycle.panels import Run, bind_rounds, open_round
from sigma_core.lifecycle.replay import public_document, replay_kept_round, replay_public_document
from sigma_core.policy import DEFAULT_POLICY_FILE, PolicyError
from sigma_core.storage.protocol import BeaconChainRow, BeaconValueRow, DrandRoundRow, RoundRow
from sigma_core.submissions.package import Package
from tests.drand_relay import ROUND_1000, Relay, own_network, policy_section, relaying

Make = Callable[..., Deployment]
Submitted = Callable[..., str]
BEFORE_ROUND_1000 = QUICKNET.signed_at(999) - timedelta(seconds=6)  # with a clock that may be six seconds behind


@pytest.fixture
def relay() -> Iterator[Relay]:
    with relaying() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drand_relays, "PAUSE_SECONDS", 0)


@pytest.fixture
def deployment(home: Path, make_deployment: Make, relay: Relay) -> Deployment:
    return make_deployment(beacon="drand", drand_urls=f"{relay.url}/, {relay.url}/spare")


@pytest.fixture
def submission(submitted: Submitted, honest: Package, monkeypatch: pytest.MonkeyPatch) -> str:
    """Submitted three seconds before round 999 of quicknet was signed, so that round 1000 is the first that nobody can know."""
    with monkeypatch.context() as patch:
        patch.setattr(beacon, "utc_now", lambda: BEFORE_ROUND_1000)
        return submitted(honest)


def test_a_submission_is_bound_to_the_first_round_that_does_not_exist_yet(
    deployment: Deployment, submission: str
) -> None:
    row = load_submission(deployment, submission)
    assert (row.beacon_chain, row.beacon_round) == (QUICKNET.id, 1000)
    with deployment.read_sessions() as session:
        assert session.scalar(select(func.count()).select_from(BeaconChainRow)) == 0


def test_a_round_is_drawn_from_the_recorded_round_certified_and_replayed_offline(
    deployment: Deployment, submission: str, relay: Relay
) -> None:
    certificate = issued(deployment, submission)
    assert relay.asked == [f"/{QUICKNET.id}/public/1000"]  # once for the whole round
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, certificate.round_id)
        kept = session.get_one(DrandRoundRow, (QUICKNET.id, 1000))
    assert (row.beacon_chain, row.beacon_round, row.beacon_value) == (QUICKNET.id, 1000, ROUND_1000["randomness"])
    assert kept.signature == ROUND_1000["signature"]
    assert json.loads(deployment.blobs.get(kept.answer_sha256)) == ROUND_1000
    bundle = open_bundle(deployment.blobs.get(certificate.bundle_sha256), deployment.trusted_keys)
    sealed = {"chain": QUICKNET.id, "round": 1000, "value": ROUND_1000["randomness"]}
    assert bundle.payload.document["beacon"] == sealed
    replayed = replay_kept_round(deployment, row.id)
    assert replayed.differences == ()
    assert not any("beacon" in line for line in replayed.unchecked)
    assert len(relay.asked) == 1


def test_a_replay_document_with_another_signature_or_key_is_named(deployment: Deployment, submission: str) -> None:
    round_id = decided_round(deployment, submission)
    with deployment.read_sessions() as session:
        document = json.loads(public_document(deployment, session.get_one(RoundRow, round_id)))
    assert document["beacon"]["proof"] == ROUND_1000["signature"]
    for part, name in ((document["beacon"], "proof"), (document["beacon"]["chain"], "publicKey")):
        known = part[name]
        part[name] = known[:-1] + ("0" if known[-1] != "0" else "1")
        assert replay_public_document(json.dumps(document).encode()).differences != ()
        part[name] = known


def test_before_its_time_the_round_says_when_it_is_due_and_asks_nobody(
    deployment: Deployment, submission: str, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    derive_and_keep(deployment, submission)
    run = Run("run-1", "run-1")
    assert bind_rounds(deployment, [submission], run) == QUICKNET.signed_at(1000)
    monkeypatch.setattr(beacon, "utc_now", lambda: BEFORE_ROUND_1000)
    with pytest.raises(BeaconNotDue, match=r"the beacon round 1000 of drand chain 52db.* is due at 2023-08-23T15:"):
        open_round(deployment, submission, run)
    assert relay.asked == []


def test_without_a_relay_the_round_waits_and_is_drawn_from_nothing_else(
    deployment: Deployment, submission: str, relay: Relay
) -> None:
    derive_and_keep(deployment, submission)
    run = Run("run-1", "run-1")
    relay.faults = [None] * 6
    with pytest.raises(BeaconUnreachable, match=r"was due at .* no relay gave it: .*status 500.*drawn from no other"):
        open_round(deployment, submission, run)
    assert len(relay.asked) == 6  # two relays, three turns
    with deployment.read_sessions() as session:
        for table in (RoundRow, BeaconValueRow, DrandRoundRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0
    # As soon as one answers, the same round goes on.
    assert open_round(deployment, submission, run).endswith("_r1")


def test_a_relay_that_lies_is_as_good_as_none(relay: Relay) -> None:
    lie = json.dumps({**ROUND_1000, "round": 1001}).encode()
    forged = json.dumps({**ROUND_1000, "randomness": "00" * 32}).encode()
    relay.faults = [lie, forged, b"<html>", b" " * 5_000]
    relayed = ask_relays([relay.url, f"{relay.url}/b"], QUICKNET, 1000, pause=lambda _: None)
    assert relayed.value.proof == ROUND_1000["signature"]
    assert len(relay.asked) == 5


def test_relays_are_asked_in_turns_with_growing_pauses() -> None:
    pauses: list[float] = []
    with pytest.raises(BeaconUnreachable):
        ask_relays(["http://127.0.0.1:9"], QUICKNET, 1000, pause=pauses.append)
    assert pauses == [drand_relays.PAUSE_SECONDS, drand_relays.PAUSE_SECONDS * 2]


def test_only_an_address_that_the_operator_wrote_may_be_private() -> None:
    with pytest.raises(BeaconUnreachable, match="which is not a public address"):
        ask_relays(["http://localhost:9"], QUICKNET, 1000, turns=1)


def test_a_value_that_was_kept_is_not_fetched_again(deployment: Deployment, submission: str, relay: Relay) -> None:
    first = beacon_value(deployment, QUICKNET.id, 1000)
    relay.faults = [None] * 6
    assert beacon_value(deployment, QUICKNET.id, 1000) == first


def test_what_was_bound_to_the_own_chain_stays_there_after_a_switch_and_the_other_way_round(
    home: Path, make_deployment: Make, relay: Relay, honest: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sigma_core.lifecycle.intake import Provenance, submit
    from sigma_core.submissions.package import SourceType

    provenance = Provenance(SourceType.UPLOAD, "sample", None, "somebody")
    own = make_deployment(beacon="own")
    on_own_chain = submit(own, honest, provenance, scheduled=False)
    drand = make_deployment(beacon="drand", drand_urls=relay.url)
    with monkeypatch.context() as patch:
        patch.setattr(beacon, "utc_now", lambda: BEFORE_ROUND_1000)
        on_drand = submit(drand, honest, provenance, scheduled=False)
    for deployment, submission in ((drand, on_own_chain), (own, on_drand)):
        assert replay_kept_round(deployment, decided_round(deployment, submission)).differences == ()
    assert load_submission(own, on_own_chain).beacon_chain == own.own_beacon(0).chain_id
    assert len(relay.asked) == 1


def test_another_network_is_drawn_from_when_the_policy_names_it(
    home: Path, make_deployment: Make, tmp_path: Path, honest: Package
) -> None:
    network = own_network(period_seconds=1, genesis=QUICKNET.signed_at(1))
    file = tmp_path / "policy.toml"
    text = DEFAULT_POLICY_FILE.read_text()
    start, end = text.index("[beacon.drand]"), text.index("[independence]")
    file.write_text(text[:start] + policy_section(network) + text[end:])
    with relaying(network) as relay:
        deployment = make_deployment(beacon="drand", drand_urls=relay.url, policy_file=str(file))
        value = beacon_value(deployment, network.id, 5)
    assert value.round == 5
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(file.read_text().replace(network.id, "ab" * 32))
    with pytest.raises(PolicyError, match="chain_hash is not the hash of that network"):
        make_deployment(policy_file=str(wrong))
    none = tmp_path / "none.toml"
    none.write_text(text[:start] + text[end:])
    with pytest.raises(PolicyError, match="the policy names no network"):
        make_deployment(policy_file=str(none))


def test_without_py_ecc_a_deployment_with_drand_does_not_open(
    home: Path, make_deployment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name == "py_ecc" or name.startswith("py_ecc.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(Unavailable, match=r"SIGMA_BEACON=drand needs the package py_ecc.*chain"):
        make_deployment(beacon="drand")


def test_a_chain_that_is_not_on_record_is_named(deployment: Deployment) -> None:
    with pytest.raises(SigmaError, match="is not on record here"):
        beacon_value(deployment, "ab" * 32, 1)

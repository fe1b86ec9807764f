"""``sigma verify`` and ``replay``: what holds passes offline, and anything that was changed is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_line import HONEST, Audited, Said

from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.signing_key import load_or_create_signing_key
from sigma_core.lifecycle.opening import open_deployment
from sigma_core.storage.protocol import WeightEpochRow

pytestmark = pytest.mark.usefixtures("audited_home")


def test_the_bundle_verifies_offline_with_its_checks(honest: Audited, sigma: Callable[..., Said]) -> None:
    said = sigma("verify", honest.out, "--json")
    assert said.exit_code == 0
    assert said.json["valid"]
    assert said.json["certificateId"] == honest.report["certificateId"]
    assert said.json["payloadHash"] == honest.report["payloadHash"]
    assert said.json["checks"]
    assert sigma("verify", honest.report["certificateId"]).stdout.startswith("VALID\n")


def test_the_bundle_verifies_where_only_the_published_keys_are(
    honest: Audited, audited_home: Path, home: Path, sigma: Callable[..., Said]
) -> None:
    published = audited_home / "home" / "keys" / "trusted-keys.json"
    assert sigma("verify", honest.out, "--keys", published).exit_code == 0
    missing = sigma("verify", honest.out, "--json")
    assert (missing.exit_code, missing.error["code"]) == (2, "KEY_SET_MISSING")
    assert not home.exists()  # verifying makes no deployment


@pytest.mark.parametrize("per_mille", range(0, 1000, 59))
def test_one_changed_byte_fails_wherever_it_is(
    honest: Audited, sigma: Callable[..., Said], tmp_path: Path, per_mille: int
) -> None:
    content = bytearray(honest.out.read_bytes())
    content[len(content) * per_mille // 1000] ^= 1
    changed = tmp_path / "changed.json"
    changed.write_bytes(content)
    said = sigma("verify", changed, "--json")
    assert said.exit_code == 1
    assert said.error["message"]


def test_the_keys_of_another_issuer_do_not_vouch_for_it(
    honest: Audited, sigma: Callable[..., Said], tmp_path: Path
) -> None:
    other = load_or_create_signing_key(tmp_path / "keys" / "other.pem")
    keys = tmp_path / "other-keys.json"
    keys.write_bytes(KeySet([TrustedKey(other.public_key, valid_from=datetime(2026, 1, 1, tzinfo=UTC))]).to_bytes())
    said = sigma("verify", honest.out, "--keys", keys, "--json")
    assert said.exit_code == 1
    assert "key" in said.error["message"]


def test_a_package_at_hand_is_held_against_the_certificate_file_by_file(
    honest: Audited, sigma: Callable[..., Said], tmp_path: Path
) -> None:
    assert sigma("verify", honest.out, "--package", HONEST).exit_code == 0
    drifted = tmp_path / "changelog-writer"
    shutil.copytree(HONEST, drifted)
    with (drifted / "scripts" / "group_commits.py").open("a", encoding="utf-8") as script:
        script.write("# more\n")
    said = sigma("verify", honest.out, "--package", drifted)
    assert said.exit_code == 1
    assert "scripts/group_commits.py" in said.stderr
    assert said.stdout == ""


def test_verification_is_as_of_an_instant(honest: Audited, sigma: Callable[..., Said]) -> None:
    for later in ("2126-11-21T12:00:00Z", "2126-11-21T12:00:00.000Z"):
        expired = sigma("verify", honest.out, "--at", later, "--json")
        assert expired.exit_code == 1
        assert "expiresAt" in expired.error["message"]
    for unreadable in ("tomorrow", "2126-11-21T12:00:00", "2126-11-21T12:00:00+02:00", ""):
        said = sigma("verify", honest.out, "--at", unreadable, "--json")
        assert (said.exit_code, said.error["code"]) == (2, "USAGE")
        assert said.error["message"].startswith("--at: ")


def test_a_file_that_is_no_bundle(sigma: Callable[..., Said], tmp_path: Path) -> None:
    for content in (b"", b"{}", b"[" * 100_000, b"\xff\xfe", b"PK\x03\x04"):
        (tmp_path / "bundle.json").write_bytes(content)
        said = sigma("verify", tmp_path / "bundle.json", "--json")
        assert said.exit_code == 1
        assert said.error["code"]


# Replay


def test_a_round_replays_from_the_deployment_and_from_its_public_document(
    honest: Audited, home: Path, sigma: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "round.json"
    with monkeypatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(honest.out.parent / "home"))
        kept = sigma("replay", honest.report["roundId"], "--out", document, "--json")
    assert kept.exit_code == 0
    assert (kept.json["agrees"], kept.json["differences"]) == (True, [])
    from_file = sigma("replay", document, "--json")
    assert (from_file.exit_code, from_file.json["roundId"]) == (0, honest.report["roundId"])
    assert not home.exists()  # anyone can do it, without a deployment


@pytest.mark.parametrize("place", ["seed", "beacon.value", "outcome.outcome", "independence.nEffPpm"])
def test_a_changed_document_disagrees_and_names_the_place(
    honest: Audited, sigma: Callable[..., Said], tmp_path: Path, place: str
) -> None:
    document = tmp_path / "round.json"
    sigma("replay", honest.report["roundId"], "--out", document)
    held: Any = json.loads(document.read_bytes())
    *folders, name = place.split(".")
    inner = held
    for folder in folders:
        inner = inner[folder]
    changed = {"outcome": "REJECTED", "nEffPpm": 9_999_999}
    inner[name] = changed.get(name, "0" * 64)
    document.write_text(json.dumps(held))
    said = sigma("replay", document, "--json")
    assert (said.exit_code, said.json["agrees"]) == (1, False)
    assert any(line.startswith(f"$.{place}:") for line in said.json["differences"]), said.json["differences"]
    assert sigma("replay", document).stdout.startswith("differs ")


def test_a_document_is_held_against_its_published_epoch_and_its_certificate(
    honest: Audited, home: Path, sigma: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, epoch, keys = tmp_path / "round.json", tmp_path / "epoch.json", tmp_path / "keys.json"
    with monkeypatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(honest.out.parent / "home"))
        sigma("replay", honest.report["roundId"], "--out", document)
        deployment = open_deployment()
        with deployment.read_sessions() as session:
            drawn_from = session.get_one(WeightEpochRow, json.loads(document.read_bytes())["weights"]["epoch"])
        epoch.write_bytes(deployment.blobs.get(drawn_from.snapshot_sha256))
        keys.write_bytes(deployment.settings.key_set.read_bytes())
        deployment.close()
    beside = ("--epoch", epoch, "--certificate", honest.out, "--keys", keys, "--json")
    said = sigma("replay", document, *beside)
    assert (said.exit_code, said.json["differences"]) == (0, [])
    assert not any(line.startswith("$.weights.rows") for line in said.json["unchecked"])
    assert any(line.startswith("$.weights.rows") for line in sigma("replay", document, "--json").json["unchecked"])
    # Another stake, and the rows that the draw was made from do not follow any more.
    changed = json.loads(epoch.read_bytes())
    changed["rows"][0]["stakeMicroUsd"] += 1_000_000_000
    epoch.write_text(json.dumps(changed))
    said = sigma("replay", document, *beside)
    assert (said.exit_code, [line.split(":")[0] for line in said.json["differences"]]) == (1, ["$.weights"])
    # A whole other round of the same submission is none that this certificate is about.
    held = json.loads(document.read_bytes())
    held["outcome"]["outcome"] = "ESCALATED"
    document.write_text(json.dumps(held))
    said = sigma("replay", document, *beside[2:])
    assert any("published elsewhere" in line for line in said.json["differences"])
    for wrong in (("replay", honest.report["roundId"], *beside), ("replay", document, "--out", tmp_path / "again")):
        assert sigma(*wrong).exit_code == 2
    assert not home.exists()


def test_a_file_that_is_no_replay_document(sigma: Callable[..., Said], tmp_path: Path) -> None:
    for content in (b"", b"[]", b"{", b"\xff", b"[" * 200_000, b'{"roundId": "a", "roundId": "b"}', b'{"a": 1.5}'):
        (tmp_path / "round.json").write_bytes(content)
        said = sigma("replay", tmp_path / "round.json", "--json")
        assert (said.exit_code, said.error["code"]) == (2, "REPLAY_MALFORMED")

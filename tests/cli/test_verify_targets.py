"""``sigma verify`` of an installed folder, of a URL and with status lists; ``scan-installed``; ``operator``."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command_line import HONEST, Audited, Said

from sigma_core.certificates.keyset import KeySet

pytestmark = pytest.mark.usefixtures("audited_home")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The audited skill as an agent has it installed, beside one that nobody certified."""
    skills = tmp_path / "agent" / ".claude" / "skills"
    shutil.copytree(HONEST, skills / "changelog-writer")
    (skills / "other").mkdir()
    (skills / "other" / "SKILL.md").write_text("---\nname: other\ndescription: Something else.\n---\nHello.\n")
    return skills


@pytest.fixture
def keys(audited_home: Path) -> Path:
    return audited_home / "home" / "keys" / "trusted-keys.json"


# An installed folder


def test_an_installed_folder_finds_its_certificate_and_verifies(
    honest: Audited, installed: Path, sigma: Callable[..., Said]
) -> None:
    said = sigma("verify", installed / "changelog-writer", "--json")
    assert (said.exit_code, said.json["certificateId"]) == (0, honest.report["certificateId"])
    assert said.json["checks"][-1].endswith("files at hand are exactly the certified ones")


def test_a_folder_verifies_from_a_folder_of_bundles_and_pinned_keys_alone(
    honest: Audited, installed: Path, keys: Path, home: Path, tmp_path: Path, sigma: Callable[..., Said]
) -> None:
    bundles = tmp_path / "bundles"
    bundles.mkdir()
    shutil.copy(honest.out, bundles / "changelog-writer.sigma.json")
    options = ("--bundles", bundles, "--keys", keys, "--json")
    assert sigma("verify", installed / "changelog-writer", *options).exit_code == 0
    assert not home.exists()  # no deployment, no database, no network
    with (installed / "changelog-writer" / "SKILL.md").open("a") as text:
        text.write("\nAlso send the log.\n")
    said = sigma("verify", installed / "changelog-writer", *options)
    assert (said.exit_code, said.error["code"], said.error["changed"]) == (1, "DRIFT", ["SKILL.md"])


def test_a_folder_without_certificate_says_so(installed: Path, honest: Audited, sigma: Callable[..., Said]) -> None:
    said = sigma("verify", installed / "other", "--json")
    assert (said.exit_code, said.error["code"]) == (1, "CERTIFICATE_UNKNOWN")
    assert sigma("verify", installed / "other", "--package", HONEST, "--json").exit_code == 2


# scan-installed


def test_every_installed_skill_is_listed_with_its_state(
    honest: Audited, installed: Path, sigma: Callable[..., Said]
) -> None:
    said = sigma("scan-installed", installed, "--json")
    states = {Path(skill["path"]).name: skill["state"] for skill in said.json["skills"]}
    assert (said.exit_code, states) == (1, {"changelog-writer": "CERTIFIED", "other": "UNCERTIFIED"})
    shutil.rmtree(installed / "other")
    assert sigma("scan-installed", installed, "--json").exit_code == 0
    (installed / "changelog-writer" / "hook.sh").write_text("curl\n")
    drifted = sigma("scan-installed", installed)
    assert drifted.exit_code == 1
    assert "DRIFTED" in drifted.stdout
    assert "added    hook.sh" in drifted.stdout


def test_without_a_folder_the_agents_folders_of_home_and_project_are_scanned(
    honest: Audited, installed: Path, sigma: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(installed.parents[1]))
    monkeypatch.chdir(tmp_path)
    assert sigma("scan-installed", "--json").json["counts"] == {"CERTIFIED": 1, "UNCERTIFIED": 1}
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    said = sigma("scan-installed", "--json")
    assert (said.exit_code, said.json["skills"]) == (0, [])


def test_a_hostile_name_reaches_the_terminal_harmless(
    honest: Audited, tmp_path: Path, sigma: Callable[..., Said]
) -> None:
    (tmp_path / "\x1b[31mred").mkdir()
    (tmp_path / "\x1b[31mred" / "SKILL.md").write_text("---\nname: red\ndescription: Red.\n---\n")
    assert "\x1b[31mred" not in sigma("scan-installed", tmp_path).stdout


def test_a_folder_that_is_none(honest: Audited, tmp_path: Path, sigma: Callable[..., Said]) -> None:
    assert sigma("scan-installed", tmp_path / "none", "--json").exit_code == 2


# URLs


@pytest.fixture
def site(honest: Audited, audited_home: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server on loopback, and the files that it has by path."""
    files = {f"/api/v1/public/certificates/{honest.report['certificateId']}/attestation": honest.out.read_bytes()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", files
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["", "/verify", "/attestation"])
def test_a_url_of_a_certificate_is_fetched_and_verified(
    honest: Audited, site: tuple[str, dict[str, bytes]], sigma: Callable[..., Said], path: str
) -> None:
    url = f"{site[0]}/api/v1/public/certificates/{honest.report['certificateId']}{path}"
    said = sigma("verify", url, "--allow-loopback", "--json")
    assert (said.exit_code, said.json["certificateId"]) == (0, honest.report["certificateId"])


def test_a_url_of_this_machine_is_refused_unless_that_is_allowed(
    site: tuple[str, dict[str, bytes]], sigma: Callable[..., Said]
) -> None:
    said = sigma("verify", f"{site[0]}/api/v1/public/certificates/cert_1", "--json")
    assert (said.exit_code, said.error["code"]) == (1, "ADDRESS_REFUSED")


def test_a_url_that_answers_something_else(site: tuple[str, dict[str, bytes]], sigma: Callable[..., Said]) -> None:
    site[1]["/bundle"] = b"<html>"
    said = sigma("verify", f"{site[0]}/bundle", "--allow-loopback", "--json")
    assert (said.exit_code, said.error["code"]) == (1, "BUNDLE_MALFORMED")
    missing = sigma("verify", f"{site[0]}/none", "--allow-loopback", "--json")
    assert (missing.exit_code, missing.error["code"]) == (3, "FETCH_FAILED")


# Sites


def test_a_site_is_claimed_checked_and_withdrawn(
    honest: Audited, sigma: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    identifier, why = honest.report["certificateId"], ("--reason", "asked", "--json")
    said = sigma("operator", "site", "claim", identifier, "skills.tides.org", *why)
    assert (said.exit_code, said.json["state"]) == (0, "PENDING")
    assert sigma("operator", "site", "claim", identifier, "localhost", *why).error["code"] == "SITE_REFUSED"
    monkeypatch.setattr("sigma_core.safe_fetch._resolve", lambda _host, _port: ["127.0.0.1"])
    checked = sigma("operator", "site", "check", identifier, "--json")
    assert (checked.exit_code, checked.json["fault"]) == (1, "ADDRESS_REFUSED")
    assert sigma("operator", "site", "withdraw", identifier, *why).exit_code == 0
    assert sigma("operator", "site", "check", identifier, "--json").error["code"] == "SITE_REFUSED"


# Status and operation, in this order


def test_a_suspension_shows_in_every_way_of_verifying_and_ends(
    honest: Audited,
    installed: Path,
    keys: Path,
    audited_home: Path,
    tmp_path: Path,
    sigma: Callable[..., Said],
) -> None:
    identifier = honest.report["certificateId"]
    said = sigma("operator", "suspend", identifier, "--reason", "looked into", "--actor", "operator:ada", "--json")
    assert (said.exit_code, said.json["after"], said.json["actor"]) == (0, "SUSPENDED", "operator:ada")
    for target in (honest.out, identifier, installed / "changelog-writer"):
        refused = sigma("verify", target, "--json")
        assert (refused.exit_code, refused.error["code"]) == (1, "SUSPENDED")
    scanned = sigma("scan-installed", installed, "--json").json["counts"]
    assert scanned == {"SUSPENDED": 1, "UNCERTIFIED": 1}
    lists = audited_home / "home" / "status-lists" / "0"
    elsewhere = ("--keys", keys, "--status", lists / "suspension", "--status", lists / "revocation", "--json")
    assert sigma("verify", honest.out, *elsewhere).error["code"] == "SUSPENDED"
    offline = sigma("verify", honest.out, "--keys", keys, "--json")
    assert (offline.exit_code, offline.json["statusAsOf"]) == (0, None)
    resumed = sigma("operator", "resume", identifier, "--reason", "all is well", "--json")
    assert (resumed.exit_code, resumed.json["after"]) == (0, "APPROVED")
    said = sigma("verify", honest.out, *elsewhere)
    assert (said.exit_code, said.json["statusAsOf"] is not None) == (0, True)


def test_a_reason_is_asked_for_and_an_unknown_certificate_refused(sigma: Callable[..., Said]) -> None:
    assert sigma("operator", "revoke", "cert_none").exit_code == 2
    said = sigma("operator", "revoke", "cert_none", "--reason", "x", "--json")
    assert (said.exit_code, said.error["code"]) == (2, "CERTIFICATE_UNKNOWN")


def test_the_log_is_checked_and_damage_is_named(
    honest: Audited, audited_home: Path, sigma: Callable[..., Said]
) -> None:
    said = sigma("operator", "check-log", "--json")
    assert (said.exit_code, said.json["faults"]) == (0, [])
    size = said.json["size"]
    tile = audited_home / "home" / "transparency-log" / "tile" / "entries" / "000.p" / str(size)
    kept = tile.read_bytes()
    tile.write_bytes(kept[:-1] + b"?")
    said = sigma("operator", "check-log", "--json")
    assert said.exit_code == 1
    assert said.json["faults"]
    tile.write_bytes(kept)


def test_a_checkpoint_got_elsewhere_must_tell_the_same_history(
    honest: Audited, audited_home: Path, sigma: Callable[..., Said]
) -> None:
    checkpoint = audited_home / "home" / "transparency-log" / "checkpoint"
    assert sigma("verify", honest.out, "--checkpoint", checkpoint).exit_code == 0
    said = sigma("verify", honest.out, "--checkpoint", honest.out, "--json")
    assert (said.exit_code, said.error["code"]) == (1, "CHECKPOINT_INVALID")


def test_a_witness_is_asked_by_file(honest: Audited, tmp_path: Path, sigma: Callable[..., Said]) -> None:
    assert sigma("operator", "ask-witness", "--out", tmp_path / "request.txt").exit_code == 0
    assert (tmp_path / "request.txt").read_bytes().startswith(b"old 0\n\n")
    (tmp_path / "answer.txt").write_bytes(b"x")
    assert sigma("operator", "add-cosignature", "1", tmp_path / "answer.txt", "--json").exit_code == 1


def test_a_rotated_key_is_published_and_what_the_old_one_signed_stays_good(
    honest: Audited, keys: Path, sigma: Callable[..., Said]
) -> None:
    said = sigma("operator", "rotate-key", "--reason", "yearly", "--json")
    assert said.exit_code == 0
    assert said.json["key"]["keyId"] in KeySet.parse(keys.read_bytes()).by_id
    assert json.loads(keys.read_bytes())["keys"]
    assert sigma("verify", honest.out).exit_code == 0


def test_a_rotated_log_key_is_published_beside_the_old_one_and_old_certificates_stay_good(
    honest: Audited, keys: Path, sigma: Callable[..., Said]
) -> None:
    said = sigma("operator", "rotate-log-key", "--reason", "yearly", "--overlap-days", "3", "--json")
    assert said.exit_code == 0
    old, new = sorted(said.json["logs"], key=lambda key: isinstance(key, str))
    assert (new, set(old)) == (said.json["key"], {"key", "validUntil"})
    assert sigma("verify", honest.out).exit_code == 0
    assert sigma("operator", "check-log").exit_code == 0
    assert sigma("operator", "rotate-log-key", "--reason", "x", "--overlap-days", "91").exit_code == 2

"""/log, /status-lists and /key-set: what a verifier fetches, from a deployment that has certified something for real."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from http_client import Client, assert_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import free_port, serving
from typer.testing import CliRunner

from sigma_api.app import create_app
from sigma_api.public import snapshot
from sigma_core.canonical import sha256_hex
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.proof import LogProof
from sigma_core.certificates.log.tiles import entries_path, split_entries, tile_path
from sigma_core.certificates.verify import open_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certificate_status import change_status
from sigma_core.lifecycle.opening import open_deployment

PUBLIC = "/api/v1/public"
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "changelog-writer"


@dataclass(frozen=True)
class Certified:
    """A deployment with one certificate, served at ``url`` while the module's tests run."""

    deployment: Deployment
    certificate_id: str
    bundle: Path
    url: str


def sigma(*arguments: object) -> tuple[int, str]:
    from cli.main import app

    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="sigma")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    folder, port = tmp_path_factory.mktemp("certified"), free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(folder / "home"))
        patch.setenv("SIGMA_PUBLIC_URL", f"http://127.0.0.1:{port}")
        patch.setenv("SIGMA_PUBLIC_RATE_REQUESTS", "1000000")
        patch.setattr(snapshot, "REFRESH_SECONDS", 0.0)
        patch.setattr(snapshot, "MAX_AGE_SECONDS", 0.0)
        # A process of its own: the orchestrator is for no other test here to load.
        audit = [sys.executable, "-m", "cli", "audit", EXAMPLE, "--out", folder / "bundle.json", "--json"]
        out = subprocess.run(audit, check=True, capture_output=True, cwd=EXAMPLE.parents[1]).stdout
        deployment = open_deployment()
        with serving(create_app(deployment), port) as url:
            yield Certified(deployment, json.loads(out)["certificateId"], folder / "bundle.json", url)
        deployment.close()


@pytest.fixture(scope="module")
def reader(certified: Certified) -> Iterator[Client]:
    client = Client(create_app(certified.deployment))
    yield client
    client.close()


@pytest.fixture
def pinned(certified: Certified, reader: Client, tmp_path: Path) -> Path:
    """The published key set as a stranger keeps it."""
    file = tmp_path / "keys.json"
    file.write_bytes(reader.get(f"{PUBLIC}/key-set").content)
    return file


def test_a_stranger_verifies_a_served_certificate_online(certified: Certified, pinned: Path) -> None:
    url = f"{certified.url}{PUBLIC}/certificates/{certified.certificate_id}/verify"
    code, out = sigma("verify", url, "--keys", pinned, "--online", "--allow-loopback", "--json")
    assert code == 0, out
    answer = json.loads(out)
    assert (answer["valid"], answer["certificateId"]) == (True, certified.certificate_id)
    assert answer["statusAsOf"] is not None


def test_the_deployments_own_certificate_verifies_online_on_this_machine_without_more_being_said(
    certified: Certified,
) -> None:
    code, out = sigma("verify", certified.certificate_id, "--online", "--json")
    assert code == 0, out
    assert json.loads(out)["statusAsOf"] is not None


@pytest.mark.parametrize("public_url", ["https://sigma.example", "http://127.0.0.1:9", "http://{}.evil.example"])
def test_an_address_of_this_machine_that_a_bundle_names_and_nobody_here_does_is_not_asked(
    certified: Certified, pinned: Path, monkeypatch: pytest.MonkeyPatch, public_url: str
) -> None:
    monkeypatch.setenv("SIGMA_PUBLIC_URL", public_url.format(certified.url.removeprefix("http://")))
    for options in ((), ("--keys", pinned), ("--keys", pinned, "--allow-loopback")):
        code, out = sigma("verify", certified.bundle, "--online", "--json", *options)
        assert (code, json.loads(out)["error"]["code"]) == (1, "ADDRESS_REFUSED")


def test_another_issuers_bundle_is_not_led_to_this_deployment_of_ours(certified: Certified, pinned: Path) -> None:
    code, out = sigma("verify", certified.bundle, "--keys", pinned, "--online", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (1, "ADDRESS_REFUSED")


def test_a_suspension_reaches_a_stranger_who_verifies_online(certified: Certified, pinned: Path) -> None:
    change = {"actor": "operator:ada", "reason": "looked into"}
    command = ("verify", certified.bundle, "--keys", pinned, "--online", "--allow-loopback", "--json")
    change_status(certified.deployment, certified.certificate_id, CertificateStatus.SUSPENDED, **change)
    code, out = sigma(*command)
    assert (code, json.loads(out)["error"]["code"]) == (1, "SUSPENDED")
    change_status(certified.deployment, certified.certificate_id, CertificateStatus.APPROVED, **change)
    assert sigma(*command)[0] == 0


def test_the_key_set_is_the_published_one(certified: Certified, reader: Client) -> None:
    response = reader.get(f"{PUBLIC}/key-set")
    assert response.content == certified.deployment.trusted_keys.to_bytes()
    open_bundle(certified.bundle.read_bytes(), KeySet.parse(response.content))


def test_a_stranger_reads_the_log_by_its_checkpoint_and_tiles(certified: Certified, reader: Client) -> None:
    note = reader.get(f"{PUBLIC}/log/checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert note.headers["cache-control"] == "public, max-age=5"
    [key] = certified.deployment.trusted_keys.logs
    checkpoint = Checkpoint.open(note.content, key)
    assert checkpoint.origin == f"{certified.url.removeprefix('http://')}{PUBLIC}/log"
    entries = reader.get(f"{PUBLIC}/log/{entries_path(0, checkpoint.size)}")
    assert entries.headers["content-type"] == "application/octet-stream"
    assert entries.headers["etag"] == f'"{sha256_hex(entries.content)}"'
    assert len(split_entries(entries.content, checkpoint.size, "entries")) == checkpoint.size
    assert len(reader.get(f"{PUBLIC}/log/{tile_path(0, 0, checkpoint.size)}").content) == 32 * checkpoint.size


def test_a_proof_of_every_entry_is_served(certified: Certified, reader: Client) -> None:
    [key] = certified.deployment.trusted_keys.logs
    size = Checkpoint.open(reader.get(f"{PUBLIC}/log/checkpoint").content, key).size
    entries = split_entries(reader.get(f"{PUBLIC}/log/{entries_path(0, size)}").content, size, "entries")
    for index, entry in enumerate(entries):
        proof = LogProof.parse(reader.get(f"{PUBLIC}/log/proof/{index}").text)
        assert proof.signers([key])
        assert proof.proves(entry)
    assert_problem(reader.get(f"{PUBLIC}/log/proof/{size}"), "not-found")


def test_only_a_full_tile_may_be_kept_for_ever(certified: Certified, reader: Client) -> None:
    folder = certified.deployment.settings.transparency_log / "tile" / "0"
    whole, part = folder / "999", folder / "999.p" / "7"
    part.parent.mkdir(parents=True)
    whole.write_bytes(bytes(32 * 256))
    part.write_bytes(bytes(32 * 7))
    full, partial = (reader.get(f"{PUBLIC}/log/tile/0/{name}") for name in ("999", "999.p/7"))
    assert full.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "immutable" not in partial.headers["cache-control"]


@pytest.mark.parametrize("purpose", ["revocation", "suspension"])
def test_a_status_list_is_served_as_it_was_signed(certified: Certified, reader: Client, purpose: str) -> None:
    response = reader.get(f"{PUBLIC}/status-lists/0/{purpose}")
    assert response.content == (certified.deployment.settings.status_lists / "0" / purpose).read_bytes()
    assert response.headers["content-type"] == "application/vnd.sigma.status-list.v1+json"
    assert response.headers["cache-control"] == "public, max-age=5"


@pytest.mark.parametrize(
    "path",
    [
        "/status-lists/1/revocation",
        "/status-lists/0/refresh",
        "/status-lists/0/..%2f0",
        "/log",
        "/log/",
        "/log/.lock",
        "/log/tile/0/000.p/257",
        "/log/tile/0/000.p/0",
        "/log/tile/64/000",
        "/log/tile/0/1000",
        "/log/tile/0/..%2fentries%2f000",
        "/log/tile/%2e%2e/checkpoint",
        "/log/tile/entries/000%0a",
        "/log/tile//etc/passwd",
    ],
)
def test_what_the_format_does_not_name_is_not_there(reader: Client, path: str) -> None:
    assert_problem(reader.get(PUBLIC + path), "not-found")


@pytest.mark.parametrize("path", ["/status-lists/-1/revocation", "/status-lists/x/revocation", "/log/proof/-1"])
def test_a_number_that_is_none_is_an_invalid_parameter(reader: Client, path: str) -> None:
    assert_problem(reader.get(PUBLIC + path), "invalid-parameter")


STEPS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "tile",
        "checkpoint",
        "entries",
        "0",
        "000",
        "x000",
        "000.p",
        "1",
        "3",
        ".lock",
        "\x00",
        "/",
        "~",
        "\n",
    ]
) | st.text("ABCxyz019.%-_/\\~é\N{RIGHT-TO-LEFT OVERRIDE}", max_size=6)


@given(steps=st.lists(STEPS, max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_path_leads_out_of_the_log(certified: Certified, reader: Client, steps: list[str]) -> None:
    """Whatever a stranger asks for, the answer is a file that the format names or a problem."""
    # Every byte is escaped, or the client itself would resolve the dots.
    asked = "".join(f"%{byte:02x}" for byte in "/".join(steps).encode())
    response = reader.get(f"{PUBLIC}/log/tile/{asked}")
    if response.status_code == 200:
        published = certified.deployment.settings.transparency_log.rglob("*")
        assert response.content in {file.read_bytes() for file in published if file.is_file() and file.name != ".lock"}
    else:
        assert response.status_code == 404

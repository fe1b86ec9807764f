"""The free pass of the sandbox: the same result as `sigma validate`, bounded in every way, and nothing left behind."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_client import Client, assert_problem, assert_safe_headers
from sqlalchemy import func, inspect, select, text

from sigma_api.app import create_app
from sigma_api.public import dry_run_routes, quotas, sandbox_process
from sigma_api.public.schemas import DryRun
from sigma_core.deployment import Deployment

ROOT = Path(__file__).resolve().parents[2]
PATH = "/api/v1/public/dry-run"


def packed(folder: Path, out: Path) -> Path:
    return Path(shutil.make_archive(str(out), "zip", folder))


def post(client: Client, data: bytes, name: str = "skill.zip", field: str = "package") -> httpx.Response:
    return client.request("POST", PATH, files={field: (name, data)})


def tiny(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()


SKILL = tiny(SKILL__md="---\nname: tide\ndescription: Tells the tide.\n---\nLook it up.\n")


@pytest.fixture
def strict(make_client: Callable[..., Client], own: Deployment) -> Client:
    """A client on a deployment of its own, whose windows nobody else has counted in."""
    return make_client(create_app(own))


@pytest.mark.parametrize("example", ["changelog-writer", "malicious/workspace-cleaner"])
def test_the_result_is_that_of_sigma_validate(client: Client, tmp_path: Path, example: str) -> None:
    archive = packed(ROOT / "examples" / example, tmp_path / "skill")
    command = [sys.executable, "-m", "cli", "validate", str(archive), "--json"]
    said = subprocess.run(command, capture_output=True, cwd=ROOT, check=False)
    response = post(client, archive.read_bytes())
    assert response.status_code == 200, response.text
    assert response.json() == json.loads(said.stdout)
    assert response.headers["cache-control"] == "no-store"
    assert_safe_headers(response)
    DryRun.model_validate(response.json(), strict=False)
    assert (response.json()["decision"] == "block") == (said.returncode == 1)


def test_nothing_of_it_is_kept(
    strict: Client, own: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    def kept() -> Any:
        files = {path: path.stat().st_size for path in own.settings.home.rglob("*") if "protocol.db" not in path.name}
        with own.read_sessions() as session:
            tables = inspect(own.protocol).get_table_names()
            rows = {table: session.scalar(select(func.count()).select_from(text(table))) for table in tables}
        return files, rows, list(temporary.iterdir())

    before = kept()
    large = tiny(SKILL__md="---\nname: a\ndescription: b\n---\n", big__bin="x" * 100) + bytes(2_000_000)
    assert post(strict, SKILL).status_code == 200
    assert_problem(post(strict, large), "package-refused")
    assert kept() == before


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"hello", "BROKEN_ARCHIVE_TYPE"),
        (b"", "BROKEN_ARCHIVE_TYPE"),
        (SKILL + b"more", "HOSTILE_BYTES_AFTER"),
        (tiny(readme__md="x"), "BROKEN_NO_SKILL_FILE"),
        (tiny(SKILL__md="x" * 300_000), "LIMIT_FILE_BYTES"),
    ],
)
def test_what_intake_refuses_is_a_problem_with_intakes_code(client: Client, data: bytes, code: str) -> None:
    assert assert_problem(post(client, data), "package-refused")["code"] == code


def test_a_hostile_file_name_is_a_name_and_no_path(client: Client, kept: Deployment) -> None:
    body = post(client, tiny(SKILL__md="Just text.\n"), name="../../etc/\u202epasswd").json()
    assert "\u202e" not in json.dumps(body, ensure_ascii=False)


@pytest.mark.parametrize(
    ("content", "media_type", "slug"),
    [
        (b"x", "application/zip", "bad-request"),
        (b"x", "multipart/form-data", "bad-request"),
        (b"x", "multipart/form-data; boundary=b", "bad-request"),
        (
            b'--b\r\nContent-Disposition: form-data; name="package"\r\n\r\nx\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            "bad-request",
        ),
        (b"--b--\r\n", "multipart/form-data; boundary=b", "invalid-parameter"),
        (b"", "multipart/form-data; boundary=b", "invalid-parameter"),
    ],
)
def test_a_body_that_is_no_form_with_one_file_is_refused(
    strict: Client, content: bytes, media_type: str, slug: str
) -> None:
    assert_problem(strict.request("POST", PATH, content=content, headers={"Content-Type": media_type}), slug)


def test_another_field_or_a_second_file_is_refused(strict: Client) -> None:
    assert assert_problem(post(strict, SKILL, field="file"), "invalid-parameter")["errors"][0]["name"] == "package"
    two = [("package", ("a.zip", SKILL)), ("package", ("b.zip", SKILL))]
    assert_problem(strict.request("POST", PATH, files=two), "bad-request")


def test_an_upload_that_is_too_large_is_refused_before_it_is_read(strict: Client) -> None:
    assert_problem(post(strict, bytes(dry_run_routes.MAX_UPLOAD_BYTES)), "content-too-large")


def test_a_client_that_asks_too_often_waits(
    make_client: Callable[..., Client], own: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "DRY_RUNS", ("dry runs", 3, 3_600))
    client = make_client(create_app(own))
    assert [client.request("POST", PATH, content=b"x").status_code for _ in range(4)] == [400, 400, 400, 429]
    assert_problem(post(client, SKILL), "rate-limited")


def test_more_at_once_than_there_are_processes_or_room_for_is_refused(
    strict: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(dry_run_routes.MAX_RUNS_AT_ONCE):
        assert dry_run_routes._runs.acquire(blocking=False)
    try:
        assert_problem(post(strict, SKILL), "unavailable")
    finally:
        for _ in range(dry_run_routes.MAX_RUNS_AT_ONCE):
            dry_run_routes._runs.release()
    assert post(strict, SKILL).status_code == 200
    monkeypatch.setattr(dry_run_routes, "MAX_UPLOADS_AT_ONCE", 0)
    assert_problem(post(strict, SKILL), "unavailable")


@pytest.mark.parametrize(("seconds", "memory"), [(0, 1 << 30), (0.5, 1 << 20)])
def test_a_process_that_runs_out_of_time_or_memory_is_ended_and_its_place_is_free_again(
    strict: Client, monkeypatch: pytest.MonkeyPatch, seconds: float, memory: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sandbox_process, "WALL_SECONDS", seconds)
        patch.setattr(sandbox_process, "MEMORY_BYTES", memory)
        for _ in range(dry_run_routes.MAX_RUNS_AT_ONCE + 1):
            assert_problem(post(strict, SKILL), "unavailable")
    assert post(strict, SKILL).status_code == 200


def test_the_process_may_write_no_file(tmp_path: Path) -> None:
    limits = sandbox_process._limits()
    writing = f"""import pathlib, resource
for kind, most in {limits!r}.items():
    resource.setrlimit(kind, (most, most))
pathlib.Path("x").write_bytes(b"y")"""
    ran = subprocess.run([sys.executable, "-c", writing], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "File too large" in ran.stderr

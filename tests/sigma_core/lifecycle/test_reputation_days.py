"""The reputation ledger's day partitions: a day's events as what they amount to, only new lines read, a kill leaves the old or the new."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import polars as pl
import pytest

from sigma_core.deployment import Deployment
from sigma_core.lifecycle import reputation_days as module
from sigma_core.lifecycle.reputation_days import reputation_days
from sigma_core.lifecycle.standing import newest_snapshot
from sigma_core.lifecycle.standing_state import engine_disagreements, reputation_today
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.storage.protocol import ReputationEntryRow
from sigma_core.timestamps import day_number, utc_now

TODAY = day_number(utc_now())


def book(deployment: Deployment, *lines: tuple[int, int, str], detail: dict[str, Any] | None = None) -> None:
    """A line for each (validator's number, day, kind)."""
    drawn = newest_snapshot(deployment).rows
    with deployment.sessions.begin() as session:
        for number, (validator, day, kind) in enumerate(lines):
            amounts = {"SANCTION": {"ceiling_ppm": 300_000}, "COMPENSATION": {"change_ppm": -1_500}}
            session.add(
                ReputationEntryRow(
                    entry_key=f"{day}/{number}/{utc_now().timestamp()}", validator_id=drawn[validator].validator_id,
                    round_id=None, day=day, kind=kind, detail=amounts.get(kind, {}) if detail is None else detail,
                    policy_hash=deployment.policy.hash,
                )
            )  # fmt: skip
            session.flush()


MANY = [
    (0, TODAY - 1, "CONSTRUCTIVE"), (1, TODAY - 40, "SANCTION"), (0, TODAY - 4, "DISPUTED"), (2, TODAY, "LOW_QUALITY"),
    (1, TODAY - 3, "SANCTION_LIFTED"), (0, TODAY - 1, "COMPENSATION"), (2, TODAY - 40, "CONSTRUCTIVE"), (0, TODAY - 1, "CONSTRUCTIVE"),
]  # fmt: skip


def files(deployment: Deployment) -> dict[str, bytes]:
    with reputation_days(deployment) as days:
        return {path.name: path.read_bytes() for path in days.folder.iterdir()}


def whole(deployment: Deployment) -> None:
    """Every engine sees the same by partitions and by lines, and the day's update is what a new folder gives."""
    assert engine_disagreements(deployment) == []
    with_them = reputation_today(deployment)
    for path in (deployment.settings.lake / "standing").rglob("*.*"):
        path.unlink()
    assert reputation_today(deployment).equals(with_them)


def test_a_day_is_what_its_events_amount_to(deployment: Deployment) -> None:
    book(deployment, *MANY)
    with reputation_days(deployment) as days:
        assert sorted(path.name for path in days.folder.iterdir()) == sorted(
            [f"{TODAY - 40}-7.parquet", f"{TODAY - 4}-3.parquet", f"{TODAY - 3}-5.parquet", f"{TODAY - 1}-8.parquet", f"{TODAY}-4.parquet", "index.json"]
        )  # fmt: skip
        first = newest_snapshot(deployment).rows[0].validator_id
        assert days.between(TODAY - 2, TODAY - 1).rows() == [(first, TODAY - 1, 2, 0, -1_500, False, None)]


def test_a_late_line_rewrites_its_day_only(deployment: Deployment) -> None:
    book(deployment, (0, TODAY - 3, "CONSTRUCTIVE"), (0, TODAY - 2, "SANCTION"), (1, TODAY - 1, "DISPUTED"))
    before = files(deployment)
    book(deployment, (0, TODAY - 2, "DISPUTED"))
    after = files(deployment)
    assert set(after) - set(before) == {f"{TODAY - 2}-4.parquet"}
    assert set(before) - set(after) == {f"{TODAY - 2}-2.parquet"}
    assert all(after[name] == before[name] for name in (f"{TODAY - 3}-1.parquet", f"{TODAY - 1}-3.parquet"))
    whole(deployment)


@pytest.mark.parametrize("at_once", [1, 3, 1000])
@pytest.mark.parametrize("step", [1, -1])
def test_lines_in_any_order_and_any_batches_give_the_same(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, at_once: int, step: int
) -> None:
    monkeypatch.setattr(module, "LINES_AT_ONCE", at_once)
    book(deployment, *MANY[::step])
    whole(deployment)
    drawn = newest_snapshot(deployment).rows
    names = [drawn[number].validator_id for number in range(3)]
    standing = {row[0]: row[1:] for row in reputation_today(deployment).iter_rows()}
    monkeypatch.undo()
    book(deployment, (3, TODAY, "CONSTRUCTIVE"))
    assert {name: standing[name] for name in names} == {
        row[0]: row[1:] for row in reputation_today(deployment).iter_rows() if row[0] in names
    }


def test_the_days_update_reads_only_new_lines_from_the_ledger(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(deployment, *MANY)
    reputation_today(deployment)
    read: list[int] = []
    real = module.reputation_lines

    def counted(*given: Any) -> pl.DataFrame:
        lines = real(*given)
        read.append(lines.height)
        return lines

    monkeypatch.setattr(module, "reputation_lines", counted)
    book(deployment, (0, TODAY, "CONSTRUCTIVE"), (1, TODAY - 5, "DISPUTED"))
    reputation_today(deployment)
    assert sum(read) == 2
    monkeypatch.undo()
    whole(deployment)


@pytest.mark.parametrize("lost", ["index.json", "a partition", "half of the index"])
def test_what_is_lost_is_made_from_the_ledger_again(deployment: Deployment, lost: str) -> None:
    book(deployment, *MANY)
    before = files(deployment)
    folder = deployment.settings.lake / "standing" / "reputation_days"
    if lost == "a partition":
        (folder / f"{TODAY - 4}-3.parquet").unlink()
    elif lost == "index.json":
        (folder / "index.json").unlink()
    else:
        (folder / "index.json").write_bytes(before["index.json"][:20])
    assert files(deployment) == before


@pytest.mark.parametrize("content", [b"PAR1 and then nothing", b""])
def test_a_damaged_partition_is_refused_by_its_name(deployment: Deployment, content: bytes) -> None:
    book(deployment, (0, TODAY, "CONSTRUCTIVE"))
    with reputation_days(deployment) as days:
        days.path(TODAY).write_bytes(content)
    with pytest.raises(LedgerInvalid, match=rf"reputation_days/{TODAY}-1.parquet: not a partition of the ledger"):
        reputation_today(deployment)


@pytest.mark.parametrize(
    ("line", "detail", "rule"),
    [
        ((0, TODAY, "PRAISED"), None, "is of an unknown kind"),
        ((0, TODAY, "SANCTION"), {}, "has no ceiling within"),
        ((0, TODAY, "COMPENSATION"), {"change_ppm": 10**7}, "has no change within"),
        ((0, -1, "DISPUTED"), None, "is of a day before 1970"),
    ],
)
def test_a_line_that_no_booking_writes_is_refused_and_leaves_the_partitions(
    deployment: Deployment, line: tuple[int, int, str], detail: dict[str, Any] | None, rule: str
) -> None:
    book(deployment, (0, TODAY - 1, "CONSTRUCTIVE"))
    before = files(deployment)
    book(deployment, line, detail=detail)
    with pytest.raises(LedgerInvalid, match=rule):
        reputation_today(deployment)
    folder = deployment.settings.lake / "standing" / "reputation_days"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


KILLED = """
import os, signal, sys
from sigma_core.lifecycle import day_files, reputation_days
from sigma_core.lifecycle.opening import open_deployment
deployment = open_deployment()
real, written = day_files.write_whole, []
def write_whole(path, content):
    if sys.argv[1] == f"before {len(written)}":
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, content)
    written.append(path)
day_files.write_whole = write_whole
with reputation_days.reputation_days(deployment):
    pass
"""


@pytest.mark.parametrize("point", ["before 0", "before 1", "before 2"])
def test_a_kill_leaves_the_old_partitions_and_the_next_run_finishes(deployment: Deployment, point: str) -> None:
    book(deployment, (0, TODAY - 2, "CONSTRUCTIVE"), (0, TODAY - 1, "DISPUTED"))
    old = files(deployment)
    book(deployment, (0, TODAY - 1, "SANCTION"), (1, TODAY, "CONSTRUCTIVE"))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    folder = deployment.settings.lake / "standing" / "reputation_days"
    assert module._kept(folder).high_water == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in old} == old
    now = [f"{TODAY - 2}-1.parquet", f"{TODAY - 1}-3.parquet", f"{TODAY}-4.parquet", "index.json"]
    assert sorted(files(deployment)) == now
    whole(deployment)

"""The accuracy ledger's day partitions: only new lines are read, a late line rewrites its day, and a kill leaves the old or the new."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from sigma_core.deployment import Deployment
from sigma_core.lifecycle import accuracy_days as module
from sigma_core.lifecycle import standing_state
from sigma_core.lifecycle.accuracy_days import accuracy_days, differing_days
from sigma_core.lifecycle.standing import newest_snapshot
from sigma_core.lifecycle.standing_state import accuracy_today, engine_disagreements
from sigma_core.standing.day_partitions import DayReader, write_day
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.storage.protocol import AccuracyEntryRow, RoundRow, SubmissionRow
from sigma_core.timestamps import day_number, utc_now

ROUND = "rnd_test_1"
TODAY = day_number(utc_now())


@pytest.fixture
def decided(deployment: Deployment) -> Deployment:
    """A deployment with a round that lines can be of."""
    with deployment.sessions.begin() as session:
        session.add(
            SubmissionRow(
                id="sub_test", state="APPROVED", name="n", version=None, description="", product_type="SKILL",
                source_type="UPLOAD", source_ref=None, source_url=None, source_name="n", tree_hash="0" * 64, skill_hash=None,
                package_sha256="0" * 64, dev_notes="", submitter="somebody", beacon_chain="0" * 64, beacon_round=1,
                submitted_at=utc_now(),
            )
        )  # fmt: skip
        session.flush()
        session.add(
            RoundRow(
                id=ROUND, submission_id="sub_test", number=1, run_key="run", round_type="INITIAL_AUDIT",
                trigger_source="SUBMISSION", state="DECIDED", facts_sha256="0" * 64, policy_hash=deployment.policy.hash,
                weights_epoch=1, beacon_chain="0" * 64, beacon_round=1, beacon_value="0" * 64, seed="0" * 64,
                outcome="APPROVED", with_rejection=False, scored=True, truth="SAFE", truth_source="UNANIMOUS", reasons=[],
                n_eff_ppm=1, assurance_level=1, diversity_degraded=False, disabled_families=None, replay_sha256="0" * 64,
                opened_at=utc_now(), decided_at=utc_now() - timedelta(days=90),
            )
        )  # fmt: skip
    return deployment


def book(deployment: Deployment, *days: int, aligned_q10: int = 1000) -> None:
    """A line for each of ``days``, of one validator after the other."""
    drawn = newest_snapshot(deployment).rows
    with deployment.sessions.begin() as session:
        for number, day in enumerate(days):
            session.add(
                AccuracyEntryRow(
                    entry_key=f"{day}/{number}/{utc_now().timestamp()}", validator_id=drawn[number % 7].validator_id,
                    round_id=ROUND, seat="1.1", day=day, aligned_q10=aligned_q10 + number, misaligned_q10=51,
                    reason="ALIGNED", truth_source="UNANIMOUS", policy_hash=deployment.policy.hash,
                )
            )  # fmt: skip
            session.flush()


def files(deployment: Deployment) -> dict[str, bytes]:
    with accuracy_days(deployment) as days:
        return {path.name: path.read_bytes() for path in days.folder.iterdir()}


def whole(deployment: Deployment) -> None:
    """What is kept is the ledger, every engine sees the same in it, and the day's update is what a new folder gives."""
    assert differing_days(deployment) == []
    assert engine_disagreements(deployment) == []
    with_them = accuracy_today(deployment)
    for path in (deployment.settings.lake / "standing").rglob("*.*"):
        path.unlink()
    assert accuracy_today(deployment).equals(with_them)


def test_a_day_is_a_file_and_nothing_is_written_where_no_line_is_new(decided: Deployment) -> None:
    book(decided, TODAY - 2, TODAY - 2, TODAY - 1)
    before = files(decided)
    assert sorted(before) == [f"{TODAY - 2}-2.npy", f"{TODAY - 1}-3.npy", "index.json"]
    folder = decided.settings.lake / "standing" / "accuracy_days"
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert files(decided) == before
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def test_a_late_line_rewrites_its_day_only(decided: Deployment) -> None:
    book(decided, TODAY - 3, TODAY - 2, TODAY - 1)
    before = files(decided)
    book(decided, TODAY - 2)
    after = files(decided)
    assert set(after) - set(before) == {f"{TODAY - 2}-4.npy"}
    assert set(before) - set(after) == {f"{TODAY - 2}-2.npy"}
    assert all(after[name] == before[name] for name in (f"{TODAY - 3}-1.npy", f"{TODAY - 1}-3.npy"))
    whole(decided)


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_lines_in_any_order_and_any_batches_give_the_same(
    decided: Deployment, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(module, "LINES_AT_ONCE", at_once)
    book(decided, TODAY - 1, TODAY - 4, TODAY, TODAY - 3, TODAY - 4, TODAY - 1, TODAY - 40)
    whole(decided)


def test_the_days_update_reads_only_new_lines_from_the_ledger(
    decided: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    book(decided, *[TODAY - 9 + number for number in range(9)])
    accuracy_today(decided)
    read: list[int] = []
    real = module.ledger_lines

    def counted(*given: object) -> object:
        lines = real(*given)  # type: ignore[arg-type]
        read.append(lines.height)
        return lines

    for place in (module, standing_state):
        monkeypatch.setattr(place, "ledger_lines", counted)
    book(decided, TODAY, TODAY - 5)
    updated = accuracy_today(decided)
    assert engine_disagreements(decided) == []
    assert sum(read) == 2
    monkeypatch.undo()
    whole(decided)
    assert accuracy_today(decided).equals(updated)


def test_a_line_that_would_take_a_side_below_zero_is_refused_with_its_validator(decided: Deployment) -> None:
    book(decided, TODAY - 2)
    book(decided, TODAY - 1, aligned_q10=-5000)
    validator = newest_snapshot(decided).rows[0].validator_id
    with pytest.raises(LedgerInvalid, match=rf"validator {validator}, day {TODAY - 1}: aligned_q10 falls below zero"):
        accuracy_today(decided)


def test_what_differs_from_the_ledger_is_named_by_day_and_by_validator(decided: Deployment) -> None:
    book(decided, TODAY - 2, TODAY - 2, TODAY - 1)
    with accuracy_days(decided) as days:
        path = days.path(TODAY - 2)
        lines = DayReader().read(path).copy()
        first, second = days.validators[:2]
    write_day(path, np.stack([lines[0], lines[1] + np.array([0, 1], np.int32), lines[2]]))
    assert differing_days(decided) == [f"day {TODAY - 2}", f"validator {second}"]
    write_day(path, np.stack([lines[0][::-1], *lines[1:]]))
    assert differing_days(decided) == sorted([f"validator {first}", f"validator {second}"])


@pytest.mark.parametrize("lost", ["index.json", "a partition", "half of the index"])
def test_what_is_lost_is_made_from_the_ledger_again(decided: Deployment, lost: str) -> None:
    book(decided, TODAY - 2, TODAY - 1)
    before = files(decided)
    folder = decided.settings.lake / "standing" / "accuracy_days"
    if lost == "a partition":
        (folder / f"{TODAY - 2}-1.npy").unlink()
    elif lost == "index.json":
        (folder / "index.json").unlink()
    else:
        (folder / "index.json").write_bytes(before["index.json"][:20])
    assert files(decided) == before


def test_a_ledger_that_ends_before_the_partitions_do_is_another_ledger(decided: Deployment) -> None:
    book(decided, TODAY - 2, TODAY - 1)
    files(decided)
    with decided.sessions.begin() as session:
        session.delete(session.get_one(AccuracyEntryRow, 2))
    assert sorted(files(decided)) == [f"{TODAY - 2}-1.npy", "index.json"]
    whole(decided)


KILLED = """
import os, signal, sys
from sigma_core.lifecycle import accuracy_days, day_files
from sigma_core.lifecycle.opening import open_deployment
deployment = open_deployment()
real, written = day_files.write_whole, []
def write_whole(path, content):
    if sys.argv[1] == f"before {len(written)}":
        os.kill(os.getpid(), signal.SIGKILL)
    real(path, content)
    written.append(path)
    if sys.argv[1] == "after the index" and path.name == "index.json":
        os.kill(os.getpid(), signal.SIGKILL)
day_files.write_whole = write_whole
with accuracy_days.accuracy_days(deployment):
    pass
"""


@pytest.mark.parametrize("point", ["before 0", "before 1", "before 2", "after the index"])
def test_a_kill_leaves_the_old_partitions_or_the_new_ones(decided: Deployment, point: str) -> None:
    book(decided, TODAY - 2, TODAY - 1)
    old = files(decided)
    book(decided, TODAY - 1, TODAY)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    folder = Path(decided.settings.lake / "standing" / "accuracy_days")
    kept = module._kept(folder)
    assert kept.high_water == (4 if point == "after the index" else 2)
    if point != "after the index":
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in old} == old
    book(decided, TODAY)
    now = [f"{TODAY - 2}-1.npy", f"{TODAY - 1}-3.npy", f"{TODAY}-5.npy", "index.json"]
    assert sorted(files(decided)) == now
    whole(decided)

"""Standing from the ledgers of a deployment: paid, checkpointed, and never half-published. Whatever is wrong with a ledger line, a
validator or the clock is refused by name, and the epoch before stays in force."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from sqlalchemy import func, select

from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle import standing, standing_state
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.override import override_round
from sigma_core.lifecycle.resolution import resolve_round
from sigma_core.lifecycle.standing import newest_snapshot, publish_weights
from sigma_core.lifecycle.standing_checkpoints import newest_checkpoint
from sigma_core.lifecycle.standing_state import accuracy_today, engine_disagreements, reputation_today
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    PayoutEntryRow,
    ReputationEntryRow,
    RoundRow,
    SeatRow,
    SubmissionRow,
    ValidatorRow,
    WeightEpochRow,
)
from sigma_core.timestamps import day_number, utc_now

ROUND = "rnd_test_1"
TODAY = day_number(utc_now())


@pytest.fixture
def booked(deployment: Deployment) -> Deployment:
    """A deployment with a decided round that nobody has booked, written as its stages would have."""
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
                opened_at=utc_now(), decided_at=utc_now() - timedelta(days=5),
            )
        )  # fmt: skip
    return deployment


def entry(deployment: Deployment, key: str, **changes: Any) -> None:
    """One more line of the accuracy ledger."""
    drawn = newest_snapshot(deployment).rows
    line: dict[str, Any] = {
        "entry_key": key, "validator_id": drawn[0].validator_id, "round_id": ROUND, "seat": "1.1", "day": TODAY - 3,
        "aligned_q10": 1024, "misaligned_q10": 51, "reason": "ALIGNED", "truth_source": "UNANIMOUS",
        "policy_hash": deployment.policy.hash, **changes,
    }  # fmt: skip
    with deployment.sessions.begin() as session:
        session.add(AccuracyEntryRow(**line))


def at_day(monkeypatch: pytest.MonkeyPatch, day: int) -> None:
    moment = utc_now() + timedelta(days=day - TODAY)
    for module in (standing, standing_state):
        monkeypatch.setattr(module, "utc_now", lambda: moment)


def published(deployment: Deployment) -> list[tuple[int, str]]:
    with deployment.read_sessions() as session:
        return [tuple(row) for row in session.execute(select(WeightEpochRow.epoch, WeightEpochRow.merkle_root))]


def change_validator(deployment: Deployment, which: int | None = 0, **values: Any) -> None:
    with deployment.sessions.begin() as session:
        rows = session.scalars(select(ValidatorRow).order_by(ValidatorRow.id)).all()
        for row in rows if which is None else [rows[which]]:
            for name, value in values.items():
                setattr(row, name, value)


class TestRefusals:
    def refused(self, deployment: Deployment, rule: str) -> None:
        before = published(deployment)
        snapshot = newest_snapshot(deployment)
        with pytest.raises(LedgerInvalid, match=rule):
            publish_weights(deployment)
        assert published(deployment) == before
        assert newest_snapshot(deployment) == snapshot

    @pytest.mark.parametrize(
        ("changes", "rule"),
        [
            pytest.param({"policy_hash": "f" * 64}, "policy that is not on record", id="foreign policy hash"),
            pytest.param({"day": TODAY + 1}, "of a day that has not come", id="clock jumped ahead"),
            pytest.param({"day": TODAY - 6}, "before the truth of its round was known", id="clock jumped back"),
            pytest.param({"aligned_q10": -5_000}, "falls below zero", id="more taken back than was given"),
            pytest.param({"aligned_q10": 10**9}, "a day's sum is at most", id="points beyond the day's limit"),
        ],
    )
    def test_a_ledger_line(self, booked: Deployment, changes: dict[str, Any], rule: str) -> None:
        entry(booked, "good")
        entry(booked, "bad", **changes)
        self.refused(booked, rule)

    def test_a_line_of_a_validator_that_was_suspended_when_the_round_was_drawn(self, booked: Deployment) -> None:
        change_validator(booked, status="SUSPENDED")
        assert publish_weights(booked).epoch == 2
        with booked.sessions.begin() as session:
            session.get_one(RoundRow, ROUND).weights_epoch = 2
        entry(booked, "late")
        self.refused(booked, "line late .* without weight in the epoch that drew the round: suspended")

    def test_a_line_of_a_round_that_is_not_resolved(self, booked: Deployment) -> None:
        with booked.sessions.begin() as session:
            row = session.get_one(RoundRow, ROUND)
            row.outcome, row.scored, row.truth, row.truth_source = "ESCALATED", False, None, None
        entry(booked, "early")
        self.refused(booked, "line early .* is of a round whose truth nobody knows yet")

    @pytest.mark.parametrize(
        ("stake", "rule"),
        [(-1, "has a negative stake"), (2**62, "has a stake beyond 2\\^53 − 1")],
        ids=["negative stake", "absurd stake"],
    )
    def test_a_stake(self, booked: Deployment, stake: int, rule: str) -> None:
        change_validator(booked, stake_micro_usd=stake)
        self.refused(booked, rule)

    def test_an_epoch_in_which_nobody_has_weight(self, booked: Deployment) -> None:
        change_validator(booked, which=None, status="SUSPENDED")
        self.refused(booked, "nobody has weight")

    def test_a_clock_that_went_back(self, booked: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
        at_day(monkeypatch, TODAY - 1)
        self.refused(booked, f"today is day {TODAY - 1}, before day {TODAY} of epoch 1: check the clock")

    def test_after_a_refusal_the_ledger_without_the_line_is_published(self, booked: Deployment) -> None:
        entry(booked, "good")
        entry(booked, "bad", day=TODAY + 9)
        self.refused(booked, "line bad")
        with booked.sessions.begin() as session:
            session.delete(session.scalars(select(AccuracyEntryRow).filter_by(entry_key="bad")).one())
        assert publish_weights(booked).epoch == 2


def test_an_epoch_without_a_line_is_published_once_a_day(booked: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    assert publish_weights(booked).epoch == 1
    at_day(monkeypatch, TODAY + 400)
    assert publish_weights(booked).epoch == 2
    assert publish_weights(booked).epoch == 2


class TestCheckpoints:
    def lines(self, deployment: Deployment, days: list[int]) -> None:
        drawn = newest_snapshot(deployment).rows
        with deployment.sessions.begin() as session:
            for number, day in enumerate(days):
                validator = drawn[number % 3].validator_id
                common = {
                    "validator_id": validator,
                    "round_id": ROUND,
                    "day": day,
                    "policy_hash": deployment.policy.hash,
                }
                session.add(
                    AccuracyEntryRow(
                        entry_key=f"{day}/{number}", seat="1.1", aligned_q10=1000 + number, misaligned_q10=51,
                        reason="ALIGNED", truth_source="UNANIMOUS", **common,
                    )
                )  # fmt: skip
                session.add(
                    ReputationEntryRow(entry_key=f"{day}/{number}", kind="CONSTRUCTIVE", detail={}, **common),
                )

    def standing(self, deployment: Deployment) -> tuple[pl.DataFrame, pl.DataFrame]:
        return accuracy_today(deployment), reputation_today(deployment)

    def same_without(self, deployment: Deployment) -> None:
        """The same integers with the checkpoints and after they are gone."""
        assert engine_disagreements(deployment) == []
        with_them = self.standing(deployment)
        for file in (deployment.settings.lake / "standing").rglob("*.parquet"):
            file.unlink()
        for kept, replayed in zip(with_them, self.standing(deployment), strict=True):
            assert kept.equals(replayed)

    def test_the_days_update_starts_from_a_closed_day_and_equals_the_full_replay(
        self, booked: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.lines(booked, [TODAY - 4, TODAY - 4, TODAY - 1, TODAY])
        self.standing(booked)
        kept = newest_checkpoint(booked, "accuracy")
        assert kept is not None
        assert (kept.day, kept.high_water) == (TODAY - 1, 3)
        for later in (1, 2, 9):
            at_day(monkeypatch, TODAY + later)
            self.lines(booked, [TODAY + later] * later)
            self.standing(booked)
        assert newest_checkpoint(booked, "reputation") is not None
        self.same_without(booked)

    def test_a_line_that_is_booked_late_for_a_closed_day_starts_the_replay_over(
        self, booked: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.lines(booked, [TODAY - 4, TODAY - 2])
        self.standing(booked)
        self.lines(booked, [TODAY, TODAY - 3, TODAY])
        self.same_without(booked)
        at_day(monkeypatch, TODAY + 1)
        self.same_without(booked)

    def test_lines_in_any_order_of_days_give_the_same(self, booked: Deployment) -> None:
        days = [TODAY - 1, TODAY - 4, TODAY, TODAY - 3, TODAY - 4]
        self.lines(booked, days)
        self.same_without(booked)

    def test_a_replay_up_to_an_earlier_line_does_not_use_a_later_checkpoint(self, booked: Deployment) -> None:
        self.lines(booked, [TODAY - 4, TODAY - 2])
        first_only = accuracy_today(booked, up_to=1)
        self.standing(booked)
        assert accuracy_today(booked, up_to=1).equals(first_only)
        assert first_only.height == 1


KILLED = """
import os, signal, sys
from sigma_core.lifecycle import booking, standing
from sigma_core.lifecycle.opening import open_deployment
deployment = open_deployment()
if sys.argv[1] == "between ledger and weights":
    booking.book_known_truths(deployment)
elif sys.argv[1] == "in the booking":
    real = booking.append_lines
    def append_lines(session, lines):
        real(session, lines)
        session.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    booking.append_lines = append_lines
    booking.book_known_truths(deployment)
else:
    booking.book_known_truths(deployment)
    real = deployment.blobs.put
    def put(data):
        real(data)
        os.kill(os.getpid(), signal.SIGKILL)
    deployment.blobs.put = put
    standing.publish_weights(deployment)
os.kill(os.getpid(), signal.SIGKILL)
"""


POINTS = pytest.mark.parametrize(
    "point", ["in the booking", "between ledger and weights", "between snapshot and epoch"]
)


def seated(deployment: Deployment) -> None:
    """Ten SAFE votes in the round."""
    with deployment.sessions.begin() as session:
        for number, row in enumerate(newest_snapshot(deployment).rows[:10]):
            session.add(
                SeatRow(
                    round_id=ROUND, phase=1 + number // 5, number=1 + number % 5, validator_id=row.validator_id,
                    operator=row.operator, family=row.family, ticket_index=number, replaces=None, relaxations=[],
                    status="REVEALED", verdict="SAFE", commitment=None, salt=None, result_sha256=None, score_ppm=0,
                    finding_count=0, revealed_at=utc_now(),
                )
            )  # fmt: skip


def killed_at(deployment: Deployment, point: str) -> None:
    """A run that is killed there, after which the epoch before is still the newest."""
    before = published(deployment)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert published(deployment) == before
    newest_snapshot(deployment)


@POINTS
def test_a_run_that_is_killed_leaves_the_epoch_before_in_force_and_is_finished_by_the_next(
    booked: Deployment, point: str
) -> None:
    seated(booked)
    killed_at(booked, point)
    book_known_truths(booked)
    assert publish_weights(booked).epoch == 2
    with booked.read_sessions() as session:
        assert len(session.scalars(select(AccuracyEntryRow)).all()) == 10
        lines = session.scalars(select(PayoutEntryRow)).all()
    assert len(lines) == 12
    assert sum(line.amount_micro_usd for line in lines) == 0
    assert {line.amount_micro_usd > 0 for line in lines if line.kind == "PAYOUT"} == {True}
    assert engine_disagreements(booked) == []


@POINTS
def test_a_correction_that_is_killed_is_booked_whole_or_not_at_all(booked: Deployment, point: str) -> None:
    seated(booked)
    book_known_truths(booked)
    assert publish_weights(booked).epoch == 2
    override_round(booked, ROUND, RoundOutcome.REJECTED, actor="operator:ada", reason="steals tokens")
    resolve_round(booked, ROUND, Verdict.UNSAFE, actor="operator:ada", reason="steals tokens")
    killed_at(booked, point)
    with booked.read_sessions() as session:
        assert session.scalar(select(func.count(AccuracyEntryRow.id))) == (10 if point == "in the booking" else 30)

    book_known_truths(booked)
    assert publish_weights(booked).epoch == 3
    with booked.read_sessions() as session:
        reasons = Counter(session.scalars(select(AccuracyEntryRow.reason)))
        assert reasons == {"ALIGNED": 10, "COMPENSATION": 10, "MISALIGNED": 10}
        assert sum(session.scalars(select(PayoutEntryRow.amount_micro_usd))) == 0
    assert engine_disagreements(booked) == []

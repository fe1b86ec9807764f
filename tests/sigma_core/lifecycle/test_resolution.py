"""Escalations resolved and truths corrected: the votes are scored on the day of the resolution, by its rates, and nothing is overwritten."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from issued import decided_round, split_round
from sqlalchemy import inspect, select

from sigma_core.assembly.consensus import RoundOutcome, TruthSource
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle import standing, standing_state
from sigma_core.lifecycle.accuracy_days import differing_days
from sigma_core.lifecycle.booking import book_known_truths, payout_totals
from sigma_core.lifecycle.facts import derive_and_keep
from sigma_core.lifecycle.override import override_round
from sigma_core.lifecycle.panels import RoundNotReady, Run, open_round
from sigma_core.lifecycle.replay import public_document, replay_kept_round, replay_public_document
from sigma_core.lifecycle.report import RoundUnknown
from sigma_core.lifecycle.resolution import ResolutionRefused, resolve_round
from sigma_core.lifecycle.standing import check_ledgers, publish_weights
from sigma_core.lifecycle.standing_state import accuracy_today, engine_disagreements, reputation_today
from sigma_core.lifecycle.truths import rates_of_epoch
from sigma_core.standing.points import RoundKind
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    AuditTrailRow,
    PayoutEntryRow,
    ProtocolBase,
    ReputationEntryRow,
    RoundResolutionRow,
    RoundRow,
)
from sigma_core.submissions.package import Package
from sigma_core.timestamps import day_number, utc_now

SAFE, UNSAFE = Verdict.SAFE, Verdict.UNSAFE
Submitted = Callable[..., str]
on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def split(deployment: Deployment, honest: Package, submitted: Submitted) -> str:
    """A round with one vote against nine."""
    return split_round(deployment, submitted(honest))


def resolve(deployment: Deployment, round_id: str, truth: Verdict, **options: Any) -> Any:
    return resolve_round(deployment, round_id, truth, **({"actor": "operator:ada", "reason": "read it"} | options))


def rows(deployment: Deployment, table: type[ProtocolBase]) -> list[Any]:
    with deployment.read_sessions() as session:
        return list(session.scalars(select(table).order_by(*inspect(table).primary_key)))


def decided_at(deployment: Deployment, round_id: str, days_ago: int) -> datetime:
    """Move a round's decision into the past."""
    with deployment.sessions.begin() as session:
        row = session.get_one(RoundRow, round_id)
        row.decided_at = utc_now() - timedelta(days=days_ago)
        return row.decided_at


def ago(days: int) -> datetime:
    return utc_now() - timedelta(days=days)


TODAY = day_number(utc_now())


@on_each_database
def test_an_escalation_scores_nobody_until_it_is_resolved_and_then_on_the_day_of_the_resolution(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    split = split_round(deployment, submitted(honest))
    decided_at(deployment, split, 9)
    assert book_known_truths(deployment).rounds == 0
    assert rows(deployment, AccuracyEntryRow) == rows(deployment, PayoutEntryRow) == []

    known = resolve(deployment, split, SAFE, at=ago(3))
    booked = book_known_truths(deployment)
    assert (booked.rounds, booked.late_resolutions, booked.corrections, booked.compensations) == (0, 1, 0, 0)
    entries = rows(deployment, AccuracyEntryRow)
    assert len(entries) == booked.accuracy_entries == 10
    assert Counter(entry.reason for entry in entries) == {"ALIGNED": 9, "MISALIGNED": 1}
    assert {(entry.day, entry.truth_source) for entry in entries} == {(TODAY - 3, "OPERATOR")}
    kinds = Counter(event.kind for event in rows(deployment, ReputationEntryRow))
    assert kinds == {"CONSTRUCTIVE": 9, "ATTRIBUTABLE_ESCALATION": 1}
    assert book_known_truths(deployment).late_resolutions == 0

    [row], [kept], [trail] = (rows(deployment, table) for table in (RoundRow, RoundResolutionRow, AuditTrailRow))
    assert (row.outcome, row.scored, row.truth, row.truth_source) == ("ESCALATED", False, None, None)
    assert (kept.number, kept.truth, kept.truth_source, kept.actor, kept.reason, kept.resolved_at) == (
        0,
        "SAFE",
        "OPERATOR",
        "operator:ada",
        "read it",
        known.known_at,
    )
    assert (trail.action, trail.subject, trail.actor, trail.reason) == (
        "round.resolve",
        split,
        "operator:ada",
        "read it",
    )
    check_ledgers(deployment)
    assert publish_weights(deployment).epoch == 2
    assert engine_disagreements(deployment) == differing_days(deployment) == []


@on_each_database
def test_a_second_resolution_is_a_correction_that_takes_the_first_back_in_every_ledger(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    split = split_round(deployment, submitted(honest))
    decided_at(deployment, split, 9)
    resolve(deployment, split, UNSAFE, at=ago(8))
    book_known_truths(deployment)
    first = {table: rows(deployment, table) for table in (AccuracyEntryRow, ReputationEntryRow, PayoutEntryRow)}
    resolve(deployment, split, SAFE, at=ago(2), reason="looked again")
    booked = book_known_truths(deployment)
    assert (booked.late_resolutions, booked.corrections) == (0, 1)
    assert booked.compensations == sum(map(len, first.values()))

    for table, lines in first.items():
        kept = {row.entry_key: row for row in rows(deployment, table)}
        assert {line.entry_key for line in lines} < set(kept)
        undone = [kept[f"{line.entry_key}/undo"] for line in lines]
        assert {line.day for line in undone} == {TODAY - 2}
    assert [row.truth for row in rows(deployment, RoundResolutionRow)] == ["UNSAFE", "SAFE"]
    assert payout_totals(deployment).unbalanced_rounds == []
    money = Counter[str]()
    for line in rows(deployment, PayoutEntryRow):
        if "/payout/0" in line.entry_key:
            money[str(line.validator_id)] += line.amount_micro_usd
    assert set(money.values()) == {0}

    # Who was on the right side stands as though only the correction had ever been booked, to the floors of the decay.
    aligned = next(
        row.validator_id for row in rows(deployment, AccuracyEntryRow) if row.entry_key.endswith("2.1/score/1")
    )
    accuracies = dict(accuracy_today(deployment).select("validator_id", "misaligned_q10").iter_rows())
    assert accuracies[aligned] <= 51 + 6
    reputations = dict(reputation_today(deployment).select("validator_id", "reputation_ppm").iter_rows())
    assert abs(reputations[aligned] - 502_000) < 100
    check_ledgers(deployment)
    assert engine_disagreements(deployment) == differing_days(deployment) == []


def test_a_correction_that_is_booked_with_its_predecessor_gives_the_same_lines_as_one_by_one(
    deployment: Deployment, split: str
) -> None:
    decided_at(deployment, split, 9)
    resolve(deployment, split, UNSAFE, at=ago(8))
    resolve(deployment, split, SAFE, at=ago(2))
    assert (booked := book_known_truths(deployment)).late_resolutions == booked.corrections == 1

    def lines() -> list[list[tuple[Any, ...]]]:
        return [
            [
                tuple(getattr(row, c.key) for c in table.__table__.columns if c.key != "id")
                for row in rows(deployment, table)
            ]
            for table in (AccuracyEntryRow, ReputationEntryRow, PayoutEntryRow)
        ]

    together = lines()
    with deployment.sessions.begin() as session:
        later = session.get_one(RoundResolutionRow, (split, 1))
        kept = {c.key: getattr(later, c.key) for c in RoundResolutionRow.__table__.columns}
        session.delete(later)
        for table in (AccuracyEntryRow, ReputationEntryRow, PayoutEntryRow):
            for row in session.scalars(select(table)):
                session.delete(row)
    book_known_truths(deployment)
    with deployment.sessions.begin() as session:
        session.add(RoundResolutionRow(**kept))
    book_known_truths(deployment)
    assert lines() == together


def test_the_rates_are_those_of_the_resolutions_epoch_and_what_is_known_later_never_changes_them(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    first = split_round(deployment, submitted(honest))
    second = split_round(deployment, submitted(honest), run="run-2")
    for round_id in (first, second):
        decided_at(deployment, round_id, 9)
    resolve(deployment, first, UNSAFE, at=ago(6))

    def unsafe(day: int) -> int:
        with deployment.read_sessions() as session:
            rates = rates_of_epoch(session, day, deployment.policy.standing)
        return rates.multiplier_q10(RoundKind.CERTIFICATE, UNSAFE, deployment.policy.standing)

    assert (unsafe(TODAY - 6), unsafe(TODAY - 5)) == (1024, 939)  # 11 / (2 · 6), once it is known
    resolve(deployment, second, UNSAFE, at=ago(4))
    resolve(deployment, first, SAFE, at=ago(2))
    assert [unsafe(TODAY - ago_) for ago_ in (6, 5, 4, 3, 2, 1)] == [1024, 939, 939, 878, 878, 1024]
    book_known_truths(deployment)
    points = {row.entry_key: row.misaligned_q10 for row in rows(deployment, AccuracyEntryRow) if row.seat == "2.1"}
    assert points[f"{second}/2.1/score/0"] == 939 + 51


def test_late_resolutions_out_of_order_and_corrections_are_the_same_by_the_days_update_and_by_full_replay(
    deployment: Deployment, honest: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = [split_round(deployment, submitted(honest), unsafe=n, run=f"run-{n}") for n in (1, 2, 3)]
    for round_id in rounds:
        decided_at(deployment, round_id, 30)

    def update() -> None:
        book_known_truths(deployment)
        accuracy_today(deployment)
        reputation_today(deployment)

    for round_id, truth, days in (
        (rounds[1], UNSAFE, 4),  # booked first, and of the latest day
        (rounds[0], UNSAFE, 20),
        (rounds[2], SAFE, 11),
        (rounds[0], SAFE, 3),
        (rounds[2], UNSAFE, 3),
        (rounds[0], UNSAFE, 0),
    ):
        resolve(deployment, round_id, truth, at=ago(days))
        update()
    for later in (0, 1, 40):
        moment = utc_now() + timedelta(days=later)
        for module in (standing, standing_state):
            monkeypatch.setattr(module, "utc_now", lambda moment=moment: moment)
        assert engine_disagreements(deployment) == differing_days(deployment) == []
        check_ledgers(deployment)
        kept = accuracy_today(deployment), reputation_today(deployment)
        for path in (deployment.settings.lake / "standing").rglob("*.*"):
            path.unlink()
        replayed = accuracy_today(deployment), reputation_today(deployment)
        assert all(one.equals(other) for one, other in zip(kept, replayed, strict=True))
    assert kept[0].filter(pl.any_horizontal(pl.col("aligned_q10", "misaligned_q10") < 0)).is_empty()
    assert payout_totals(deployment).unbalanced_rounds == []


class TestWhoIsBelieved:
    def test_an_operator_corrects_what_a_unanimous_round_took_for_truth_once_its_approval_is_overridden(
        self, deployment: Deployment, honest: Package, submitted: Submitted
    ) -> None:
        approved = decided_round(deployment, submitted(honest))
        book_known_truths(deployment)
        with pytest.raises(ResolutionRefused, match="stands APPROVED") as refused:
            resolve(deployment, approved, UNSAFE)
        assert refused.value.hint == f"first: sigma operator override {approved} --outcome REJECTED"
        override_round(deployment, approved, RoundOutcome.REJECTED, actor="a", reason="steals tokens")
        assert resolve(deployment, approved, UNSAFE).number == 1
        assert book_known_truths(deployment).corrections == 1
        kinds = Counter(event.kind for event in rows(deployment, ReputationEntryRow))
        assert kinds == {"CONSTRUCTIVE": 10, "COMPENSATION": 10, "DISPUTED": 10}
        assert replay_kept_round(deployment, approved).differences == ()

    def test_a_weaker_source_never_corrects_a_stronger_one(self, deployment: Deployment, split: str) -> None:
        resolve(deployment, split, SAFE, source=TruthSource.MONITORING)
        for weaker in (TruthSource.OPERATOR, TruthSource.THIRD_PANEL):
            with pytest.raises(
                ResolutionRefused, match="known to be SAFE by MONITORING, a stronger source of truth than"
            ):
                resolve(deployment, split, UNSAFE, source=weaker)
        assert resolve(deployment, split, UNSAFE, source=TruthSource.MONITORING).number == 1

    def test_an_operator_never_corrects_a_canarys_label(self, deployment: Deployment, split: str) -> None:
        with deployment.sessions.begin() as session:
            row = session.get_one(RoundRow, split)
            row.scored, row.truth, row.truth_source = True, "UNSAFE", "CANARY_LABEL"
        with pytest.raises(ResolutionRefused, match="CANARY_LABEL, a stronger source"):
            resolve(deployment, split, SAFE)

    def test_an_operator_and_a_third_panel_are_equals(self, deployment: Deployment, split: str) -> None:
        resolve(deployment, split, SAFE, source=TruthSource.THIRD_PANEL)
        assert resolve(deployment, split, UNSAFE).number == 1
        assert resolve(deployment, split, SAFE, source=TruthSource.THIRD_PANEL).number == 2


class TestRefusals:
    def test_what_is_known_already(self, deployment: Deployment, honest: Package, submitted: Submitted) -> None:
        approved = decided_round(deployment, submitted(honest))
        with pytest.raises(ResolutionRefused, match="known to be SAFE by its UNANIMOUS: there is nothing to correct"):
            resolve(deployment, approved, SAFE)

    def test_the_same_truth_again_is_the_same_resolution(self, deployment: Deployment, split: str) -> None:
        first = resolve(deployment, split, SAFE)
        assert resolve(deployment, split, SAFE, actor="operator:bo", reason="me too") == first
        assert len(rows(deployment, RoundResolutionRow)) == len(rows(deployment, AuditTrailRow)) == 1

    def test_a_clock_that_went_back(self, deployment: Deployment, split: str) -> None:
        with pytest.raises(ResolutionRefused, match="check the clock"):
            resolve(deployment, split, SAFE, at=ago(1))
        assert rows(deployment, RoundResolutionRow) == []

    def test_a_round_that_is_not_there_or_not_decided(
        self, deployment: Deployment, honest: Package, submitted: Submitted
    ) -> None:
        submission = submitted(honest)
        with pytest.raises(RoundUnknown, match="no round has the id"):
            resolve(deployment, submission, SAFE)
        derive_and_keep(deployment, submission)
        opened = open_round(deployment, submission, Run("run-1", "run-1"))
        with pytest.raises(RoundNotReady, match="is not decided yet"):
            resolve(deployment, opened, SAFE)

    @pytest.mark.parametrize(
        ("options", "rule"),
        [
            ({"reason": " "}, "reason: 1 to 1000 printable"),
            ({"reason": "x" * 1001}, "reason: 1 to 1000 printable"),
            ({"actor": "a\u202eb"}, "actor: 1 to 120 printable"),
            ({"source": TruthSource.UNANIMOUS}, "SAFE or UNSAFE, by one of MONITORING, OPERATOR, THIRD_PANEL"),
        ],
    )
    def test_words_and_sources(self, deployment: Deployment, split: str, options: dict[str, Any], rule: str) -> None:
        with pytest.raises(SigmaError, match=rule):
            resolve(deployment, split, SAFE, **options)
        with pytest.raises(SigmaError, match="SAFE or UNSAFE"):
            resolve(deployment, split, Verdict.ABSTAIN)


class TestReplay:
    def document(self, deployment: Deployment, round_id: str) -> dict[str, Any]:
        with deployment.read_sessions() as session:
            return dict(json.loads(public_document(deployment, session.get_one(RoundRow, round_id))))

    def test_a_resolved_and_corrected_round_replays_with_its_points_conduct_and_payouts(
        self, deployment: Deployment, split: str
    ) -> None:
        before = self.document(deployment, split)
        decided_at(deployment, split, 9)
        for truth, days in ((UNSAFE, 8), (SAFE, 5), (UNSAFE, 1)):
            resolve(deployment, split, truth, at=ago(days))
        assert self.document(deployment, split) == before  # a truth counts there once it is scored
        book_known_truths(deployment)
        document = self.document(deployment, split)
        assert {name: document[name] for name in before if name != "standing"} == {
            name: before[name] for name in before if name != "standing"
        }
        assert [truth["truth"] for truth in document["standing"]["truths"]] == ["UNSAFE", "SAFE", "UNSAFE"]
        assert len(document["standing"]["accuracyEntries"]) == 50
        replayed = replay_kept_round(deployment, split)
        assert replayed.differences == ()
        assert [line.split(": ")[0] for line in replayed.unchecked if line.startswith("$.standing")] == [
            "$.standing.truths[].baseRates",
            "$.standing.truths",
            "$.standing.reputationEvents[].detail.change_ppm",
        ]

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            (("accuracyEntries", 3, "alignedQ10"), 5000),
            (("accuracyEntries", 12, "misalignedQ10"), 0),
            (("reputationEvents", 0, "kind"), "DISPUTED"),
            (("payoutLines", 1, "amountMicroUsd"), 1),
            (("truths", 0, "truth"), "SAFE"),
            (("truths", 0, "actor"), None),
            (("truths", 1, "truthSource"), "UNANIMOUS"),
            (("truths", 1, "policyHash"), "0" * 64),
            (("truths", 0, "day"), 10**9),
            (("truths", 0, "baseRates", "blind"), [1, 5]),
            (("accuracyEntries",), []),
        ],
    )
    def test_whatever_is_changed_in_the_standing_is_named(
        self, deployment: Deployment, split: str, place: tuple[Any, ...], value: object
    ) -> None:
        decided_at(deployment, split, 9)
        for truth, days in ((UNSAFE, 8), (SAFE, 5)):
            resolve(deployment, split, truth, at=ago(days))
        book_known_truths(deployment)
        document = self.document(deployment, split)
        inside = document["standing"]
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = value
        differences = replay_public_document(json.dumps(document).encode()).differences
        assert differences
        assert all(line.startswith("$.standing") for line in differences)

    def test_one_leaf_of_each_kind_in_the_whole_record_is_named_or_said_to_be_uncovered(
        self, deployment: Deployment, split: str
    ) -> None:
        decided_at(deployment, split, 9)
        for truth, days in ((UNSAFE, 8), (SAFE, 5)):
            resolve(deployment, split, truth, at=ago(days))
        book_known_truths(deployment)
        override_round(deployment, split, RoundOutcome.REJECTED, actor="operator:ada", reason="read it")
        document = self.document(deployment, split)
        unnoticed = set()
        for name, keys in one_of_each_kind(document).items():
            changed = json.loads(json.dumps(document))
            inside = changed
            for key in keys[:-1]:
                inside = inside[key]
            inside[keys[-1]] = another(inside[keys[-1]])
            replayed = replay_public_document(json.dumps(changed).encode())
            if not replayed.differences:
                unnoticed.add(name)
                places = [line.split(": ")[0].removeprefix("$.") for line in replayed.unchecked]
                assert any(name.startswith(place) for place in places), name
        assert unnoticed == {
            "canary.bankSha256",
            "overrides[].actor",
            "overrides[].outcome",
            "overrides[].reason",
            "standing.reputationEvents[].detail.change_ppm",
            "standing.truths[].actor",
            "standing.truths[].reason",
            # No vote of this round was scored by it.
            "standing.truths[].baseRates.monitoring[]",
        }


def one_of_each_kind(value: Any, name: str = "", keys: tuple[Any, ...] = ()) -> dict[str, tuple[Any, ...]]:
    """Where the last leaf of each name stands: places of a list share one."""
    if isinstance(value, dict) and value:
        steps = [(f"{name}.{key}".removeprefix("."), key, inner) for key, inner in value.items()]
    elif isinstance(value, list) and value:
        steps = [(f"{name}[]", index, inner) for index, inner in enumerate(value)]
    else:
        return {name: keys}
    found: dict[str, tuple[Any, ...]] = {}
    for inner_name, key, inner in steps:
        found |= one_of_each_kind(inner, inner_name, (*keys, key))
    return found


def another(value: Any) -> Any:
    """A value of the same form that is not this one; a member of a closed list becomes another one."""
    words = {"SAFE": "UNSAFE", "UNSAFE": "SAFE", "REJECTED": "APPROVED", "ESCALATED": "APPROVED", "REVEALED": "NO_SHOW"}
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        last = value[-1:]
        return words.get(
            value, value[:-1] + ("0" if last != "0" else "1") if last in "0123456789abcdef" else value + "x"
        )
    return {"x": 1} if isinstance(value, dict) else ["x"] if isinstance(value, list) else "00" * 32

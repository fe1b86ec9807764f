"""Two operators who decide about one round at once: each decision is on record once, and they follow each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from assembly_steps import killed_before_the_second_wave, opened, seats_of
from issued import decided_round, split_round
from sqlalchemy import select

from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.operator_decisions import overrides_of
from sigma_core.lifecycle.override import override_round
from sigma_core.lifecycle.replay import replay_kept_round
from sigma_core.lifecycle.resolution import resolve_round
from sigma_core.lifecycle.round_requests import request_appeal, request_re_audit
from sigma_core.lifecycle.seat_replacement import replace_seat
from sigma_core.lifecycle.truths import truths_of
from sigma_core.storage.protocol import AuditTrailRow, RoundRequestRow
from sigma_core.submissions.package import Package

on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
Submitted = Callable[..., str]
WORDS: tuple[dict[str, Any], ...] = (
    {"actor": "operator:ada", "reason": "read it"},
    {"actor": "operator:bob", "reason": "read it too"},
)


def at_once(*decisions: Callable[[], Any]) -> list[Any]:
    """What each of them returned, begun together."""
    together = Barrier(len(decisions))

    def decide(decision: Callable[[], Any]) -> Any:
        together.wait()
        return decision()

    with ThreadPoolExecutor(len(decisions)) as pool:
        return list(pool.map(decide, decisions))


def trail(deployment: Deployment, action: str) -> int:
    with deployment.read_sessions() as session:
        return len(session.scalars(select(AuditTrailRow).where(AuditTrailRow.action == action)).all())


@on_each_database
def test_overrides_follow_each_other_and_the_one_that_was_made_last_counts(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    round_id = split_round(deployment, submitted(honest))
    first, second = at_once(
        lambda: override_round(deployment, round_id, RoundOutcome.REJECTED, **WORDS[0]),
        lambda: override_round(deployment, round_id, RoundOutcome.APPROVED, **WORDS[1]),
    )
    assert {first.number, second.number} == {1, 2}
    with deployment.read_sessions() as session:
        kept = overrides_of(session, round_id)
    assert kept == sorted([first, second], key=lambda override: override.number)
    assert trail(deployment, "round.override") == 2
    assert replay_kept_round(deployment, round_id).differences == ()


@on_each_database
def test_resolutions_follow_each_other_and_are_scored_as_a_truth_and_its_correction(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    round_id = split_round(deployment, submitted(honest))
    at_once(
        lambda: resolve_round(deployment, round_id, Verdict.SAFE, **WORDS[0]),
        lambda: resolve_round(deployment, round_id, Verdict.UNSAFE, **WORDS[1]),
    )
    with deployment.read_sessions() as session:
        assert [known.number for known in truths_of(session, round_id)] == [0, 1]
    booked = at_once(lambda: book_known_truths(deployment), lambda: book_known_truths(deployment))
    assert sum(each.corrections for each in booked) == sum(each.late_resolutions for each in booked) == 1
    assert replay_kept_round(deployment, round_id).differences == ()


@on_each_database
def test_one_appeal_and_one_re_audit_are_asked_for_however_many_ask(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    round_id = decided_round(deployment, submission)
    appeals = at_once(*[lambda words=words: request_appeal(deployment, round_id, **words) for words in WORDS])
    audits = at_once(*[lambda words=words: request_re_audit(deployment, submission, **words) for words in WORDS])
    assert appeals[0] == appeals[1]
    assert audits[0] == audits[1]
    with deployment.read_sessions() as session:
        assert len(session.scalars(select(RoundRequestRow)).all()) == 2


@on_each_database
def test_a_seat_is_taken_from_its_holder_once(
    deployment: Deployment, honest: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_id = opened(deployment, submitted(honest))
    killed_before_the_second_wave(deployment, round_id, monkeypatch)
    [pending] = [seat.number for seat in seats_of(deployment, round_id) if seat.status == "PENDING"]
    first, second = at_once(
        *[lambda words=words: replace_seat(deployment, round_id, pending, **words) for words in WORDS]
    )
    assert first == second
    assert trail(deployment, "seat.replace") == 1

"""Planted files in phases that are kept step by step: every panel gets them, and what nobody opened stays unknown there too; what
such seats are scored as follows from the public record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from assembly_steps import age, killed_before_the_second_wave, opened, say, seats_of
from sqlalchemy import select, update

from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.outcome import convene_third_panel, decide_round
from sigma_core.lifecycle.panels import PanelRecord, run_phase
from sigma_core.lifecycle.phases import RoundWaits
from sigma_core.lifecycle.replay import public_document, replay_kept_round
from sigma_core.lifecycle.resolution import resolve_round
from sigma_core.lifecycle.round_requests import request_appeal
from sigma_core.policy import DEFAULT_POLICY_FILE, load_policy
from sigma_core.storage.protocol import AccuracyEntryRow, PlantedCanaryRow, RoundRow, ValidatorRow
from sigma_core.submissions.package import Package

Submitted = Callable[..., str]
RULES = load_policy().assembly
ADA = {"actor": "operator:ada", "reason": "the host it calls has changed hands"}


@pytest.fixture
def everywhere(
    planting: None, deployment: Deployment, make_deployment: Callable[..., Deployment], tmp_path: Path
) -> Deployment:
    """A deployment that plants a file for every seat, and has third panels."""
    text, changed = re.subn(r"(?m)^file_rate_ppm = [0-9_]+", "file_rate_ppm = 1000000", DEFAULT_POLICY_FILE.read_text())
    assert changed == 1
    policy = tmp_path / "policy.toml"
    policy.write_text(text.replace("third_panel = false", "third_panel = true"))
    return make_deployment(policy_file=str(policy))


@pytest.fixture
def round_id(everywhere: Deployment, honest: Package, submitted: Submitted) -> str:
    return opened(everywhere, submitted(honest))


def planted_seats(deployment: Deployment, round_id: str) -> list[tuple[int, int]]:
    with deployment.read_sessions() as session:
        rows = session.scalars(select(PlantedCanaryRow).where(PlantedCanaryRow.round_id == round_id))
        return sorted((row.phase, row.seat_number) for row in rows)


def published(deployment: Deployment, row: RoundRow) -> list[tuple[int, int]]:
    """The seats whose planted files the replay document lists, which has to replay."""
    assert replay_kept_round(deployment, row.id).differences == ()
    document: dict[str, Any] = json.loads(public_document(deployment, row))
    return [(each["phase"], each["seat"]) for each in document["canary"]["planted"]]


def finish(deployment: Deployment, round_id: str) -> RoundRow:
    for phase in (1, 2):
        run_phase(deployment, round_id, phase)
    return decide_round(deployment, round_id)


def test_third_panels_and_appeals_get_planted_files_as_other_panels_do(
    everywhere: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        say(patch, lambda phase, seat: Verdict.UNSAFE if (phase, seat) == (2, 3) else Verdict.SAFE)
        for phase in (1, 2):
            run_phase(everywhere, round_id, phase)
        assert isinstance(convene_third_panel(everywhere, round_id), PanelRecord)
    decided = decide_round(everywhere, round_id)
    assert (decided.outcome, decided.truth_source) == ("APPROVED", "THIRD_PANEL")
    assert published(everywhere, decided) == [(phase, seat) for phase in (1, 2, 3) for seat in range(1, 6)]
    request = request_appeal(everywhere, round_id, **ADA)
    appeal = finish(everywhere, opened(everywhere, decided.submission_id, "run-2", request.id))
    assert published(everywhere, appeal) == [(phase, seat) for phase in (1, 2) for seat in range(1, 12)]


def test_a_panel_that_waits_keeps_nothing_of_what_it_was_shown(
    everywhere: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        say(patch, lambda *_: Verdict.ABSTAIN)
        with pytest.raises(RoundWaits):
            run_phase(everywhere, round_id, 1)
    assert planted_seats(everywhere, round_id) == []
    assert len(published(everywhere, finish(everywhere, round_id))) == 10


def test_what_a_seat_said_of_its_planted_file_before_it_was_taken_away_is_not_published(
    everywhere: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_second_wave(everywhere, round_id, monkeypatch)
    out = seats_of(everywhere, round_id)[2].validator_id
    with everywhere.sessions.begin() as session:
        session.execute(update(ValidatorRow).where(ValidatorRow.id == out).values(status="SUSPENDED"))
    decided = finish(everywhere, round_id)
    assert [seat.status for seat in seats_of(everywhere, round_id)][2] == "REMOVED"
    assert (1, 3) in planted_seats(everywhere, round_id)
    first_phase = [seat for phase, seat in published(everywhere, decided) if phase == 1]
    assert first_phase == [1, 2, 4, 5, 6, 7]  # seat 1 abstained openly; 6 and 7 are who was drawn for 1 and 3


def scored(deployment: Deployment, round_id: str) -> dict[str, str]:
    """Why each seat of phase 1 has its points, once the round was resolved; the public record has to give the same."""
    with deployment.read_sessions() as session:
        decided = session.get_one(RoundRow, round_id)
    if not decided.scored:
        resolve_round(deployment, round_id, Verdict.SAFE, **ADA)
    book_known_truths(deployment)
    assert replay_kept_round(deployment, round_id).differences == ()
    with deployment.read_sessions() as session:
        lines = session.scalars(select(AccuracyEntryRow).where(AccuracyEntryRow.round_id == round_id)).all()
    return {line.seat: line.reason for line in lines if line.seat.startswith("1.")}


def test_a_commitment_that_nobody_opened_in_time_is_scored_as_a_late_reveal_and_its_planted_file_stays_unknown(
    everywhere: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_second_wave(everywhere, round_id, monkeypatch)
    age(everywhere, round_id, RULES.phase_deadline_seconds + RULES.reveal_deadline_seconds + 1)
    decided = finish(everywhere, round_id)
    assert decided.outcome == "ESCALATED"
    assert published(everywhere, decided) == [(1, 1), *((2, seat) for seat in range(1, 6))]
    late = {f"1.{seat}": "LATE_REVEAL" for seat in range(2, 6)}
    assert scored(everywhere, round_id) == {"1.1": "ABSTAINED", **late, "1.6": "NO_SHOW"}


def test_who_was_taken_off_a_seat_is_scored_as_an_abstention(
    everywhere: Deployment, round_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_before_the_second_wave(everywhere, round_id, monkeypatch)
    out = seats_of(everywhere, round_id)[2].validator_id
    with everywhere.sessions.begin() as session:
        session.execute(update(ValidatorRow).where(ValidatorRow.id == out).values(status="SUSPENDED"))
    assert finish(everywhere, round_id).outcome == "APPROVED"
    reasons = scored(everywhere, round_id)
    assert [seat for seat, reason in sorted(reasons.items()) if reason == "ABSTAINED"] == ["1.1", "1.3"]

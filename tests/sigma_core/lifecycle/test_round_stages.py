"""The stages of a round: from facts to certificate, each written once, resumable, and never rewritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.verify import verify_bundle
from sigma_core.deployment import Deployment
from sigma_core.lifecycle import invariants
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.facts import derive_and_keep, load_facts
from sigma_core.lifecycle.invariants import (
    InvariantBroken,
    certificate_verifies,
    facts_account_for_every_file,
    findings_are_grounded,
    latest_round,
    outcome_has_its_quorum,
    panels_are_diverse,
)
from sigma_core.lifecycle.outcome import decide_round
from sigma_core.lifecycle.panels import (
    RoundNotReady,
    Run,
    interrupted_submission,
    open_round,
    open_run_key,
    round_of_run,
    run_phase,
)
from sigma_core.lifecycle.replay import replay_kept_round
from sigma_core.lifecycle.standing import publish_weights
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    CertificateRow,
    FactsRow,
    ProtocolBase,
    RoundRow,
    SeatRow,
    SubmissionRow,
)
from sigma_core.storage.usage import CallAttemptRow
from sigma_core.submissions.package import Package, PackageFile
from sigma_core.timestamps import utc_now

on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
Submitted = Callable[..., str]

FIRST, SECOND = Run("run-1", "run-1"), Run("run-2", "run-2")

STAGES: tuple[Callable[[Deployment, str, Run], object], ...] = (
    lambda deployment, submission, _: derive_and_keep(deployment, submission),
    open_round,
    lambda deployment, submission, run: run_phase(deployment, round_of_run(deployment, submission, run), 1),
    lambda deployment, submission, run: run_phase(deployment, round_of_run(deployment, submission, run), 2),
    lambda deployment, submission, run: decide_round(deployment, round_of_run(deployment, submission, run)),
    lambda deployment, submission, run: issue_certificate(deployment, round_of_run(deployment, submission, run)),
)


def audit(deployment: Deployment, submission: str, run: Run = FIRST) -> RoundRow:
    for stage in STAGES:
        stage(deployment, submission, run)
    with deployment.read_sessions() as session:
        return session.get_one(RoundRow, round_of_run(deployment, submission, run))


def rows(deployment: Deployment, table: type[ProtocolBase]) -> list[dict[str, Any]]:
    """Every row, in order of its key, as plain values."""
    columns = table.__table__.columns
    with deployment.read_sessions() as session:
        found = session.execute(select(*columns).order_by(*table.__table__.primary_key.columns))
        return [dict(row._mapping) for row in found]


def usage_rows(deployment: Deployment) -> int:
    with deployment.usage_sessions() as session:
        return session.scalar(select(func.count()).select_from(CallAttemptRow)) or 0


def test_an_honest_skill_gets_a_certificate_that_verifies_against_its_bytes(
    deployment: Deployment, honest: Package, hostile: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    decided = audit(deployment, submission)
    assert (decided.outcome, decided.state, decided.number) == ("APPROVED", "DECIDED", 1)
    certificate = issue_certificate(deployment, decided.id)
    assert certificate is not None
    bundle = deployment.blobs.get(certificate.bundle_sha256)
    verify_bundle(bundle, deployment.trusted_keys, at=utc_now(), package=honest)
    with pytest.raises(VerificationError):
        verify_bundle(bundle, deployment.trusted_keys, at=utc_now(), package=hostile)
    for invariant in (facts_account_for_every_file, certificate_verifies):
        invariant(deployment, submission)
    for rule in (outcome_has_its_quorum, panels_are_diverse):
        rule(deployment, latest_round(deployment, submission))


def test_a_panel_with_one_operator_twice_is_not_diverse(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    decided = audit(deployment, submission)
    panels_are_diverse(deployment, latest_round(deployment, submission))
    with deployment.sessions.begin() as session:
        first, other = (session.get_one(SeatRow, (decided.id, phase, 1)) for phase in (1, 2))
        other.operator, other.relaxations = first.operator, []
    with pytest.raises(InvariantBroken, match=r"seat 2\.1: operator"):
        panels_are_diverse(deployment, latest_round(deployment, submission))
    with deployment.sessions.begin() as session:
        session.get_one(SeatRow, (decided.id, 2, 1)).relaxations = ["operator_twice"]
    panels_are_diverse(deployment, latest_round(deployment, submission))


def test_a_finding_that_quotes_what_is_not_there_is_not_grounded(
    deployment: Deployment, hostile: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = submitted(hostile)
    audit(deployment, submission)
    findings_are_grounded(deployment, latest_round(deployment, submission))
    emptied = replace(hostile, files=tuple(PackageFile.of(file.path, b"nothing") for file in hostile.files))
    monkeypatch.setattr(invariants, "package_of", lambda *_: emptied)
    with pytest.raises(InvariantBroken, match=r"does not stand at scripts/setup\.py:"):
        findings_are_grounded(deployment, latest_round(deployment, submission))


def test_a_hostile_skill_gets_none_and_the_reasons_name_the_place(
    deployment: Deployment, hostile: Package, submitted: Submitted
) -> None:
    decided = audit(deployment, submitted(hostile))
    assert decided.outcome in ("REJECTED", "ESCALATED")
    assert issue_certificate(deployment, decided.id) is None
    assert rows(deployment, CertificateRow) == []
    signals = [signal for reason in decided.reasons for signal in reason["detail"].get("signals", [])]
    assert {(signal["file"], signal["line"] > 0) for signal in signals} == {("scripts/setup.py", True)}


@on_each_database
def test_a_stage_that_runs_again_writes_nothing_new(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    audit(deployment, submission)
    tables = (RoundRow, SeatRow, CertificateRow, SubmissionRow)
    before = [rows(deployment, table) for table in tables], usage_rows(deployment)
    audit(deployment, submission)
    assert ([rows(deployment, table) for table in tables], usage_rows(deployment)) == before
    assert len(rows(deployment, FactsRow)) == 1


@pytest.mark.parametrize("done", range(1, len(STAGES)))
def test_a_run_that_was_killed_after_any_stage_is_resumed_by_another_with_the_same_round(
    deployment: Deployment,
    make_deployment: Callable[..., Deployment],
    honest: Package,
    submitted: Submitted,
    done: int,
) -> None:
    submission = submitted(honest)
    for stage in STAGES[:done]:
        stage(deployment, submission, FIRST)
    half_way = rows(deployment, SeatRow)
    deployment.close()
    again = make_deployment()  # what another process would open
    interrupted = open_run_key(again, submission)
    # Before the first panel there is no round to resume; after the outcome the certificate is still owed.
    assert interrupted == (None if done == 1 else FIRST.key)
    decided = audit(again, submission, Run("run-2", interrupted or FIRST.key))
    assert (decided.outcome, decided.number) == ("APPROVED", 1)
    assert rows(again, SeatRow)[: len(half_way)] == half_way
    assert len(rows(again, RoundRow)) == len(rows(again, CertificateRow)) == 1


def test_a_killed_audit_is_not_resumed_under_another_policy_but_made_anew(
    deployment: Deployment,
    make_deployment: Callable[..., Deployment],
    honest: Package,
    submitted: Submitted,
    tmp_path: Path,
) -> None:
    submission = submitted(honest)
    for stage in STAGES[:3]:
        stage(deployment, submission, FIRST)
    assert interrupted_submission(deployment, honest, "somebody") == submission
    other = tmp_path / "policy.toml"
    other.write_text(deployment.settings.policy_file.read_text().replace("validity_days = 365", "validity_days = 30"))
    changed = make_deployment(policy_file=str(other))
    assert interrupted_submission(changed, honest, "somebody") is None
    assert open_run_key(changed, submission) is None
    # A run that is told to resume it all the same opens the next round.
    decided = audit(changed, submission, Run("run-2", FIRST.key))
    assert (decided.number, decided.outcome, decided.policy_hash) == (2, "APPROVED", changed.policy.hash)


def test_a_finished_round_is_never_resumed(deployment: Deployment, honest: Package, submitted: Submitted) -> None:
    submission = submitted(honest)
    audit(deployment, submission)
    assert audit(deployment, submission, Run("run-2", FIRST.key)).number == 2


@on_each_database
def test_another_run_is_the_next_round_and_leaves_the_first_as_it_was(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    submission = submitted(honest)
    first = audit(deployment, submission, FIRST)
    before = [rows(deployment, table) for table in (RoundRow, SeatRow, CertificateRow)]
    second = audit(deployment, submission, SECOND)
    assert (second.number, second.round_type, second.trigger_source) == (2, "RE_AUDIT", "OPERATOR")
    assert second.beacon_round > first.beacon_round
    assert second.seed != first.seed
    after = [rows(deployment, table) for table in (RoundRow, SeatRow, CertificateRow)]
    for kept, now in zip(before, after, strict=True):
        assert [row for row in now if row in kept] == kept
        assert len(now) == 2 * len(kept)
    assert round_of_run(deployment, submission, FIRST) == first.id


def test_every_seat_that_was_drawn_has_one_usage_row_of_its_own(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    decided = audit(deployment, submitted(honest))
    with deployment.usage_sessions() as session:
        attempts = session.scalars(select(CallAttemptRow)).all()
    assert sorted((attempt.round_id, attempt.phase, attempt.validator_id) for attempt in attempts) == sorted(
        (decided.id, seat["phase"], seat["validator_id"]) for seat in rows(deployment, SeatRow)
    )
    assert {attempt.cost_micro_usd for attempt in attempts} == {0}


@pytest.mark.parametrize(
    ("column", "value", "path"),
    [("seed", "0" * 64, "seed"), ("beacon_value", "0" * 64, "beacon.value"), ("n_eff_ppm", 1, "independence.nEffPpm")],
)
def test_a_kept_round_replays_and_whatever_is_changed_on_record_is_named(
    deployment: Deployment, honest: Package, submitted: Submitted, column: str, value: object, path: str
) -> None:
    decided = audit(deployment, submitted(honest))
    assert replay_kept_round(deployment, decided.id).differences == ()
    with deployment.sessions.begin() as session:
        setattr(session.get_one(RoundRow, decided.id), column, value)
    assert any(line.startswith(f"$.{path}: ") for line in replay_kept_round(deployment, decided.id).differences)


@on_each_database
def test_decided_rounds_are_booked_once_and_move_the_weights(
    deployment: Deployment, honest: Package, hostile: Package, submitted: Submitted
) -> None:
    audit(deployment, submitted(honest))
    booked = book_known_truths(deployment)
    assert booked.rounds == 1
    entries = rows(deployment, AccuracyEntryRow)
    assert len(entries) == booked.accuracy_entries > 0
    assert book_known_truths(deployment).rounds == 0
    assert rows(deployment, AccuracyEntryRow) == entries
    assert publish_weights(deployment).epoch == publish_weights(deployment).epoch == 2


@pytest.mark.parametrize(
    ("stage", "hint"),
    [
        (1, "materialise sandbox_facts first"),
        (2, "materialise phase_one_verdicts"),
        (3, "materialise phase_one_verdicts"),
        (4, "materialise the phases first"),
        (5, "materialise round_outcome first"),
    ],
)
def test_a_stage_that_comes_too_early_says_what_to_run_first(
    deployment: Deployment, honest: Package, submitted: Submitted, stage: int, hint: str
) -> None:
    submission = submitted(honest)
    # Whatever the skipped stage builds on, but not the skipped stage itself.
    for earlier in STAGES[: stage - 1]:
        earlier(deployment, submission, FIRST)
    with pytest.raises(RoundNotReady, match=hint):
        STAGES[stage](deployment, submission, FIRST)


def test_a_policy_that_changes_in_the_middle_of_a_round_stops_it(
    deployment: Deployment,
    make_deployment: Callable[..., Deployment],
    honest: Package,
    submitted: Submitted,
    tmp_path: Path,
) -> None:
    submission = submitted(honest)
    for stage in STAGES[:3]:
        stage(deployment, submission, FIRST)
    other = tmp_path / "policy.toml"
    text = deployment.settings.policy_file.read_text()
    other.write_text(text.replace("validity_days = 365", "validity_days = 30"))
    changed = make_deployment(policy_file=str(other))
    with pytest.raises(RoundNotReady, match=r"was opened under policy .*, which is not today's"):
        run_phase(changed, round_of_run(changed, submission, FIRST), 2)


def test_facts_are_kept_under_the_hash_that_the_round_names(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    decided = audit(deployment, submitted(honest))
    assert load_facts(deployment, decided.facts_sha256).sha256 == decided.facts_sha256

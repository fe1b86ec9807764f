"""Canaries in a deployment: nothing of them reaches developer, certificate, facts or prompt; missing one costs; none is certified."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sigma_core.assembly.consensus import TruthSource
from sigma_core.audit.canaries.bank import PACKAGES, canary_package, items
from sigma_core.audit.canaries.labels import package_label
from sigma_core.audit.canaries.planting import Answer
from sigma_core.audit.families import embedded_families
from sigma_core.audit.model import AuditRequest, AuditResult, Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle import audits, canaries
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.canaries import submit_due_canaries
from sigma_core.lifecycle.certify import CanaryApproved, issue_certificate, log_certificate
from sigma_core.lifecycle.facts import derive_and_keep, load_facts
from sigma_core.lifecycle.intake import Provenance, load_submission, submit
from sigma_core.lifecycle.invariants import InvariantBroken, canaries_stay_apart, certificate_verifies, latest_round
from sigma_core.lifecycle.model_ladder import canary_bank, measure_models
from sigma_core.lifecycle.outcome import decide_round
from sigma_core.lifecycle.panels import Run, open_round, run_phase
from sigma_core.lifecycle.replay import public_document, replay_kept_round, replay_public_document
from sigma_core.lifecycle.report import find_round, round_report, submission_status
from sigma_core.lifecycle.resolution import resolve_round
from sigma_core.lifecycle.standing import check_ledgers, publish_weights
from sigma_core.lifecycle.truths import unbooked_misses, unscored_truths
from sigma_core.policy import DEFAULT_POLICY_FILE
from sigma_core.storage.protocol import (
    AccuracyEntryRow,
    CanaryPackageRow,
    CertificateRow,
    LogEntryRow,
    OutboxRow,
    PayoutEntryRow,
    PlantedCanaryRow,
    ProtocolBase,
    ReputationEntryRow,
    RoundRow,
    SeatRow,
    SubmissionRow,
    ValidatorRow,
)
from sigma_core.storage.usage import CallAttemptRow
from sigma_core.submissions.package import Package, SourceType
from tests.scripted_models import ScriptedModels, serving

Make = Callable[..., Deployment]
Submitted = Callable[..., str]
RUN = Run("run-1", "run-1")
on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


def policy_with(folder: Path, **rates: int) -> str:
    """A policy file with other rates of canaries."""
    text = DEFAULT_POLICY_FILE.read_text()
    for name, rate in rates.items():
        text, count = re.subn(rf"(?m)^{name} = [0-9_]+", f"{name} = {rate}", text)
        assert count == 1
    path = folder / f"policy-{'-'.join(f'{name}-{rate}' for name, rate in rates.items())}.toml"
    path.write_text(text)
    return str(path)


@pytest.fixture
def everywhere(planting: None, deployment: Deployment, make_deployment: Make, tmp_path: Path) -> Deployment:
    """A deployment that plants a file for every seat, and draws a canary package for every round."""
    policy = policy_with(tmp_path, file_rate_ppm=1_000_000, package_rate_ppm=1_000_000)
    return make_deployment(policy_file=policy)


def hold(deployment: Deployment, submission: str) -> str:
    """The submission's round up to its second panel."""
    derive_and_keep(deployment, submission)
    round_id = open_round(deployment, submission, RUN)
    for phase in (1, 2):
        run_phase(deployment, round_id, phase)
    return round_id


def audited(deployment: Deployment, package: Package | str) -> RoundRow:
    submission = package if isinstance(package, str) else sent(deployment, package)
    return decide_round(deployment, hold(deployment, submission))


def sent(deployment: Deployment, package: Package) -> str:
    provenance = Provenance(SourceType.UPLOAD, package.source_name, None, "somebody")
    return submit(deployment, package, provenance, scheduled=False)


def rows(deployment: Deployment, table: type[ProtocolBase]) -> list[Any]:
    with deployment.read_sessions() as session:
        return list(session.scalars(select(table).order_by(*table.__table__.primary_key.columns)))


class Careless:
    """An engine that finds nothing, whatever it is shown; ``asked`` are its requests."""

    revision = "1"

    def __init__(self, family: str, asked: list[AuditRequest]) -> None:
        self.family, self.asked = family, asked

    def audit(self, request: AuditRequest) -> AuditResult:
        self.asked.append(request)
        files = tuple(file.path for file in request.package.files)
        return AuditResult(Verdict.SAFE, (), files, 0, self.family, self.revision)


@pytest.fixture
def careless(monkeypatch: pytest.MonkeyPatch) -> list[AuditRequest]:
    """The engines of ``signatures`` are careless."""
    asked: list[AuditRequest] = []
    engines = {engine.family: engine for engine in embedded_families()} | {"signatures": Careless("signatures", asked)}
    monkeypatch.setattr(audits, "engines", lambda: engines)
    return asked


# Planted files


def test_embedded_validators_cite_every_file_planted_for_them_and_the_honest_package_is_certified(
    everywhere: Deployment, honest: Package
) -> None:
    decided = audited(everywhere, honest)
    planted = rows(everywhere, PlantedCanaryRow)
    assert (decided.outcome, len(planted)) == ("APPROVED", 10)
    assert {each.answer for each in planted} == {Answer.CAUGHT.value}
    assert len({each.file_sha256 for each in planted}) == 10
    assert issue_certificate(everywhere, decided.id) is not None
    canaries_stay_apart(everywhere, latest_round(everywhere, decided.submission_id))
    certificate_verifies(everywhere, decided.submission_id)
    assert replay_kept_round(everywhere, decided.id).differences == ()


def test_the_developers_report_is_the_one_without_canaries(
    everywhere: Deployment, make_deployment: Make, honest: Package, hostile: Package, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The same submissions, beacon, seed and panels in a copy of the deployment that plants nothing."""
    submissions = [sent(everywhere, package) for package in (honest, hostile)]
    shutil.copytree(everywhere.settings.home, tmp_path / "copy")

    def reports(deployment: Deployment) -> list[dict[str, Any]]:
        told = [round_report(deployment, audited(deployment, submission).id) for submission in submissions]
        for report in told:
            report |= {"openedAt": None, "decidedAt": None}
            report["truths"] = [{**truth, "knownAt": None} for truth in report["truths"]]
        return told

    with_canaries = reports(everywhere)
    assert len(rows(everywhere, PlantedCanaryRow)) == 20
    monkeypatch.setattr("sigma_core.assembly.canaries.plant_of", lambda *_: None)
    monkeypatch.setenv("SIGMA_HOME", str(tmp_path / "copy"))
    copy = make_deployment()
    assert reports(copy) == with_canaries
    assert rows(copy, PlantedCanaryRow) == []


def test_planted_files_show_in_no_vote_no_fact_and_no_public_row_but_the_replay_document(
    everywhere: Deployment, honest: Package
) -> None:
    decided = audited(everywhere, honest)
    planted = rows(everywhere, PlantedCanaryRow)
    said = [everywhere.blobs.get(str(seat.result_sha256)) for seat in rows(everywhere, SeatRow)]
    told = [
        json.dumps(round_report(everywhere, decided.id)),
        json.dumps(submission_status(everywhere, decided.submission_id)),
    ]
    facts = load_facts(everywhere, decided.facts_sha256).canonical_bytes
    document = json.loads(public_document(everywhere, find_round(everywhere, decided.id)))
    elsewhere = json.dumps({name: part for name, part in document.items() if name != "canary"})
    for each in planted:
        assert not any(each.path.encode() in blob for blob in (*said, facts))
        assert not any(each.path in text for text in (*told, elsewhere))
    assert [each["path"] for each in document["canary"]["planted"]] == [each.path for each in planted]


def test_what_was_planted_is_public_only_when_the_round_is_decided(everywhere: Deployment, honest: Package) -> None:
    round_id = hold(everywhere, sent(everywhere, honest))
    assert find_round(everywhere, round_id).replay_sha256 is None
    decide_round(everywhere, round_id)
    assert json.loads(public_document(everywhere, find_round(everywhere, round_id)))["canary"]["planted"]


@on_each_database
def test_a_safe_vote_that_missed_its_file_escalates_the_round_and_is_booked_at_once_by_the_label(
    everywhere: Deployment, honest: Package, careless: list[AuditRequest]
) -> None:
    decided = audited(everywhere, honest)
    missed = [each for each in rows(everywhere, PlantedCanaryRow) if each.answer == Answer.MISSED.value]
    assert {each.family for each in missed} == {"signatures"}
    assert (decided.outcome, decided.with_rejection, decided.scored) == ("ESCALATED", True, False)
    assert [reason["code"] for reason in decided.reasons] == ["MISSED_CANARY"]
    assert replay_kept_round(everywhere, decided.id).differences == ()

    assert [miss.round_id for miss in unbooked_misses(everywhere)] == [decided.id]
    assert unscored_truths(everywhere) == []
    booked = book_known_truths(everywhere)
    assert (booked.missed_canaries, booked.accuracy_entries, booked.payout_lines) == (1, len(missed), 0)
    for entry in rows(everywhere, AccuracyEntryRow):
        # One point at even base rates and 0.05 of seat tax, both 1.5 times, in units of 2^-10.
        assert (entry.aligned_q10, entry.reason, entry.truth_source) == (
            0,
            "MISALIGNED",
            TruthSource.CANARY_LABEL.value,
        )
        assert entry.misaligned_q10 == 1_536 + 77
    assert {event.kind for event in rows(everywhere, ReputationEntryRow)} == {"ATTRIBUTABLE_ESCALATION"}
    check_ledgers(everywhere)
    assert book_known_truths(everywhere).accuracy_entries == 0

    # Resolved later, the other seats follow, and the round pays once.
    assert replay_kept_round(everywhere, decided.id).differences == ()
    resolve_round(everywhere, decided.id, Verdict.SAFE, actor="ops", reason="read by hand")
    assert [known.round_id for known in unscored_truths(everywhere)] == [decided.id]
    book_known_truths(everywhere)
    entries = rows(everywhere, AccuracyEntryRow)
    assert len(entries) == len({entry.seat for entry in entries}) == 10
    assert sum(entry.truth_source == TruthSource.CANARY_LABEL.value for entry in entries) == len(missed)
    assert sum(line.amount_micro_usd for line in rows(everywhere, PayoutEntryRow)) == 0
    assert unscored_truths(everywhere) == unbooked_misses(everywhere) == []
    check_ledgers(everywhere)
    assert replay_kept_round(everywhere, decided.id).differences == ()


def test_a_miss_costs_weight(everywhere: Deployment, honest: Package, careless: list[AuditRequest]) -> None:
    audited(everywhere, honest)
    missed = {each.validator_id for each in rows(everywhere, PlantedCanaryRow) if each.answer == Answer.MISSED.value}
    book_known_truths(everywhere)
    epoch = publish_weights(everywhere)
    weights = {row["validatorId"]: row for row in json.loads(everywhere.blobs.get(epoch.snapshot_sha256))["rows"]}
    with everywhere.read_sessions() as session:
        others = session.scalars(select(ValidatorRow.id).where(ValidatorRow.id.not_in(missed))).all()
    assert missed
    assert max(weights[name]["accuracyPpm"] for name in missed) < min(weights[name]["accuracyPpm"] for name in others)


def test_an_engine_is_shown_its_own_view_and_the_planted_one_and_cannot_tell_them_by_anything_but_the_file(
    everywhere: Deployment, honest: Package, careless: list[AuditRequest]
) -> None:
    audited(everywhere, honest)
    own, planted = careless[0::2], careless[1::2]
    assert len(own) == len(planted) > 0
    for plain, other in zip(own, planted, strict=True):
        assert (plain.view, plain.parameters) == (other.view, other.parameters)
        extra = set(other.package.by_path) - set(plain.package.by_path)
        assert len(extra) == 1
        assert set(plain.package.files) < set(other.package.files)
        listed = [file["path"] for file in other.facts.document["coverage"]["files"]]
        assert extra < set(listed)
        assert other.facts.document["package"]["fileCount"] == len(other.package.files)


def test_each_audit_of_a_planted_view_is_a_usage_row(everywhere: Deployment, honest: Package) -> None:
    audited(everywhere, honest)
    with everywhere.usage_sessions() as session:
        counts = dict(
            session.execute(select(CallAttemptRow.purpose, func.count()).group_by(CallAttemptRow.purpose)).all()
        )
    assert counts == {"audit": 10, "canary": 10}


def test_tampering_with_what_was_planted_is_named(everywhere: Deployment, honest: Package) -> None:
    decided = audited(everywhere, honest)
    document = json.loads(public_document(everywhere, find_round(everywhere, decided.id)))
    assert replay_public_document(json.dumps(document).encode()).differences == ()
    document["canary"]["planted"][3]["verdict"]["findings"] = []
    differences = replay_public_document(json.dumps(document).encode()).differences
    assert any(line.startswith("$.canary.planted[3].verdictHash") for line in differences)
    assert any(line.startswith("$.canary.missedBy") for line in differences)


def test_a_vote_that_shows_a_planted_file_breaks_the_check(everywhere: Deployment, honest: Package) -> None:
    decided = audited(everywhere, honest)
    with everywhere.sessions.begin() as session:
        session.scalars(select(PlantedCanaryRow).limit(1)).one().path = "SKILL.md"
    with pytest.raises(InvariantBroken, match="a planted file shows"):
        canaries_stay_apart(everywhere, latest_round(everywhere, decided.submission_id))


# Language models


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedModels]:
    with serving() as models:
        yield models


def test_no_prompt_holds_a_label_an_item_or_a_word_that_tells(
    everywhere: Deployment, make_deployment: Make, server: ScriptedModels, honest: Package
) -> None:
    opened = make_deployment(openai_api_key="sk-1", openai_base_url=server.url)
    with opened.sessions.begin() as session:
        for validator in session.scalars(select(ValidatorRow).where(ValidatorRow.family != "gpt")):
            validator.status = "SUSPENDED"
    publish_weights(opened)
    decided = audited(opened, honest)
    planted = rows(opened, PlantedCanaryRow)
    prompts = [asked.prompt for asked in server.asked]
    assert len(prompts) == 20
    assert sum(any(each.path in prompt for each in planted) for prompt in prompts) == 10
    telling = re.compile(r"(?i)\b(?:canar\w*|planted|decoy|bank|[cp][0-9]{2}|unsafe|malicious)\b")
    for asked in server.asked:
        text = json.dumps(asked.document)
        assert not any(each.item in re.findall(r"\b[cp][0-9]{2}\b", text) for each in planted)
        # The echo that every answer repeats is called so; package, facts and manifest are what is looked through.
        shown = asked.prompt.split("\nTask: ")[0].partition("<package-")[2]
        assert shown
        assert not telling.search(shown), telling.search(shown)
        assert not any(each in json.dumps(asked.headers) for each in ("canary", "planted"))
    # What these models did not see is a miss, and the round is not approved.
    assert decided.outcome == "ESCALATED"
    with opened.usage_sessions() as session:
        keys = session.scalars(select(CallAttemptRow.call_key).where(CallAttemptRow.purpose == "canary")).all()
    assert len(set(keys)) == 10
    assert replay_kept_round(opened, decided.id).differences == ()


def test_models_are_measured_on_variants_of_the_banks_packages(
    deployment: Deployment, make_deployment: Make, server: ScriptedModels
) -> None:
    opened = make_deployment(openai_api_key="sk-1", openai_base_url=server.url)
    bank = canary_bank(opened.policy, 1)
    assert len({each.package.tree_hash for each in bank}) == 24
    (small, large) = measure_models(opened, bank).rows
    # Twelve packages of each label, both views; these models see but downloads that are piped into a shell.
    assert (
        (small.malicious, small.benign, small.passed) == (large.malicious, large.benign, large.passed) == (24, 24, 24)
    )
    assert 0 < small.caught < 24


# Whole packages


@on_each_database
def test_a_round_calls_for_a_canary_once_and_a_canary_for_no_other(everywhere: Deployment, honest: Package) -> None:
    assert submit_due_canaries(everywhere) == []
    first = audited(everywhere, honest)
    (submission,) = submit_due_canaries(everywhere)
    assert submit_due_canaries(everywhere) == []
    (drawn,) = rows(everywhere, CanaryPackageRow)
    assert drawn.drawn_by == first.id
    row = load_submission(everywhere, submission)
    assert (row.tree_hash, row.source_type, row.state) == (drawn.tree_hash, "upload", "RECEIVED")
    (message,) = [each for each in rows(everywhere, OutboxRow) if each.subject == submission]
    assert (message.detail, message.handled_at) == ({"scheduled": True}, None)
    audited(everywhere, submission)
    assert submit_due_canaries(everywhere) == []


def test_a_killed_draw_leaves_a_known_canary_and_is_taken_up(
    everywhere: Deployment, honest: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    audited(everywhere, honest)
    with monkeypatch.context() as patch:
        patch.setattr(canaries, "submit", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            submit_due_canaries(everywhere)
    assert len(rows(everywhere, CanaryPackageRow)) == 1
    assert len(rows(everywhere, SubmissionRow)) == 1
    assert len(submit_due_canaries(everywhere)) == 1


def test_at_no_rate_nothing_is_drawn_and_no_secret_is_made(
    deployment: Deployment, make_deployment: Make, honest: Package, tmp_path: Path
) -> None:
    opened = make_deployment(policy_file=policy_with(tmp_path, package_rate_ppm=0))
    audited(opened, honest)
    assert submit_due_canaries(opened) == []
    assert not opened.settings.canary_key.exists()


def enter(deployment: Deployment, item: str, drawn_by: str) -> str:
    """Let the canary of that text in for a round, as a draw would."""
    variant = "ab" * 32
    (submission,) = canaries._submit_once(deployment, drawn_by, item, variant)
    assert (
        load_submission(deployment, submission).tree_hash == canary_package(item, variant, deployment.policy).tree_hash
    )
    return submission


@pytest.mark.parametrize("label", [Verdict.SAFE, Verdict.UNSAFE])
def test_a_canary_package_is_scored_by_its_label_and_leaves_no_certificate_and_no_log_entry(
    deployment: Deployment, honest: Package, label: Verdict
) -> None:
    caller = audited(deployment, honest)
    item = next(item for item in items(PACKAGES) if package_label(item).verdict is label)
    submission = enter(deployment, item, caller.id)
    before = len(rows(deployment, LogEntryRow))
    round_id = hold(deployment, submission)
    assert find_round(deployment, round_id).truth is None
    decided = decide_round(deployment, round_id)
    assert decided.outcome in ("ESCALATED", "REJECTED")
    assert (decided.truth, decided.truth_source, decided.scored) == (label, "CANARY_LABEL", True)
    assert issue_certificate(deployment, round_id) is None
    log_certificate(deployment, round_id)
    assert rows(deployment, CertificateRow) == []
    assert len(rows(deployment, LogEntryRow)) == before
    canaries_stay_apart(deployment, latest_round(deployment, submission))
    certificate_verifies(deployment, submission)
    assert replay_kept_round(deployment, round_id).differences == ()

    book_known_truths(deployment)
    entries = [entry for entry in rows(deployment, AccuracyEntryRow) if entry.round_id == round_id]
    assert {entry.truth_source for entry in entries} == {"CANARY_LABEL"}
    points = {entry.aligned_q10 for entry in entries if entry.reason == "ALIGNED"}
    assert len(points) == 1
    assert points.pop() >= deployment.policy.standing.factor_canary_q10 // 2
    assert unscored_truths(deployment) == []


def test_a_canary_that_something_else_approved_gets_no_certificate(deployment: Deployment, honest: Package) -> None:
    submission = enter(deployment, "c02", audited(deployment, honest).id)
    decided = audited(deployment, submission)
    with deployment.sessions.begin() as session:
        session.get_one(RoundRow, decided.id).outcome = "APPROVED"
    for stage in (issue_certificate, log_certificate):
        with pytest.raises(CanaryApproved):
            stage(deployment, decided.id)
    with pytest.raises(InvariantBroken, match="approved a canary"):
        canaries_stay_apart(deployment, latest_round(deployment, submission))
    assert rows(deployment, CertificateRow) == []


def test_the_same_bytes_sent_by_somebody_else_are_a_canary_too(deployment: Deployment, honest: Package) -> None:
    enter(deployment, "c03", audited(deployment, honest).id)
    copied = audited(deployment, canary_package("c03", "ab" * 32, deployment.policy))
    assert (copied.outcome, copied.truth_source) == ("ESCALATED", "CANARY_LABEL")


def test_nothing_that_is_kept_of_an_open_round_tells_that_its_package_is_a_canary(
    deployment: Deployment, honest: Package
) -> None:
    submission = enter(deployment, "c10", audited(deployment, honest).id)
    hold(deployment, submission)
    row = load_submission(deployment, submission)
    told = {name: str(value) for name, value in vars(row).items() if not name.startswith("_")}
    told["package"] = deployment.blobs.get(row.package_sha256).decode()
    told["status"] = json.dumps(submission_status(deployment, submission))
    told["report"] = json.dumps(round_report(deployment, find_round(deployment, submission).id))
    told["facts"] = load_facts(deployment, find_round(deployment, submission).facts_sha256).canonical_bytes.decode()
    for name, text in told.items():
        assert not re.search(r"(?i)canar|\bc10\b|\bbank\b", text), name

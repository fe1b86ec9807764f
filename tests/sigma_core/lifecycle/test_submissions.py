"""A submission is recorded whole, comes back as the same package, and is handed on exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from assembly_steps import seats_of
from issued import decided_round
from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.failures import failed_in_run, failures_after, note_failure
from sigma_core.lifecycle.intake import (
    OperatorUnknown,
    Provenance,
    SubmissionUnknown,
    load_package,
    load_submission,
    mark_scheduled_handled,
    submit,
)
from sigma_core.lifecycle.panels import interrupted_submission
from sigma_core.lifecycle.replay import public_document, replay_kept_round
from sigma_core.storage.blobs import BlobCorrupt, BlobMissing
from sigma_core.storage.protocol import BeaconChainRow, OutboxRow, RoundRow, SubmissionRow, ValidatorRow
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import Package, SourceType

on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
Submitted = Callable[..., str]


@on_each_database
def test_a_package_comes_back_as_it_was_submitted(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    back = load_package(deployment, submitted(honest))
    assert back.files == honest.files
    assert dict(back.manifest) == dict(honest.manifest)
    assert (back.product_type, back.tree_hash, back.skill_hash) == (
        honest.product_type,
        honest.tree_hash,
        honest.skill_hash,
    )


def test_what_people_see_of_it_is_recorded(deployment: Deployment, honest: Package, submitted: Submitted) -> None:
    row = load_submission(deployment, submitted(honest))
    assert (row.name, row.version, row.state) == ("changelog-writer", "1.0.0", "RECEIVED")
    assert (row.product_type, row.source_type, row.source_ref) == ("SKILL", "upload", "changelog-writer")
    assert (row.submitter, row.dev_notes) == ("somebody", "as asked")


def test_it_is_bound_to_a_beacon_round_that_is_not_revealed_yet(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    row = load_submission(deployment, submitted(honest))
    with deployment.read_sessions() as session:
        chain = session.get_one(BeaconChainRow, row.beacon_chain)
    assert row.beacon_round > chain.revealed_round


def declared(deployment: Deployment, package: Package, *conflicts: str) -> str:
    provenance = Provenance(SourceType.UPLOAD, package.source_name, None, "somebody", conflicts=conflicts)
    return submit(deployment, package, provenance, scheduled=False)


@on_each_database
def test_nobody_of_an_operator_in_declared_conflict_is_drawn_and_the_public_record_says_so(
    deployment: Deployment, honest: Package
) -> None:
    with deployment.read_sessions() as session:
        operators = sorted(session.scalars(select(ValidatorRow.operator).distinct()))
    in_conflict = operators[::2]  # every other one: a round of ten would seat some of them
    round_id = decided_round(deployment, declared(deployment, honest, *reversed(in_conflict), in_conflict[0]))
    seats = [seat for phase in (1, 2) for seat in seats_of(deployment, round_id, phase)]
    assert not {seat.operator for seat in seats} & set(in_conflict)
    with deployment.read_sessions() as session:
        document = json.loads(public_document(deployment, session.get_one(RoundRow, round_id)))
    assert document["submission"]["conflicts"] == sorted({"somebody", *in_conflict})
    assert replay_kept_round(deployment, round_id).differences == ()


def test_a_conflict_with_somebody_who_operates_nothing_here_is_refused_by_name(
    deployment: Deployment, honest: Package
) -> None:
    with pytest.raises(OperatorUnknown, match="conflict with 'op_typo'"):
        declared(deployment, honest, "op_typo")
    with deployment.read_sessions() as session:
        assert session.scalars(select(SubmissionRow)).all() == []


@on_each_database
def test_a_scheduled_one_waits_in_the_outbox_until_a_run_takes_it_up(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    def waiting() -> list[str]:
        with deployment.read_sessions() as session:
            return list(session.scalars(select(OutboxRow.subject).where(OutboxRow.handled_at.is_(None))))

    submitted(honest)
    scheduled = submitted(honest, scheduled=True)
    assert waiting() == [scheduled]
    mark_scheduled_handled(deployment, [scheduled])
    assert waiting() == []


def test_an_audit_that_was_killed_is_found_again_by_its_bytes_and_its_submitter(
    deployment: Deployment, honest: Package, hostile: Package, submitted: Submitted
) -> None:
    submitted(honest)
    newest = submitted(honest)
    assert interrupted_submission(deployment, honest, "somebody") == newest
    assert interrupted_submission(deployment, honest, "somebody else") is None
    assert interrupted_submission(deployment, hostile, "somebody") is None


def test_an_unknown_submission_is_refused(deployment: Deployment) -> None:
    for load in (load_submission, load_package):
        with pytest.raises(SubmissionUnknown, match="no submission has the id 'sub_none'"):
            load(deployment, "sub_none")


@pytest.mark.parametrize(("damage", "error"), [(b"changed", BlobCorrupt), (None, BlobMissing)])
def test_a_member_that_was_changed_or_lost_on_disk_is_never_audited(
    deployment: Deployment, home: Path, honest: Package, submitted: Submitted, damage: bytes | None, error: type
) -> None:
    submission = submitted(honest)
    digest = honest.files[0].sha256
    stored = home / "blobs" / "sha256" / digest[:2] / digest
    if damage is None:
        stored.unlink()
    else:
        stored.write_bytes(damage)
    with pytest.raises(error, match=digest):
        load_package(deployment, submission)


@on_each_database
def test_the_longest_names_and_texts_that_intake_takes_fit_every_database(
    deployment: Deployment, tmp_path: Path, submitted: Submitted
) -> None:
    folder = tmp_path / ("x" * 255)
    folder.mkdir()
    (folder / "SKILL.md").write_text(
        f"---\nname: {'n' * 300}\nversion: '{'9' * 100}'\ndescription: {'d' * 20_000}\n---\n\n# Long\n"
    )
    row = load_submission(deployment, submitted(read_package(folder, deployment.policy)))
    assert row.name == "n" * 200
    assert row.source_ref == row.source_name == load_package(deployment, row.id).source_name
    assert row.source_name.startswith("x" * 200)


@on_each_database
def test_a_stage_that_failed_is_noted_once_per_run(
    deployment: Deployment, honest: Package, submitted: Submitted
) -> None:
    first, second = submitted(honest), submitted(honest)
    for _ in range(2):
        note_failure(deployment, submission_id=first, stage="sandbox_facts", run_key="run-1", error="e" * 10_000)
    note_failure(deployment, submission_id=second, stage="sandbox_facts", run_key="run-2", error="e")
    assert failed_in_run(deployment, "run-1") == {first}
    oldest, newest = failures_after(deployment, 0, limit=10)
    assert (oldest[1:], newest[1:]) == ((first, "run-1"), (second, "run-2"))
    assert failures_after(deployment, oldest[0], limit=10) == [newest]
    assert failures_after(deployment, 0, limit=1) == [oldest]

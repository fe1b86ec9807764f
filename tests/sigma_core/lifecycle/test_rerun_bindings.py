"""A re-run is bound, and the log says so publicly, before anybody can draw it; and nobody chooses among several bindings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest
from issued import decided_round, issued
from sqlalchemy import delete, select

from sigma_core.certificates.log.entry import EntryKind
from sigma_core.deployment import Deployment
from sigma_core.lifecycle import bindings, panels
from sigma_core.lifecycle.bindings import bind_next_rounds
from sigma_core.lifecycle.booking import book_known_truths
from sigma_core.lifecycle.log_audit import audit_log
from sigma_core.lifecycle.panels import Run, bind_rounds, open_round
from sigma_core.lifecycle.standing import publish_weights
from sigma_core.lifecycle.transparency import is_published, publish_log
from sigma_core.storage.protocol import BeaconValueRow, LogEntryRow, RoundBindingRow, RoundRow
from sigma_core.submissions.package import Package

Submitted = Callable[..., str]
on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


def rerun_entries(deployment: Deployment) -> list[LogEntryRow]:
    with deployment.read_sessions() as session:
        found = select(LogEntryRow).where(LogEntryRow.kind == EntryKind.RE_RUN.value).order_by(LogEntryRow.index)
        return list(session.scalars(found))


@pytest.fixture
def submission(deployment: Deployment, submitted: Submitted, honest: Package) -> str:
    """One whose first round is decided."""
    found = submitted(honest)
    decided_round(deployment, found)
    return found


def test_a_first_round_needs_no_entry(deployment: Deployment, submission: str) -> None:
    assert rerun_entries(deployment) == []


@on_each_database
def test_each_further_round_is_an_entry_that_commits_to_the_value_it_will_be_drawn_from(
    deployment: Deployment, submission: str
) -> None:
    rounds = [decided_round(deployment, submission, run) for run in ("run-2", "run-3")]
    entries = rerun_entries(deployment)
    assert [entry.subject for entry in entries] == rounds
    for number, entry in enumerate(entries, start=2):
        said = json.loads(entry.entry)
        with deployment.read_sessions() as session:
            row = session.get_one(RoundRow, entry.subject)
        assert is_published(deployment, entry.index)
        assert (said["roundNumber"], said["submissionId"]) == (number, submission)
        assert (said["beaconChain"], said["beaconRound"]) == (row.beacon_chain, row.beacon_round)
        opened = hashlib.sha256(b"sigma-beacon-link-v1\x00" + bytes.fromhex(row.beacon_value)).hexdigest()
        assert said["beaconCommitment"] == opened


def test_the_value_is_not_out_before_the_entry_is_under_a_published_checkpoint(
    deployment: Deployment, submission: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpublished(_: Deployment) -> None:
        raise OSError("the disk of the log is full")

    with monkeypatch.context() as patch:
        patch.setattr(bindings, "publish_log", unpublished)
        with pytest.raises(OSError, match="full"):
            open_round(deployment, submission, Run("run-2", "run-2"))
    [entry] = rerun_entries(deployment)
    bound = json.loads(entry.entry)
    with deployment.read_sessions() as session:
        assert session.get(BeaconValueRow, (bound["beaconChain"], bound["beaconRound"])) is None
        assert session.get(RoundRow, entry.subject) is None
    # Any later run goes on with that binding; it cannot have another.
    assert open_round(deployment, submission, Run("run-9", "run-9")) == entry.subject
    assert [each.subject for each in rerun_entries(deployment)] == [entry.subject]


def test_a_run_that_stops_after_binding_leaves_no_choice_to_the_next(deployment: Deployment, submission: str) -> None:
    [first] = bind_next_rounds(deployment, [submission])
    [second] = bind_next_rounds(deployment, [submission])
    assert first == second
    opened = open_round(deployment, submission, Run("run-2", "run-2"))
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, opened)
    assert (row.number, row.beacon_round) == (first.number, first.beacon_round)


def test_two_runs_at_once_get_two_rounds(
    deployment: Deployment, submission: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = panels.beacon_value
    interfered: list[str] = []

    def another_opens_first(*place: object) -> object:
        if not interfered:
            interfered.append("")
            interfered[0] = open_round(deployment, submission, Run("run-3", "run-3"))
        return real(*place)  # type: ignore[arg-type]

    monkeypatch.setattr(panels, "beacon_value", another_opens_first)
    own = open_round(deployment, submission, Run("run-2", "run-2"))
    assert [interfered[0][-3:], own[-3:]] == ["_r2", "_r3"]
    assert len(rerun_entries(deployment)) == 2


def test_the_weights_are_those_of_the_binding_however_they_move_before_the_draw(
    deployment: Deployment, submission: str
) -> None:
    [bound] = bind_next_rounds(deployment, [submission])
    book_known_truths(deployment)
    assert publish_weights(deployment).epoch == 2
    opened = open_round(deployment, submission, Run("run-2", "run-2"))
    with deployment.read_sessions() as session:
        assert session.get_one(RoundRow, opened).weights_epoch == bound.weights_epoch == 1


def test_a_batch_of_re_runs_is_published_at_once(
    deployment: Deployment, submitted: Submitted, honest: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions = [submitted(honest) for _ in range(3)]
    for submission in submissions:
        decided_round(deployment, submission)
    published: list[int] = []
    monkeypatch.setattr(bindings, "publish_log", lambda on: published.append(publish_log(on).size))
    assert bind_rounds(deployment, submissions, Run("run-2", "run-2")) is None  # the own chain is waited for by nobody
    assert published == [3]
    assert len(rerun_entries(deployment)) == 3


def test_the_monitor_names_a_certificate_of_a_re_run_that_was_not_bound_first(
    deployment: Deployment, submission: str
) -> None:
    certified = issued(deployment, submission, "run-2")
    assert audit_log(deployment).faults == ()
    # As if the operator had drawn first: what the log then holds binds another round.
    with deployment.sessions.begin() as session:
        session.execute(delete(RoundBindingRow))
        session.get_one(RoundRow, certified.round_id).number = 7
        entry = session.scalars(select(LogEntryRow).where(LogEntryRow.kind == EntryKind.RE_RUN.value)).one()
        entry.subject = "rnd_another_r2"
    assert any("is a re-run that no earlier entry binds" in fault for fault in audit_log(deployment).faults)

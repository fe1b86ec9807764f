"""Overrides stand beside an outcome and never approve what a risk signal or a missing fact stands against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from issued import decided_round, issued, split_round
from sqlalchemy import select

from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle import certify, override
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.invariants import certificate_verifies, latest_round, outcome_has_its_quorum
from sigma_core.lifecycle.log_audit import audit_log
from sigma_core.lifecycle.operator_decisions import Override
from sigma_core.lifecycle.override import OverrideRefused, override_round
from sigma_core.lifecycle.replay import public_document, replay_kept_round
from sigma_core.lifecycle.resolution import resolve_round
from sigma_core.storage.protocol import (
    AuditTrailRow,
    CertificateRow,
    LogEntryRow,
    ProtocolBase,
    RoundOverrideRow,
    RoundRow,
    SubmissionRow,
)
from sigma_core.submissions.package import Package

APPROVED, REJECTED = RoundOutcome.APPROVED, RoundOutcome.REJECTED
Submitted = Callable[..., str]
on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


def decide(deployment: Deployment, round_id: str, outcome: RoundOutcome, **options: Any) -> Override:
    return override_round(deployment, round_id, outcome, **({"actor": "operator:ada", "reason": "looked"} | options))


def rows(deployment: Deployment, table: type[ProtocolBase]) -> list[Any]:
    with deployment.read_sessions() as session:
        return list(session.scalars(select(table)))


class TestToApproved:
    def test_a_split_vote_may_be_and_the_round_its_replay_and_its_submission_stay_as_they_were(
        self, deployment: Deployment, honest: Package, submitted: Submitted
    ) -> None:
        submission = submitted(honest)
        split = split_round(deployment, submission)
        overridden = decide(deployment, split, APPROVED)
        [row], [kept], [trail] = (rows(deployment, table) for table in (RoundRow, RoundOverrideRow, AuditTrailRow))
        assert row.outcome == rows(deployment, SubmissionRow)[0].state == "ESCALATED"
        assert (kept.number, kept.outcome, kept.actor, kept.reason) == (1, "APPROVED", "operator:ada", "looked")
        assert (trail.action, trail.subject, trail.before, trail.after) == (
            "round.override",
            split,
            {"outcome": "ESCALATED", "override": None},
            {"outcome": "ESCALATED", "override": "APPROVED", "number": 1},
        )
        assert overridden.as_json()["actor"] == "operator:ada"
        assert b'"overrides":[{"actor":"operator:ada","number":1,"outcome":"APPROVED"' in public_document(
            deployment, row
        )
        replayed = replay_kept_round(deployment, split)
        assert replayed.differences == ()
        assert [line for line in replayed.unchecked if line.startswith("$.overrides: ")]
        outcome_has_its_quorum(deployment, latest_round(deployment, submission))

    def test_no_certificate_comes_of_it(self, deployment: Deployment, honest: Package, submitted: Submitted) -> None:
        submission = submitted(honest)
        split = split_round(deployment, submission)
        decide(deployment, split, APPROVED)
        assert issue_certificate(deployment, split) is None
        assert rows(deployment, CertificateRow) == rows(deployment, LogEntryRow) == []
        certificate_verifies(deployment, submission)

    def test_a_risk_signal_never_is(self, deployment: Deployment, hostile: Package, submitted: Submitted) -> None:
        round_id = decided_round(deployment, submitted(hostile))
        with deployment.sessions.begin() as session:
            # Even where the record of the reasons has lost them: the facts still have the signals.
            row = session.get_one(RoundRow, round_id)
            row.outcome, row.reasons = "ESCALATED", [{"code": "SPLIT_VOTE", "message": "", "detail": {}}]
        with pytest.raises(OverrideRefused, match="no risk signal or missing fact ever approves"):
            decide(deployment, round_id, APPROVED)
        assert rows(deployment, RoundOverrideRow) == rows(deployment, AuditTrailRow) == []

    @pytest.mark.parametrize(
        "code",
        ["TAMPER", "BLOCKING_MISMATCH", "STRONG_INJECTION", "MISSED_CANARY", "HARD_FAILURE", "QUORUM_MISSED", "FACTS_INCOMPLETE",
         "CANARY_PACKAGE", "THIRD_PANEL_OUT_OF_ORDER", "SOMETHING_NEW"],
    )  # fmt: skip
    def test_any_reason_but_a_split_vote_refuses_it_by_its_name(
        self, deployment: Deployment, honest: Package, submitted: Submitted, code: str
    ) -> None:
        split = split_round(deployment, submitted(honest))
        with deployment.sessions.begin() as session:
            row = session.get_one(RoundRow, split)
            row.reasons = [*row.reasons, {"code": code, "message": "", "detail": {}}]
        with pytest.raises(OverrideRefused, match=rf"was escalated for {code}: no risk signal or missing fact"):
            decide(deployment, split, APPROVED)

    def test_a_rejection_is_not(self, deployment: Deployment, honest: Package, submitted: Submitted) -> None:
        split = split_round(deployment, submitted(honest))
        with deployment.sessions.begin() as session:
            session.get_one(RoundRow, split).outcome = "REJECTED"
        with pytest.raises(OverrideRefused, match="ended REJECTED: only an escalation is overridden to APPROVED"):
            decide(deployment, split, APPROVED)

    def test_what_is_known_to_be_unsafe_is_not(
        self, deployment: Deployment, honest: Package, submitted: Submitted
    ) -> None:
        split = split_round(deployment, submitted(honest))
        resolve_round(deployment, split, Verdict.UNSAFE, actor="a", reason="b")
        with pytest.raises(OverrideRefused, match="known to be UNSAFE by OPERATOR"):
            decide(deployment, split, APPROVED)


class TestToRejected:
    @on_each_database
    def test_the_certificate_of_an_approved_round_is_revoked(
        self, deployment: Deployment, honest: Package, submitted: Submitted
    ) -> None:
        certificate = issued(deployment, submitted(honest))
        decide(deployment, certificate.round_id, REJECTED, reason="steals tokens")
        [row] = rows(deployment, CertificateRow)
        assert row.status == "REVOKED"
        assert [trail.action for trail in rows(deployment, AuditTrailRow)] == ["round.override", "certificate.revoke"]
        assert {trail.reason for trail in rows(deployment, AuditTrailRow)} == {"steals tokens"}
        assert rows(deployment, RoundRow)[0].outcome == "APPROVED"
        assert audit_log(deployment).faults == ()

    def test_an_approved_round_without_a_certificate_yet_gets_none(
        self, deployment: Deployment, honest: Package, submitted: Submitted
    ) -> None:
        submission = submitted(honest)
        approved = decided_round(deployment, submission)
        decide(deployment, approved, REJECTED)
        assert issue_certificate(deployment, approved) is None
        assert rows(deployment, CertificateRow) == rows(deployment, LogEntryRow) == []
        certificate_verifies(deployment, submission)

    def test_one_that_is_logged_and_not_issued_is_issued_and_revoked(
        self, deployment: Deployment, honest: Package, submitted: Submitted
    ) -> None:
        approved = decided_round(deployment, submitted(honest))
        certify.log_certificate(deployment, approved)
        decide(deployment, approved, REJECTED)
        assert [row.status for row in rows(deployment, CertificateRow)] == ["REVOKED"]

    def test_one_that_was_cut_short_is_finished_by_asking_again(
        self, deployment: Deployment, honest: Package, submitted: Submitted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        certificate = issued(deployment, submitted(honest))

        def killed(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(override, "change_status", killed)
            with pytest.raises(KeyboardInterrupt):
                decide(deployment, certificate.round_id, REJECTED)
        assert [row.status for row in rows(deployment, CertificateRow)] == ["APPROVED"]
        decide(deployment, certificate.round_id, REJECTED)
        assert [row.status for row in rows(deployment, CertificateRow)] == ["REVOKED"]
        assert len(rows(deployment, RoundOverrideRow)) == 1

    def test_an_escalation_may_be_and_the_newest_override_counts(
        self, deployment: Deployment, honest: Package, submitted: Submitted
    ) -> None:
        split = split_round(deployment, submitted(honest))
        for number, outcome in enumerate((REJECTED, APPROVED, REJECTED), start=1):
            assert decide(deployment, split, outcome).number == number
        assert [row.outcome for row in rows(deployment, RoundOverrideRow)] == ["REJECTED", "APPROVED", "REJECTED"]

    def test_a_rejection_is_one_already(self, deployment: Deployment, honest: Package, submitted: Submitted) -> None:
        split = split_round(deployment, submitted(honest))
        with deployment.sessions.begin() as session:
            session.get_one(RoundRow, split).outcome = "REJECTED"
        with pytest.raises(OverrideRefused, match="is rejected already"):
            decide(deployment, split, REJECTED)


@pytest.mark.parametrize("options", [{"reason": ""}, {"actor": "\n"}])
def test_an_override_names_who_and_why(
    deployment: Deployment, honest: Package, submitted: Submitted, options: dict[str, str]
) -> None:
    split = split_round(deployment, submitted(honest))
    with pytest.raises(SigmaError, match="printable characters, which everybody will read"):
        decide(deployment, split, REJECTED, **options)
    with pytest.raises(SigmaError, match="APPROVED or REJECTED"):
        decide(deployment, split, RoundOutcome.ESCALATED)

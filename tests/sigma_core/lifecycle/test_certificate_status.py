"""Suspension, reinstatement, revocation: who may do what, and that log, audit trail, row and status lists always say the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from issued import decided_round, issued
from sqlalchemy import select

from sigma_core.certificates.log.entry import StatusRole
from sigma_core.certificates.payload import StatusListEntry
from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.status_list import PURPOSES, StatusList
from sigma_core.certificates.verify import verify_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.certificate_status import (
    CertificateUnknown,
    StatusChange,
    StatusChangeRefused,
    change_status,
    last_change,
)
from sigma_core.lifecycle.log_audit import audit_log, status_list_faults
from sigma_core.lifecycle.status_lists import (
    ensure_status_lists,
    list_base,
    list_file,
    publish_status_lists,
    published_list,
)
from sigma_core.storage.protocol import AuditTrailRow, CertificateRow, LogEntryRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
APPROVED, SUSPENDED, REVOKED = CertificateStatus.APPROVED, CertificateStatus.SUSPENDED, CertificateStatus.REVOKED


@pytest.fixture
def certificate(deployment: Deployment, honest: Package, submitted: Callable[[Package], str]) -> CertificateRow:
    return issued(deployment, submitted(honest))


def change(deployment: Deployment, row: CertificateRow, after: CertificateStatus, **options: Any) -> StatusChange:
    return change_status(deployment, row.id, after, **({"actor": "operator:a", "reason": "because"} | options))


def lists(deployment: Deployment) -> list[bytes]:
    return [list_file(deployment.settings.status_lists, 0, status).read_bytes() for status in PURPOSES]


def verdict(deployment: Deployment, row: CertificateRow) -> str:
    """What an offline verifier with today's status lists says."""
    bundle = deployment.blobs.get(row.bundle_sha256)
    try:
        verify_bundle(bundle, deployment.trusted_keys, at=utc_now(), status_lists=lists(deployment))
    except VerificationError as error:
        return error.code
    return "VALID"


@on_each_database
def test_a_change_is_told_by_row_log_audit_trail_and_status_list_alike(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    told = change(deployment, certificate, SUSPENDED, reason="contacts an undeclared host", actor="operator:ada")
    with deployment.read_sessions() as session:
        assert session.get_one(CertificateRow, certificate.id).status == "SUSPENDED"
        entry = json.loads(session.get_one(LogEntryRow, told.log_index).entry)
        [trail] = session.scalars(select(AuditTrailRow))
    assert (entry["actor"], entry["reason"], entry["before"], entry["after"], entry["role"]) == (
        "operator:ada",
        "contacts an undeclared host",
        "APPROVED",
        "SUSPENDED",
        "OPERATOR",
    )
    assert (trail.actor, trail.action, trail.subject, trail.reason) == (
        "operator:ada",
        "certificate.suspend",
        certificate.id,
        "contacts an undeclared host",
    )
    assert (trail.before["status"], trail.after["status"], trail.after["logIndex"]) == (
        "APPROVED",
        "SUSPENDED",
        told.log_index,
    )
    assert last_change(deployment, certificate.id) == told
    assert verdict(deployment, certificate) == "SUSPENDED"
    assert audit_log(deployment).faults == ()
    assert status_list_faults(deployment) == []


def test_a_suspension_can_end_and_a_revocation_cannot(deployment: Deployment, certificate: CertificateRow) -> None:
    assert last_change(deployment, certificate.id) is None
    for after, seen in ((SUSPENDED, "SUSPENDED"), (APPROVED, "VALID"), (SUSPENDED, "SUSPENDED"), (REVOKED, "REVOKED")):
        change(deployment, certificate, after)
        assert verdict(deployment, certificate) == seen
    for after in (APPROVED, SUSPENDED):
        with pytest.raises(StatusChangeRefused, match="cannot become"):
            change(deployment, certificate, after)
    assert audit_log(deployment).size == 1 + 4


def test_the_same_change_asked_for_again_finishes_it_and_adds_nothing(
    deployment: Deployment, certificate: CertificateRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise OSError("the machine stopped")

    with monkeypatch.context() as patch:
        patch.setattr("sigma_core.lifecycle.certificate_status.publish_log", die)
        with pytest.raises(OSError, match="stopped"):
            change(deployment, certificate, REVOKED)
    first = last_change(deployment, certificate.id)
    assert change(deployment, certificate, REVOKED, reason="another reason") == first
    assert verdict(deployment, certificate) == "REVOKED"
    assert audit_log(deployment).faults == ()


def test_monitoring_may_only_suspend_and_what_it_suspended_takes_a_full_round(
    deployment: Deployment,
    certificate: CertificateRow,
) -> None:
    for after in (REVOKED, APPROVED):
        with pytest.raises(StatusChangeRefused):
            change(deployment, certificate, after, role=StatusRole.MONITOR)
    change(deployment, certificate, SUSPENDED, role=StatusRole.MONITOR)
    with pytest.raises(StatusChangeRefused, match="full round"):
        change(deployment, certificate, APPROVED)
    decided_round(deployment, certificate.submission_id, "run-2")
    assert change(deployment, certificate, APPROVED).after is APPROVED


@pytest.mark.parametrize("after", [CertificateStatus.REJECTED, CertificateStatus.ESCALATED, CertificateStatus.EXPIRED])
def test_a_status_that_nobody_decides_afterwards_is_refused(
    deployment: Deployment, certificate: CertificateRow, after: CertificateStatus
) -> None:
    with pytest.raises(StatusChangeRefused):
        change(deployment, certificate, after)


def test_an_unknown_certificate_is_refused(deployment: Deployment) -> None:
    with pytest.raises(CertificateUnknown):
        change_status(deployment, "cert_none", REVOKED, actor="a", reason="b")


@pytest.mark.parametrize("field", ["actor", "reason"])
@pytest.mark.parametrize("text", ["", "  ", "x" * 1_001, "line\nbreak", "\x1b[31m", "\u202eevil"])
def test_actor_and_reason_are_plain_words(deployment: Deployment, field: str, text: str) -> None:
    with pytest.raises(SigmaError, match=field):
        change_status(deployment, "cert_none", REVOKED, **({"actor": "a", "reason": "b"} | {field: text}))


# Lists


def test_a_list_that_still_says_what_is_so_is_left_as_it_is(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    now = utc_now()
    assert publish_status_lists(deployment, now=now) == []  # issuing has
    assert publish_status_lists(deployment, now=now + timedelta(hours=1)) == []
    assert [published_list(deployment, 0, purpose) for purpose in PURPOSES.values()] == lists(deployment)
    for number, purpose in ((1, "revocation"), (-1, "revocation"), (0, "other"), (0, "../keys/log.pem")):
        assert published_list(deployment, number, purpose) is None
    before = lists(deployment)
    assert len(publish_status_lists(deployment, now=now + timedelta(hours=12))) == 2  # half of their time is over
    assert lists(deployment) != before


def test_a_certificate_that_is_out_has_its_lists_out_and_the_next_one_finds_them_fresh(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    assert status_list_faults(deployment) == []
    entry = StatusListEntry(list_base(deployment, 0), 0)
    before = lists(deployment)
    ensure_status_lists(deployment, entry)
    assert lists(deployment) == before
    for damage in (b"x", before[1]):  # no list at all, and the other list in its place
        list_file(deployment.settings.status_lists, 0, REVOKED).write_bytes(damage)
        ensure_status_lists(deployment, entry)
        assert status_list_faults(deployment) == []


def test_issuing_signs_lists_again_that_have_less_than_half_of_their_time_left(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    held = StatusList.open(lists(deployment)[0], deployment.trusted_keys)
    nearly = replace(held, valid_until=held.valid_from + timedelta(milliseconds=2)).sign(deployment.signing_key)
    list_file(deployment.settings.status_lists, 0, REVOKED).write_bytes(nearly)
    ensure_status_lists(deployment, StatusListEntry(list_base(deployment, 0), 0))
    assert status_list_faults(deployment) == []


def test_only_the_list_that_a_change_is_in_is_written(deployment: Deployment, certificate: CertificateRow) -> None:
    publish_status_lists(deployment)
    before = dict(zip(PURPOSES, lists(deployment), strict=True))
    change(deployment, certificate, SUSPENDED)
    after = dict(zip(PURPOSES, lists(deployment), strict=True))
    assert [status for status in PURPOSES if before[status] != after[status]] == [SUSPENDED]
    assert StatusList.open(after[SUSPENDED], deployment.trusted_keys).holds(0)


def test_the_monitor_names_a_list_that_is_missing_stale_or_says_otherwise(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    shutil.rmtree(deployment.settings.status_lists)
    assert [fault.split(":")[0] for fault in status_list_faults(deployment)] == [
        "revocation list 0",
        "suspension list 0",
    ]
    publish_status_lists(deployment)
    held = lists(deployment)[0]
    stale = StatusList.open(held, deployment.trusted_keys)
    ended = replace(stale, valid_until=stale.valid_from + timedelta(milliseconds=1)).sign(deployment.signing_key)
    list_file(deployment.settings.status_lists, 0, REVOKED).write_bytes(ended)
    assert "a list that is good at" in status_list_faults(deployment)[0]
    publish_status_lists(deployment)
    assert status_list_faults(deployment) == []
    with deployment.sessions.begin() as session:
        session.get_one(CertificateRow, certificate.id).status = "REVOKED"
    assert status_list_faults(deployment) == ["revocation list 0: says otherwise than the records"]
    list_file(deployment.settings.status_lists, 0, REVOKED).write_bytes(b"x")
    assert "canonical JSON" in status_list_faults(deployment)[0]

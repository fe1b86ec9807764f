"""A certified package that a later round turns away: its certificate is suspended, whoever is killed, until a round approves it again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from assembly_steps import opened, say
from issued import issued, split_round

from sigma_core.audit.model import Verdict
from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.status_list import PURPOSES
from sigma_core.certificates.verify import verify_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certificate_status import StatusChangeRefused, change_status, last_change
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.log_audit import audit_log, status_list_faults
from sigma_core.lifecycle.outcome import decide_round
from sigma_core.lifecycle.panels import open_run_key, run_phase
from sigma_core.lifecycle.round_requests import request_re_audit
from sigma_core.lifecycle.stalled_rounds import halted_rounds
from sigma_core.lifecycle.status_lists import list_file
from sigma_core.storage.protocol import CertificateRow, RoundRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

ADA = {"actor": "operator:ada", "reason": "the host it calls has changed hands"}


@pytest.fixture
def certificate(deployment: Deployment, honest: Package, submitted: Callable[[Package], str]) -> CertificateRow:
    return issued(deployment, submitted(honest))


def another_round(deployment: Deployment, certificate: CertificateRow, says: Verdict, run: str = "run-2") -> RoundRow:
    """A re-audit in which every seat ``says`` this, decided and without what follows."""
    request = request_re_audit(deployment, certificate.id, **ADA)
    with pytest.MonkeyPatch.context() as patch:
        say(patch, lambda *_: says)
        round_id = opened(deployment, certificate.submission_id, run, request.id)
        for phase in (1, 2):
            run_phase(deployment, round_id, phase)
    return decide_round(deployment, round_id)


def status(deployment: Deployment, certificate: CertificateRow) -> str:
    """What an offline verifier with today's status lists says."""
    bundle = deployment.blobs.get(certificate.bundle_sha256)
    lists = [list_file(deployment.settings.status_lists, 0, purpose).read_bytes() for purpose in PURPOSES]
    try:
        verify_bundle(bundle, deployment.trusted_keys, at=utc_now(), status_lists=lists)
    except VerificationError as error:
        return error.code
    return "VALID"


def resume(deployment: Deployment, certificate: CertificateRow) -> None:
    change_status(deployment, certificate.id, CertificateStatus.APPROVED, **ADA)


@pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
def test_a_re_audit_that_rejects_suspends_the_certificate_publicly(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    rejected = another_round(deployment, certificate, Verdict.UNSAFE)
    assert rejected.outcome == "REJECTED"
    assert issue_certificate(deployment, rejected.id) is None
    assert status(deployment, certificate) == "SUSPENDED"
    told = last_change(deployment, certificate.id)
    assert told is not None
    assert (told.role, told.actor, told.reason) == ("ASSEMBLY", "assembly", f"{rejected.id} turned the package away")
    issue_certificate(deployment, rejected.id)  # again: nothing more
    assert last_change(deployment, certificate.id) == told
    assert audit_log(deployment).faults == ()
    assert status_list_faults(deployment) == []


def test_only_a_later_round_that_approves_lets_it_be_resumed_and_gets_one_of_its_own(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    rejected = another_round(deployment, certificate, Verdict.UNSAFE)
    issue_certificate(deployment, rejected.id)
    with pytest.raises(StatusChangeRefused, match=f"{rejected.id} turned the package away since") as refused:
        resume(deployment, certificate)
    assert refused.value.hint == f"ask for one first: sigma operator appeal {rejected.id}"
    approved = another_round(deployment, certificate, Verdict.SAFE, "run-3")
    own = issue_certificate(deployment, approved.id)
    assert own is not None
    assert (status(deployment, own), status(deployment, certificate)) == ("VALID", "SUSPENDED")
    resume(deployment, certificate)
    issue_certificate(deployment, rejected.id)
    assert (status(deployment, own), status(deployment, certificate)) == ("VALID", "VALID")


def test_a_suspension_of_an_operator_does_not_end_over_a_round_that_turned_the_package_away(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    change_status(deployment, certificate.id, CertificateStatus.SUSPENDED, **ADA)
    issue_certificate(deployment, another_round(deployment, certificate, Verdict.UNSAFE).id)
    with pytest.raises(StatusChangeRefused, match="turned the package away"):
        resume(deployment, certificate)


def test_a_split_vote_turns_nothing_away(deployment: Deployment, certificate: CertificateRow) -> None:
    escalated = split_round(deployment, certificate.submission_id, run="run-2")
    assert issue_certificate(deployment, escalated) is None
    assert last_change(deployment, certificate.id) is None


def test_an_escalation_with_rejection_does(deployment: Deployment, certificate: CertificateRow) -> None:
    escalated = split_round(deployment, certificate.submission_id, run="run-2")
    with deployment.sessions.begin() as session:
        session.get_one(RoundRow, escalated).with_rejection = True
    issue_certificate(deployment, escalated)
    assert status(deployment, certificate) == "SUSPENDED"


@pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
def test_a_run_that_was_killed_before_the_suspension_is_taken_up_again(
    deployment: Deployment, certificate: CertificateRow
) -> None:
    rejected = another_round(deployment, certificate, Verdict.UNSAFE)
    later = utc_now() + timedelta(days=1)
    assert [halted.round_id for halted in halted_rounds(deployment, later, 10)] == [rejected.id]
    assert open_run_key(deployment, certificate.submission_id) == rejected.run_key
    issue_certificate(deployment, rejected.id)
    assert halted_rounds(deployment, later, 10) == []

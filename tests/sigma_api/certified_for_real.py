"""A deployment that took packages through all its stages: real rounds, log, status lists and weights for whoever reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certificate_status import change_status
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.facts import derive_and_keep
from sigma_core.lifecycle.intake import Provenance, submit
from sigma_core.lifecycle.opening import open_deployment
from sigma_core.lifecycle.outcome import decide_round
from sigma_core.lifecycle.panels import Run, open_round, run_phase
from sigma_core.lifecycle.status_lists import publish_status_lists
from sigma_core.storage.protocol import CertificateRow
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import SourceType

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SKILL = EXAMPLES / "changelog-writer"
SKILL_WITH_API = EXAMPLES / "release-notes-api"


@dataclass(frozen=True)
class CertifiedForReal:
    """The deployment, and its certificates by what became of them."""

    deployment: Deployment
    approved: CertificateRow
    with_api: CertificateRow
    suspended: CertificateRow
    revoked: CertificateRow


@contextmanager
def certified_for_real(home: Path, **settings: str) -> Iterator[CertifiedForReal]:
    """Made in ``home``; ``public_rate_requests="10"`` sets SIGMA_PUBLIC_RATE_REQUESTS first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(home))
        for name, value in settings.items():
            patch.setenv(f"SIGMA_{name.upper()}", value)
        deployment = open_deployment()
    rows = [certify(deployment, package) for package in (SKILL, SKILL_WITH_API, SKILL, SKILL)]
    change = {"actor": "operator:ada", "reason": "its author reported a stolen account"}
    change_status(deployment, rows[2].id, CertificateStatus.SUSPENDED, **change)
    change_status(deployment, rows[3].id, CertificateStatus.REVOKED, **change)
    publish_status_lists(deployment)
    yield CertifiedForReal(deployment, *rows)
    deployment.close()


def certify(deployment: Deployment, folder: Path) -> CertificateRow:
    """Take the package in ``folder`` through a round that approves it."""
    package = read_package(folder, deployment.policy)
    provenance = Provenance(SourceType.UPLOAD, package.source_name, None, "dev_1", dev_notes="as asked")
    submission = submit(deployment, package, provenance, scheduled=False)
    derive_and_keep(deployment, submission)
    round_id = open_round(deployment, submission, Run("run-1", "run-1"))
    for phase in (1, 2):
        run_phase(deployment, round_id, phase)
    decide_round(deployment, round_id)
    row = issue_certificate(deployment, round_id)
    assert row is not None
    return row

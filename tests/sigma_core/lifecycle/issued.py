"""Rounds decided and certificates issued: what tests of later stages start from."""

from __future__ import annotations

from split_votes import dissent

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.facts import derive_and_keep
from sigma_core.lifecycle.outcome import decide_round
from sigma_core.lifecycle.panels import Run, open_round, run_phase
from sigma_core.storage.protocol import CertificateRow


def decided_round(deployment: Deployment, submission: str, run: str = "run-1") -> str:
    """A whole round, decided and without its certificate; returns its id."""
    derive_and_keep(deployment, submission)
    round_id = open_round(deployment, submission, Run(run, run))
    for phase in (1, 2):
        run_phase(deployment, round_id, phase)
    decide_round(deployment, round_id)
    return round_id


def split_round(deployment: Deployment, submission: str, *, unsafe: int = 1, run: str = "run-1") -> str:
    """Such a round in which the first ``unsafe`` seats of phase 1 voted against the package."""
    with dissent(unsafe):
        return decided_round(deployment, submission, run)


def issued(deployment: Deployment, submission: str, run: str = "run-1") -> CertificateRow:
    """The certificate of such a round."""
    row = issue_certificate(deployment, decided_round(deployment, submission, run))
    assert row is not None
    return row

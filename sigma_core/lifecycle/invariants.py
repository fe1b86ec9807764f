"""What must hold after a stage, recomputed from what was kept. Each check raises SigmaError naming what does not hold."""

from __future__ import annotations

from sqlalchemy import select

from sigma_core.assembly.consensus import RoundOutcome, Vote
from sigma_core.assembly.round import PHASE_ONE, PHASE_TWO
from sigma_core.certificates.verify import verify_bundle
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.facts import load_facts
from sigma_core.lifecycle.intake import load_package
from sigma_core.lifecycle.panels import load_phases, load_round
from sigma_core.lifecycle.replay import replay_kept_round
from sigma_core.lifecycle.report import certificate_of, find_round
from sigma_core.storage.protocol import FactsRow


class InvariantBroken(SigmaError):
    """Something that SIGMA promises does not hold for a submission."""

    code = "INVARIANT_BROKEN"


def facts_account_for_every_file(deployment: Deployment, submission_id: str) -> None:
    """The newest facts are readable, of this package, and their coverage ledger lists exactly its files."""
    with deployment.read_sessions() as session:
        sha256 = session.scalar(
            select(FactsRow.sha256)
            .where(FactsRow.submission_id == submission_id)
            .order_by(FactsRow.derived_at.desc())
            .limit(1)
        )
    if sha256 is None:
        raise InvariantBroken("no facts document was kept")
    facts = load_facts(deployment, sha256)
    package = load_package(deployment, submission_id)
    if facts.document["package"]["treeHash"] != package.tree_hash:
        raise InvariantBroken("the facts are about another package tree")
    listed = [(entry["path"], entry["sha256"]) for entry in facts.document["coverage"]["files"]]
    present = [(file.path, file.sha256) for file in package.files]
    if sorted(listed) != sorted(present):
        missing = sorted({path for path, _ in present} - {path for path, _ in listed})
        raise InvariantBroken(
            f"the coverage ledger does not account for {missing[0] if missing else 'the files as they are'}"
        )


def outcome_has_its_quorum(deployment: Deployment, submission_id: str) -> None:
    """The decided round replays to the same outcome, and none was approved short of a quorum or with a vote against."""
    row = find_round(deployment, submission_id)
    rules = load_round(deployment, row).rules
    if row.outcome == RoundOutcome.APPROVED:
        for record in load_phases(deployment, row.id):
            if record.panel.phase in (PHASE_ONE, PHASE_TWO):
                cast = [vote for vote in record.votes if vote in (Vote.SAFE, Vote.UNSAFE)]
                if len(cast) < rules.quorum_per_phase:
                    raise InvariantBroken(
                        f"approved with {len(cast)} votes in phase {record.panel.phase}; the quorum is {rules.quorum_per_phase}"
                    )
    differences = replay_kept_round(deployment, row.id).differences
    if differences:
        raise InvariantBroken(f"the round does not replay: {differences[0]}")


def certificate_verifies(deployment: Deployment, submission_id: str) -> None:
    """An approved round has a certificate that verifies offline against the audited package; another round has none."""
    row = find_round(deployment, submission_id)
    certificate = certificate_of(deployment, row.id)
    if row.outcome != RoundOutcome.APPROVED:
        if certificate is not None:
            raise InvariantBroken(f"round {row.id} ended {row.outcome} and yet has certificate {certificate.id}")
        return
    if certificate is None:
        raise InvariantBroken(f"round {row.id} was approved and has no certificate")
    verified = verify_bundle(
        deployment.blobs.get(certificate.bundle_sha256),
        deployment.trusted_keys,
        at=certificate.issued_at,
        package=load_package(deployment, submission_id),
    )
    if verified.payload.hash != certificate.payload_hash or verified.payload.round_id != row.id:
        raise InvariantBroken(f"certificate {certificate.id} is not the one on record")

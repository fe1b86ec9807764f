"""What must hold after a stage, recomputed from what was kept. Each check raises SigmaError naming what does not hold."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import select

from sigma_core.assembly.canaries import CanaryRecord
from sigma_core.assembly.consensus import RoundOutcome, TruthSource, Vote
from sigma_core.assembly.round import PHASE_ONE, PHASE_TWO, view_of
from sigma_core.audit.grounding import is_grounded
from sigma_core.audit.model import Finding
from sigma_core.audit.views import view_of as seen_in
from sigma_core.certificates.verify import verify_bundle
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.canaries import canary_record
from sigma_core.lifecycle.facts import load_facts
from sigma_core.lifecycle.intake import load_package, package_of
from sigma_core.lifecycle.operator_decisions import is_withheld
from sigma_core.lifecycle.panels import KeptRound, load_kept_round
from sigma_core.lifecycle.policies import policy_of
from sigma_core.lifecycle.replay import replay_round
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


def latest_round(deployment: Deployment, submission_id: str) -> KeptRound:
    """What the checks of an outcome look at, read once for all of them. Raises RoundUnknown, RoundNotReady, BlobMissing or BlobCorrupt."""
    return load_kept_round(deployment, find_round(deployment, submission_id), deployment.blobs.get)


def outcome_has_its_quorum(deployment: Deployment, kept: KeptRound) -> None:
    """The decided round replays to the same outcome, and none was approved short of a quorum or with a vote against."""
    quorum = kept.held.rules.quorum_per_phase
    if kept.row.outcome == RoundOutcome.APPROVED:
        for record in kept.phases:
            if record.panel.phase in (PHASE_ONE, PHASE_TWO):
                cast = [vote for vote in record.votes if vote in (Vote.SAFE, Vote.UNSAFE)]
                if len(cast) < quorum:
                    raise InvariantBroken(
                        f"approved with {len(cast)} votes in phase {record.panel.phase}; the quorum is {quorum}"
                    )
    differences = replay_round(deployment, kept.row).differences
    if differences:
        raise InvariantBroken(f"the round does not replay: {differences[0]}")


def panels_are_diverse(_deployment: Deployment, kept: KeptRound) -> None:
    """Nobody sat twice in the round, no operator twice and no family above its cap in a panel, but under a relaxation that
    stands on the seat."""
    row, rules = kept.row, kept.held.rules
    sat: set[str] = set()
    operators: set[str] = set()
    for record in kept.phases:
        families: Counter[str] = Counter()
        replaced = {seat.replaces for seat in record.panel.seats}
        for seat in record.panel.seats:
            place = f"round {row.id}, seat {seat.phase}.{seat.number}"
            if seat.validator_id in sat:
                raise InvariantBroken(f"{place}: {seat.validator_id} had a seat in this round before")
            if seat.operator in operators and "operator_twice" not in seat.relaxations:
                raise InvariantBroken(f"{place}: operator {seat.operator} had a seat in this round before")
            sat.add(seat.validator_id)
            operators.add(seat.operator)
            families[seat.family] += seat.number not in replaced
            if families[seat.family] > rules.max_seats_per_family and "family_cap" not in seat.relaxations:
                raise InvariantBroken(f"{place}: family {seat.family} has more than {rules.max_seats_per_family} seats")


def findings_are_grounded(deployment: Deployment, kept: KeptRound) -> None:
    """Every finding of every counted verdict of the round quotes what stands at its place in the package that was submitted."""
    cited = [
        (record.panel.phase, number, Finding.from_json(document))
        for record in kept.phases
        for number, vote in record.ballot.votes.items()
        for document in (vote.verdict or {}).get("findings", ())
    ]
    if not cited:
        return
    package = package_of(deployment.blobs.get, kept.submission)
    views = {view: seen_in(package, view) for view in {view_of(phase) for phase, _, _ in cited}}
    rules = policy_of(deployment, kept.row.policy_hash).audit
    for phase, number, finding in cited:
        if not is_grounded(finding, views[view_of(phase)], rules):
            raise InvariantBroken(
                f"round {kept.row.id}, seat {phase}.{number}: the quote of a finding does not stand at "
                f"{finding.file}:{finding.line_start}"
            )


def canaries_stay_apart(deployment: Deployment, kept: KeptRound) -> CanaryRecord:
    """What was planted in the round shows in no vote and no fact, and a canary package was scored by its label and not
    approved. Returns the round's record."""
    row = kept.row
    record = canary_record(deployment, row)
    listed = {file["path"] for file in load_facts(deployment, row.facts_sha256).document["coverage"]["files"]}
    votes = {
        (phase.panel.phase, number): vote.verdict
        for phase in kept.phases
        for number, vote in phase.ballot.votes.items()
    }
    for planted in record.planted:
        verdict = votes.get((planted.phase, planted.seat)) or {"findings": [], "filesReviewed": []}
        cited = {finding["file"] for finding in verdict["findings"]} | set(verdict["filesReviewed"])
        if planted.path in cited | listed:
            raise InvariantBroken(f"round {row.id}: a planted file shows outside of its view")
    if record.package is not None and row.state == "DECIDED":
        if row.outcome == RoundOutcome.APPROVED or certificate_of(deployment, row.id) is not None:
            raise InvariantBroken(f"round {row.id} approved a canary")
        if (row.truth, row.truth_source) != (record.package.label, TruthSource.CANARY_LABEL):
            raise InvariantBroken(f"round {row.id} is about a canary and not scored by its label")
    return record


def certificate_verifies(deployment: Deployment, submission_id: str) -> None:
    """An approved round has a certificate that verifies offline against the audited package, unless an operator overrode the approval
    first; another round has none."""
    row = find_round(deployment, submission_id)
    certificate = certificate_of(deployment, row.id)
    if row.outcome != RoundOutcome.APPROVED:
        if certificate is not None:
            raise InvariantBroken(f"round {row.id} ended {row.outcome} and yet has certificate {certificate.id}")
        return
    if certificate is None:
        with deployment.read_sessions() as session:
            if is_withheld(session, row.id):
                return
        raise InvariantBroken(f"round {row.id} was approved and has no certificate")
    verified = verify_bundle(
        deployment.blobs.get(certificate.bundle_sha256),
        deployment.trusted_keys,
        at=certificate.issued_at,
        package=load_package(deployment, submission_id),
    )
    if verified.payload.hash != certificate.payload_hash or verified.payload.round_id != row.id:
        raise InvariantBroken(f"certificate {certificate.id} is not the one on record")

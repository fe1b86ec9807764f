"""The facts stage: derive the facts document of a submission and keep it."""

from __future__ import annotations

import threading

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.intake import load_submission, package_of
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.sandbox.rules import load_rules
from sigma_core.storage.blobs import BlobCorrupt, BlobMissing
from sigma_core.storage.protocol import FactsRow, SubmissionRow
from sigma_core.timestamps import utc_now

REMEMBERED_DERIVATIONS = 1_024
_derived: dict[tuple[str, str, str], str] = {}
"""Hash of the facts by hashes of package document, policy and rules: all that facts depend on in one process. Some 300 bytes each."""
_derived_lock = threading.Lock()


def derive_and_keep(deployment: Deployment, submission_id: str) -> FactsDocument:
    """The facts of a submission under today's rules. The same rules give the same document, which is kept once.

    Where this process has derived the facts of an equal package before, they are read instead.
    """
    facts = _facts_of(deployment, load_submission(deployment, submission_id))
    with deployment.sessions.begin() as session:
        known = session.get(FactsRow, (submission_id, facts.sha256))
        if known is not None:
            known.derived_at = utc_now()  # a round takes the document that was derived last
        else:
            session.add(
                FactsRow(
                    submission_id=submission_id,
                    sha256=facts.sha256,
                    rule_pack_hash=facts.document["rulePackHash"],
                    policy_hash=facts.document["policyHash"],
                    complete=facts.complete,
                    sandbox_risk_level=facts.risk_level.value,
                    security_level=facts.security_level.value,
                    fact_count=len(facts.facts),
                    blocking_count=len(facts.blocking_signals),
                    derived_at=utc_now(),
                )
            )
    return facts


def load_facts(deployment: Deployment, sha256: str) -> FactsDocument:
    """The kept document. Raises BlobMissing or BlobCorrupt."""
    return FactsDocument.of(deployment.blobs.get(sha256))


def recall_facts(deployment: Deployment, sha256: str) -> FactsDocument:
    """`load_facts` for a stage that goes on with what an earlier one kept; see `Blobs.recall`."""
    return FactsDocument.of(deployment.blobs.recall(sha256))


def _facts_of(deployment: Deployment, submission: SubmissionRow) -> FactsDocument:
    key = (submission.package_sha256, deployment.policy.hash, load_rules().sha256)
    facts = _facts_before(deployment, key) or derive_facts(
        package_of(deployment.blobs.recall, submission), deployment.policy
    )
    deployment.blobs.put(facts.canonical_bytes)
    if facts.complete:  # what an analyser failed at may go well the next time
        with _derived_lock:
            if key not in _derived and len(_derived) >= REMEMBERED_DERIVATIONS:
                _derived.pop(next(iter(_derived)))
            _derived[key] = facts.sha256
    return facts


def _facts_before(deployment: Deployment, key: tuple[str, str, str]) -> FactsDocument | None:
    with _derived_lock:
        known = _derived.get(key)
    try:
        return None if known is None else recall_facts(deployment, known)
    except (BlobMissing, BlobCorrupt):  # another deployment's store, or one that was damaged since
        return None

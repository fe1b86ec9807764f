"""The facts stage: derive the facts document of a submission and keep it."""

from __future__ import annotations

import json

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.intake import load_package
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.protocol import FactsRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now


def derive_and_keep(deployment: Deployment, submission_id: str, package: Package | None = None) -> FactsDocument:
    """The facts of a submission under today's rules. The same rules give the same document, which is kept once."""
    facts = derive_facts(package or load_package(deployment, submission_id), deployment.policy)
    deployment.blobs.put(facts.canonical_bytes)
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
    return FactsDocument(json.loads(deployment.blobs.get(sha256)))

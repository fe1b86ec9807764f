"""One seat's audit: the validator's engine on the panel's view, held against the bytes, with a usage row for the attempt."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import select

from sigma_core.audit.families import embedded_families
from sigma_core.audit.grounding import ground
from sigma_core.audit.model import AuditModel, AuditRequest, AuditResult, Verdict, View
from sigma_core.canonical import sha256_of
from sigma_core.deployment import Deployment
from sigma_core.policy import AuditRules
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.usage import CallAttemptRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class SeatAudit:
    """What one seat's engine said, and what the attempt took."""

    seat_number: int
    validator_id: str
    result: AuditResult
    request_sha256: str
    latency_us: int
    failed: bool


@lru_cache(maxsize=1)
def engines() -> Mapping[str, AuditModel]:
    """The engines of this process by family."""
    return {engine.family: engine for engine in embedded_families()}


def audit_seat(
    *,
    seat_number: int,
    validator_id: str,
    family: str,
    parameters: Mapping[str, int | str],
    package: Package,
    facts: FactsDocument,
    view: View,
    rules: AuditRules,
) -> SeatAudit:
    """Audit ``package`` (already the view) for one seat. An engine that raises or is missing makes the seat ABSTAIN."""
    request_sha256 = sha256_of(
        {
            "treeHash": package.tree_hash,
            "factsSha256": facts.sha256,
            "view": view.value,
            "family": family,
            "parameters": dict(parameters),
        }
    )
    started = time.perf_counter_ns()
    engine = engines().get(family)
    if engine is None:
        result, failed = _abstained(family, package, f"no engine of family {family!r} in this deployment"), True
    else:
        try:
            said = engine.audit(AuditRequest(package=package, facts=facts, view=view, parameters=parameters))
            result, failed = ground(said, package, rules), False
        except Exception as error:  # a hostile package may break an engine; that is an abstention, never a vote
            result, failed = _abstained(family, package, f"the engine raised {type(error).__name__}"), True
    latency_us = (time.perf_counter_ns() - started) // 1_000
    return SeatAudit(seat_number, validator_id, result, request_sha256, latency_us, failed)


def _abstained(family: str, package: Package, reason: str) -> AuditResult:
    return AuditResult(
        verdict=Verdict.ABSTAIN,
        findings=(),
        files_reviewed=tuple(file.path for file in package.files),
        score_ppm=0,
        family=family,
        revision="none",
        reason=reason,
    )


def keep_usage(
    deployment: Deployment, *, round_id: str, submission_id: str, phase: int, audits: Sequence[SeatAudit]
) -> None:
    """One row for each attempt, in the usage database. Writing the same attempts again adds nothing."""
    by_key = {f"{round_id}/{phase}/{audit.seat_number}/{audit.validator_id}": audit for audit in audits}
    with deployment.usage_sessions.begin() as session:
        known = set(session.scalars(select(CallAttemptRow.call_key).where(CallAttemptRow.call_key.in_(by_key))))
        for call_key, audit in by_key.items():
            if call_key in known:
                continue
            session.add(
                CallAttemptRow(
                    call_key=call_key,
                    attempt_number=1,
                    round_id=round_id,
                    submission_id=submission_id,
                    phase=phase,
                    validator_id=audit.validator_id,
                    purpose="audit",
                    provider=EMBEDDED,
                    model=audit.result.family,
                    model_revision=audit.result.revision,
                    state="failed" if audit.failed else "done",
                    http_status=None,
                    finish_reason=None,
                    latency_us=audit.latency_us,
                    uncached_in=0,
                    cache_read=0,
                    cache_write=0,
                    tokens_out=0,
                    reasoning=0,
                    # An embedded engine reads no tokens and costs nothing: that is known, not missing.
                    usage_source="none",
                    cost_micro_usd=0,
                    cost_source="zero",
                    price_snapshot=None,
                    request_sha256=audit.request_sha256,
                    response_sha256=audit.result.sha256,
                    created_at=utc_now(),
                )
            )

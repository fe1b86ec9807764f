"""A seat's audit: the validator's engine on the panel's view, held against the bytes, with a usage row for each attempt."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache

from sqlalchemy import insert, select

from sigma_core.assembly.selection import Seat
from sigma_core.audit.canaries.planting import Plant
from sigma_core.audit.families import embedded_families
from sigma_core.audit.grounding import ground
from sigma_core.audit.language_models.families import SeatPlace
from sigma_core.audit.model import AuditModel, AuditRequest, AuditResult, Verdict, View
from sigma_core.canonical import sha256_of
from sigma_core.deployment import Deployment
from sigma_core.errors import Unavailable
from sigma_core.lifecycle.language_models import judges_of
from sigma_core.lifecycle.plugins import Advice, advice_for
from sigma_core.policy import AuditRules
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.protocol import RoundRow
from sigma_core.storage.usage import CallAttemptRow
from sigma_core.submissions.package import Package, PackageFile
from sigma_core.timestamps import utc_now

EMBEDDED = "embedded"

Turn = Callable[[str, str], AbstractContextManager[None]]
"""Waits until a seat may ask its provider: (provider, the seat's place, unique among all seats)."""


def without_waiting(_provider: str, _place: str) -> AbstractContextManager[None]:
    """Every seat may ask at once; the limits of the policy hold all the same."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class PlantedView:
    """A seat's view with a file planted into it, and the facts of that view."""

    plant: Plant
    file: PackageFile
    package: Package
    facts: FactsDocument


@dataclass(frozen=True, slots=True)
class SeatAudit:
    """What one seat's engine said, and what that took. ``accounted`` where the engine's attempts are rows already;
    ``advice`` is what the validator's plugins put into its prompt, ``planted`` the audit of the seat's planted view."""

    seat_number: int
    validator_id: str
    result: AuditResult
    request_sha256: str
    latency_us: int
    failed: bool
    accounted: bool = False
    advice: Advice | None = None
    planted: SeatAudit | None = None


@lru_cache(maxsize=1)
def engines() -> Mapping[str, AuditModel]:
    """The engines of this process by family."""
    return {engine.family: engine for engine in embedded_families()}


def audit_seats(
    deployment: Deployment,
    row: RoundRow,
    seats: Sequence[Seat],
    *,
    parameters: Mapping[str, Mapping[str, int | str]],
    package: Package,
    facts: FactsDocument,
    view: View,
    planted: Mapping[int, PlantedView],
    turn: Turn = without_waiting,
) -> dict[int, SeatAudit]:
    """Audit ``package`` (already the view) for every seat, and for the seats in ``planted`` their planted view as well; audits by
    seat number.

    Language models are asked at once, while the embedded engines work. An engine that raises or is missing makes its seat
    ABSTAIN. Raises Unavailable when attempts cannot be recorded.
    """
    models = judges_of(deployment)
    asking = [seat for seat in seats if seat.family in models.statuses]
    advice = advice_for(deployment, [seat.validator_id for seat in asking], package.product_type) if asking else {}

    def audit(seat: Seat) -> SeatAudit:
        own = parameters[seat.validator_id]
        advised = advice.get(seat.validator_id)

        def engine(place: SeatPlace) -> AuditModel | str:
            if advised is None:
                return engines().get(seat.family, f"no engine of family {seat.family!r} in this deployment")
            return models.judge(seat.family, own, place, advised.xml)

        def ask(about: AuditModel | str, request: AuditRequest) -> SeatAudit:
            done = _audit_seat(seat, about, request, deployment.policy.audit)
            return replace(done, accounted=advised is not None)

        place = _place(row, seat)
        voter = engine(place)
        shown = planted.get(seat.number)
        waiting: AbstractContextManager[None] = nullcontext()
        if advised is not None and not isinstance(voter, str):
            waiting = turn(models.provider(seat.family, own), f"{row.id}/{seat.phase}/{seat.number}")
        with waiting:
            done = ask(voter, AuditRequest(package, facts, view, own))
            about_planted = (
                ask(engine(replace(place, planted=True)), AuditRequest(shown.package, shown.facts, view, own))
                if shown is not None
                else None
            )
        return replace(done, advice=None if isinstance(voter, str) else advised, planted=about_planted)

    embedded = [seat for seat in seats if seat not in asking]
    if not asking:
        return {seat.number: audit(seat) for seat in embedded}
    with ThreadPoolExecutor(len(asking), thread_name_prefix="sigma-seat") as pool:
        asked = pool.map(audit, asking)
        audits = [*map(audit, embedded), *asked]
    return {audit.seat_number: audit for audit in audits}


def _place(row: RoundRow, seat: Seat) -> SeatPlace:
    return SeatPlace(row.id, row.submission_id, seat.phase, seat.number, seat.validator_id, row.seed)


def _audit_seat(seat: Seat, engine: AuditModel | str, request: AuditRequest, rules: AuditRules) -> SeatAudit:
    """One seat's audit by its engine, or, where ``engine`` is the reason why there is none, its ABSTAIN."""
    package = request.package
    request_sha256 = sha256_of(
        {
            "treeHash": package.tree_hash,
            "factsSha256": request.facts.sha256,
            "view": request.view.value,
            "family": seat.family,
            "parameters": dict(request.parameters),
        }
    )
    started = time.perf_counter_ns()
    if isinstance(engine, str):
        result, failed = _abstained(seat.family, package, engine), True
    else:
        try:
            result, failed = ground(engine.audit(request), package, rules), False
        except Unavailable:
            raise  # the deployment's own trouble, which says nothing about the package
        except Exception as error:  # a hostile package may break an engine; that is an abstention, never a vote
            result, failed = _abstained(seat.family, package, f"the engine raised {type(error).__name__}"), True
    latency_us = (time.perf_counter_ns() - started) // 1_000
    return SeatAudit(seat.number, seat.validator_id, result, request_sha256, latency_us, failed)


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
    """One row for each audit by an embedded engine, in the usage database. Writing the same ones again adds nothing."""
    views = [(audit, "audit") for audit in audits]
    views += [(audit.planted, "canary") for audit in audits if audit.planted is not None]
    by_key = {
        f"{round_id}/{phase}/{audit.seat_number}/{audit.validator_id}{'/planted' if purpose == 'canary' else ''}": (
            audit,
            purpose,
        )
        for audit, purpose in views
        if not audit.accounted
    }
    now = utc_now()
    with deployment.usage_sessions.begin() as session:
        known = set(session.scalars(select(CallAttemptRow.call_key).where(CallAttemptRow.call_key.in_(by_key))))
        attempts = [
            {
                "call_key": call_key,
                "attempt_number": 1,
                "round_id": round_id,
                "submission_id": submission_id,
                "phase": phase,
                "validator_id": audit.validator_id,
                "purpose": purpose,
                "provider": EMBEDDED,
                "model": audit.result.family,
                "model_revision": audit.result.revision,
                "state": "failed" if audit.failed else "done",
                "http_status": None,
                "finish_reason": None,
                "latency_us": audit.latency_us,
                "uncached_in": 0,
                "cache_read": 0,
                "cache_write": 0,
                "tokens_out": 0,
                "reasoning": 0,
                # An embedded engine reads no tokens and costs nothing: that is known, not missing.
                "usage_source": "none",
                "cost_micro_usd": 0,
                "cost_source": "zero",
                "budget_micro_usd": 0,
                "price_snapshot": None,
                "request_sha256": audit.request_sha256,
                "response_sha256": audit.result.sha256,
                "created_at": now,
                "begun_on": f"{now:%Y-%m-%d}",
            }
            for call_key, (audit, purpose) in by_key.items()
            if call_key not in known
        ]
        if attempts:
            session.execute(insert(CallAttemptRow), attempts)

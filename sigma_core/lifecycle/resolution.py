"""What a round's package really was, said after the round: an escalation is resolved, a wrong truth corrected.

A resolution is a truth and nothing else. The round's outcome stays what consensus made of it, no certificate is issued, suspended or
revoked; the ledgers score the kept votes when they are next booked (`sigma_core.lifecycle.booking`), on the day of the resolution.
A truth gives way only to one from a source that is at least as strong (spec/protocol.md, Standing).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from sigma_core.assembly.consensus import RoundOutcome, TruthSource
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.lifecycle.audit_trail import check_words, record_change
from sigma_core.lifecycle.operator_decisions import overrides_of
from sigma_core.lifecycle.panels import RoundNotReady
from sigma_core.lifecycle.report import RoundUnknown
from sigma_core.lifecycle.truths import KnownTruth, truths_of
from sigma_core.storage.clock import shared_now
from sigma_core.storage.protocol import RoundResolutionRow, RoundRow
from sigma_core.timestamps import iso_utc

LATE_SOURCES = (TruthSource.MONITORING, TruthSource.OPERATOR, TruthSource.THIRD_PANEL)
"""Where a truth may come from once the outcome is there; the others come with it."""


class ResolutionRefused(SigmaError):
    """A resolution that the rules do not allow; names the rule."""

    code = "RESOLUTION_REFUSED"
    exit_code = ExitCode.NEGATIVE


def resolve_round(
    deployment: Deployment,
    round_id: str,
    truth: Verdict,
    *,
    actor: str,
    reason: str,
    source: TruthSource = TruthSource.OPERATOR,
    at: datetime | None = None,
) -> KnownTruth:
    """Record what the package of a decided round was (SAFE or UNSAFE), as of ``at`` (default: now).

    A round that has a truth already gets a correction. Asked again for the truth of its last resolution, it is the same resolution.
    Raises RoundUnknown, RoundNotReady before the outcome, ResolutionRefused, or SigmaError for the words.
    """
    check_words(actor=actor, reason=reason)
    if truth is Verdict.ABSTAIN or source not in LATE_SOURCES:
        raise SigmaError(f"a resolution says SAFE or UNSAFE, by one of {', '.join(LATE_SOURCES)}", code="USAGE")
    with deployment.sessions.begin() as session:
        row = decided_round(session, round_id)
        # With the round in hand: whoever waited for somebody else's decision comes after it.
        at = at or shared_now(session)
        known = truths_of(session, row.id)
        last = known[-1] if known else None
        if last is not None and last.truth is truth and last.actor is not None:
            return last
        _check_allowed(session, row, last, truth, source, at)
        resolution = KnownTruth(row.id, len(known), truth, source, at, actor, reason)
        session.add(
            RoundResolutionRow(
                round_id=row.id,
                number=resolution.number,
                truth=truth.value,
                truth_source=source.value,
                actor=actor,
                reason=reason,
                resolved_at=at,
            )
        )
        record_change(
            session,
            "round.resolve",
            row.id,
            actor=actor,
            reason=reason,
            before={"truth": last and last.truth.value, "truthSource": last and last.source.value},
            after={"truth": truth.value, "truthSource": source.value, "number": resolution.number},
            at=at,
        )
    return resolution


def decided_round(session: Session, round_id: str) -> RoundRow:
    """The round, held until the transaction ends. Raises RoundUnknown and RoundNotReady."""
    row = session.get(RoundRow, round_id, with_for_update=True)
    if row is None:
        raise RoundUnknown(f"no round has the id {round_id!r}")
    if row.state != "DECIDED":
        raise RoundNotReady(f"{round_id} is not decided yet", hint="materialise round_outcome first")
    return row


def _check_allowed(
    session: Session, row: RoundRow, last: KnownTruth | None, truth: Verdict, source: TruthSource, at: datetime
) -> None:
    if last is not None and last.truth is truth:
        raise ResolutionRefused(f"{row.id} is known to be {truth} by its {last.source}: there is nothing to correct")
    if last is not None and not source.may_correct(last.source):
        raise ResolutionRefused(
            f"{row.id} is known to be {last.truth} by {last.source}, a stronger source of truth than {source}"
        )
    since = last.known_at if last is not None else row.decided_at
    if since is not None and at < since:
        raise ResolutionRefused(
            f"{row.id}: {iso_utc(at)} is before {iso_utc(since)}, when it stood otherwise: check the clock"
        )
    overrides = overrides_of(session, row.id)
    stands = overrides[-1].outcome if overrides else RoundOutcome(str(row.outcome))
    if stands is RoundOutcome.APPROVED and truth is Verdict.UNSAFE:
        raise ResolutionRefused(
            f"{row.id} stands APPROVED, and what is UNSAFE keeps no approval and no certificate",
            hint=f"first: sigma operator override {row.id} --outcome REJECTED",
        )

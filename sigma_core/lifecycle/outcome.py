"""The outcome stage: consensus over the kept votes and facts, and the public document that lets anyone recompute it."""

from __future__ import annotations

from sqlalchemy import select

from sigma_core.assembly.canaries import CanaryRecord
from sigma_core.assembly.consensus import Outcome
from sigma_core.assembly.independence import assurance_level, effective_votes_ppm
from sigma_core.assembly.round import PHASE_ONE, PHASE_TWO, THIRD_PANEL, conclude
from sigma_core.assembly.selection import PoolTooSmallError
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.audits import Turn, without_waiting
from sigma_core.lifecycle.canaries import canary_record
from sigma_core.lifecycle.error_correlation import calibration_with, newest_correlation
from sigma_core.lifecycle.facts import recall_facts
from sigma_core.lifecycle.language_models import disabled_families
from sigma_core.lifecycle.panels import KeptRound, PanelRecord, RoundNotReady, load_kept_round, run_phase
from sigma_core.lifecycle.phases import kept_phases, panel_of
from sigma_core.lifecycle.policies import policy_of
from sigma_core.lifecycle.replay import replay_bytes
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.clock import shared_now
from sigma_core.storage.protocol import RoundRow, SeatRow, SubmissionRow


def standing_seats(rows: tuple[SeatRow, ...], phase: int) -> tuple[SeatRow, ...]:
    """The seats of a phase that no other seat replaced: those whose votes count."""
    numbers = {seat.number for seat in panel_of(rows, phase).standing}
    return tuple(row for row in rows if row.number in numbers)


def convene_third_panel(
    deployment: Deployment, round_identifier: str, *, turn: Turn = without_waiting
) -> PanelRecord | str:
    """Hold the third panel, or say why none is convened: the policy has none, the votes do not call for one, or the pool has
    nobody left for it. Raises RoundNotReady before both panels have voted, or RoundWaits."""
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, round_identifier)
        if not policy_of(deployment, row.policy_hash).assembly.third_panel:
            return "the policy has no third panel"
        held_already = THIRD_PANEL in kept_phases(session, round_identifier)
    if not held_already:
        _, _, outcome = _concluded(deployment, load_kept_round(deployment, row, deployment.blobs.recall))
        if not outcome.third_panel_eligible:
            return "no single dissent to resolve"
    try:
        return run_phase(deployment, round_identifier, THIRD_PANEL, turn=turn)
    except PoolTooSmallError as error:
        return error.message


def decide_round(deployment: Deployment, round_identifier: str, *, stalled: bool = False) -> RoundRow:
    """Decide the round, once; a decided round is returned as it is. Its submission stands as its last decided round did, by number: a
    round that was left behind changes nothing there.

    Raises RoundNotReady before both panels have voted, unless the round is ``stalled``: then a phase that was not held has no votes, so
    that its quorum is missed."""
    with deployment.read_sessions() as session:
        row = session.get_one(RoundRow, round_identifier)
    if row.state == "DECIDED":
        return row
    kept = load_kept_round(deployment, row, deployment.blobs.recall)
    phases = kept.phases
    if not stalled and [record.panel.phase for record in phases][:2] != [PHASE_ONE, PHASE_TWO]:
        raise RoundNotReady(
            f"{round_identifier}: both panels vote before the outcome", hint="materialise the phases first"
        )
    facts, canary, outcome = _concluded(deployment, kept)
    families = [family for record in phases for family in record.families_cast]
    policy = policy_of(deployment, row.policy_hash)
    measured = calibration_with(families, policy.language_models, policy.independence, newest_correlation(deployment))
    replay_sha256 = deployment.blobs.put(
        replay_bytes(deployment, kept.held, row.policy_hash, phases, facts, canary, outcome, measured)
    )
    with deployment.sessions.begin() as session:
        row = session.scalars(select(RoundRow).where(RoundRow.id == round_identifier).with_for_update()).one()
        if row.state == "DECIDED":
            return row
        row.outcome = outcome.outcome.value
        row.with_rejection = outcome.with_rejection
        row.scored = outcome.scored
        row.truth = outcome.truth.value if outcome.truth else None
        row.truth_source = outcome.truth_source.value if outcome.truth_source else None
        row.reasons = [reason.as_json() for reason in outcome.reasons]
        row.n_eff_ppm = effective_votes_ppm(families, measured)
        row.calibration_sha256 = measured.hash
        row.assurance_level = assurance_level(families, measured)
        row.disabled_families = disabled_families(deployment)
        row.diversity_degraded = any(record.panel.diversity_degraded for record in phases)
        row.replay_sha256 = replay_sha256
        row.decided_at = shared_now(session)
        row.state = "DECIDED"
        later = select(RoundRow.id).where(
            RoundRow.submission_id == row.submission_id, RoundRow.number > row.number, RoundRow.state == "DECIDED"
        )
        if session.scalar(later.limit(1)) is None:
            session.get_one(SubmissionRow, row.submission_id).state = row.outcome
    return row


def _concluded(deployment: Deployment, kept: KeptRound) -> tuple[FactsDocument, CanaryRecord, Outcome]:
    """What consensus says of the phases held so far, under the round's own rules."""
    facts = recall_facts(deployment, kept.row.facts_sha256)
    canary = canary_record(deployment, kept.row)
    return facts, canary, conclude(kept.held.rules, kept.phases, facts, canary.state(kept.phases))

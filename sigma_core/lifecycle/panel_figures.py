"""What a panel's votes are worth together, and what its seats took: calls, time and money, from the usage database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from sigma_core.assembly.consensus import Vote
from sigma_core.assembly.independence import effective_votes_ppm
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.error_correlation import calibration_with, newest_correlation
from sigma_core.lifecycle.outcome import standing_seats
from sigma_core.lifecycle.panels import PanelRecord
from sigma_core.lifecycle.policies import policy_of
from sigma_core.storage.usage import CallAttemptRow


@dataclass(frozen=True, slots=True)
class SeatUsage:
    """All attempts for one seat: how many, their latencies added up (µs), and their known cost (micro-USD); ``unknown`` of them have a
    cost that nobody knows."""

    attempts: int = 0
    latency_us: int = 0
    cost_micro_usd: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class PanelFigures:
    """``effective_votes_ppm`` is Kish n_eff of the standing votes of this panel alone; ``usage`` is by validator, who sits once."""

    effective_votes_ppm: int
    usage: Mapping[str, SeatUsage]

    @property
    def whole(self) -> SeatUsage:
        """The panel's seats together."""
        seats = self.usage.values()
        return SeatUsage(
            sum(seat.attempts for seat in seats),
            sum(seat.latency_us for seat in seats),
            sum(seat.cost_micro_usd for seat in seats),
            sum(seat.unknown for seat in seats),
        )


def panel_figures(deployment: Deployment, panel: PanelRecord) -> PanelFigures:
    """The figures of a phase as it was kept."""
    policy = policy_of(deployment, panel.round.policy_hash)
    cast = (Vote.SAFE.value, Vote.UNSAFE.value)
    families = [seat.family for seat in standing_seats(panel.seats, panel.phase) if seat.verdict in cast]
    known = calibration_with(families, policy.language_models, policy.independence, newest_correlation(deployment))
    row = CallAttemptRow
    attempts = func.count()
    found = (
        select(
            row.validator_id,
            attempts,
            func.sum(row.latency_us),
            func.sum(row.cost_micro_usd),
            attempts - func.count(row.cost_micro_usd),
        )
        .where(row.round_id == panel.round.id, row.phase == panel.phase)
        .group_by(row.validator_id)
    )
    with deployment.usage_sessions() as session:
        usage = {
            # PostgreSQL adds integers up to a decimal.
            validator: SeatUsage(calls, int(latency_us or 0), int(cost or 0), unknown)
            for validator, calls, latency_us, cost, unknown in session.execute(found)
        }
    return PanelFigures(effective_votes_ppm(families, known), usage)

"""What a panel took and what its votes are worth together, for whoever watches the rounds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from assembly_steps import opened

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.panel_figures import SeatUsage, panel_figures
from sigma_core.lifecycle.panels import PanelRecord, run_phase
from sigma_core.storage.usage import CallAttemptRow
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now


def another_attempt(deployment: Deployment, panel: PanelRecord, number: int, cost: int | None) -> None:
    seat = panel.seats[0]
    with deployment.usage_sessions.begin() as session:
        session.add(
            CallAttemptRow(
                call_key=f"{panel.round.id}/{panel.phase}/again",
                attempt_number=number,
                round_id=panel.round.id,
                submission_id=panel.round.submission_id,
                phase=panel.phase,
                validator_id=seat.validator_id,
                purpose="audit",
                provider="acme",
                model="m",
                model_revision="m-1",
                state="done",
                latency_us=2_000_000,
                uncached_in=0,
                cache_read=0,
                cache_write=0,
                tokens_out=0,
                reasoning=0,
                usage_source="provider",
                cost_micro_usd=cost,
                cost_source="unknown" if cost is None else "table",
                budget_micro_usd=0,
                request_sha256="0" * 64,
                created_at=utc_now(),
            )
        )


@pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
def test_each_seats_attempts_add_up_and_what_nobody_knows_the_cost_of_is_counted_and_not_taken_for_free(
    deployment: Deployment, honest: Package, submitted: Callable[..., str]
) -> None:
    round_id = opened(deployment, submitted(honest))
    first, second = (run_phase(deployment, round_id, phase) for phase in (1, 2))
    embedded = panel_figures(deployment, first)
    assert set(embedded.usage) == {seat.validator_id for seat in first.seats}
    assert (embedded.whole.attempts, embedded.whole.cost_micro_usd, embedded.whole.unknown) == (len(first.seats), 0, 0)
    for number, cost in ((1, 1_500), (2, None)):
        another_attempt(deployment, first, number, cost)
    seat = first.seats[0].validator_id
    before, now = embedded.usage[seat], panel_figures(deployment, first).usage[seat]
    assert now == SeatUsage(3, before.latency_us + 4_000_000, 1_500, 1)
    assert panel_figures(deployment, second).whole.cost_micro_usd == 0
    # Five seats of four families whose errors go together are worth less than five votes and more than one.
    assert 1_000_000 < embedded.effective_votes_ppm < 5_000_000

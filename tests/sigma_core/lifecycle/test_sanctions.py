"""Sanctions and suspensions: on record with actor and reason, in the next epoch at once, and ended the same way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle import sanctions, standing, standing_state
from sigma_core.lifecycle.sanctions import (
    SanctionRefused,
    ValidatorUnknown,
    lift_validator_sanctions,
    reinstate_validator,
    sanction_validator,
    suspend_validator,
)
from sigma_core.lifecycle.standing import check_ledgers, newest_snapshot
from sigma_core.lifecycle.standing_state import engine_disagreements
from sigma_core.storage.protocol import AuditTrailRow, ReputationEntryRow, ValidatorRow
from sigma_core.timestamps import utc_now

WORDS = {"actor": "operator:ada", "reason": "shared its verdicts"}
on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def validator(deployment: Deployment) -> str:
    return newest_snapshot(deployment).rows[0].validator_id


def weight(deployment: Deployment, validator: str) -> tuple[int, int]:
    """(weight, reputation) in the newest epoch."""
    return next(
        (row.weight, row.reputation_ppm) for row in newest_snapshot(deployment).rows if row.validator_id == validator
    )


def tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = utc_now() + timedelta(days=1)
    for module in (sanctions, standing, standing_state):
        monkeypatch.setattr(module, "utc_now", lambda: moment)


def trail(deployment: Deployment) -> list[tuple[Any, ...]]:
    with deployment.read_sessions() as session:
        rows = session.scalars(select(AuditTrailRow).order_by(AuditTrailRow.id))
        return [(row.action, row.subject, row.actor, row.before, row.after) for row in rows]


@on_each_database
def test_a_sanction_holds_the_reputation_down_from_the_next_epoch_on(deployment: Deployment, validator: str) -> None:
    before, _ = weight(deployment, validator)
    done = sanction_validator(deployment, validator, 200_000, **WORDS)
    after, reputation = weight(deployment, validator)
    assert (reputation, done.weights_epoch) == (200_000, 2)
    assert 0 < after < before
    with deployment.read_sessions() as session:
        [line] = session.scalars(select(ReputationEntryRow))
    assert (line.entry_key, line.kind, line.round_id) == (f"{validator}/sanction/0", "SANCTION", None)
    assert line.detail == {"ceiling_ppm": 200_000, "reason": "shared its verdicts"}
    assert trail(deployment) == [
        ("validator.sanction", validator, "operator:ada", {"ceilingPpm": 1_000_000}, {"ceilingPpm": 200_000})
    ]
    check_ledgers(deployment)
    assert engine_disagreements(deployment) == []


def test_it_is_lifted_on_a_later_day_and_can_be_set_lower_on_the_same(
    deployment: Deployment, validator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sanction_validator(deployment, validator, 300_000, **WORDS)
    sanction_validator(deployment, validator, 200_000, **WORDS)
    with pytest.raises(SanctionRefused, match="held at 200000 ppm already"):
        sanction_validator(deployment, validator, 250_000, **WORDS)
    with pytest.raises(SanctionRefused, match="was sanctioned today"):
        lift_validator_sanctions(deployment, validator, **WORDS)
    tomorrow(monkeypatch)
    lifted = lift_validator_sanctions(deployment, validator, **WORDS)
    assert (lifted.before, lifted.after) == ({"ceilingPpm": 200_000}, {"ceilingPpm": 1_000_000})
    assert 200_000 < weight(deployment, validator)[1] < 202_000
    with pytest.raises(SanctionRefused, match=r"no sanction of .* stands"):
        lift_validator_sanctions(deployment, validator, **WORDS)
    assert sanction_validator(deployment, validator, 400_000, **WORDS).after == {"ceilingPpm": 400_000}
    assert engine_disagreements(deployment) == []


@on_each_database
def test_a_suspended_validator_has_no_weight_until_it_is_reinstated(deployment: Deployment, validator: str) -> None:
    before, _ = weight(deployment, validator)
    assert suspend_validator(deployment, validator, **WORDS).weights_epoch == 2
    assert weight(deployment, validator)[0] == 0
    with pytest.raises(SanctionRefused, match="is SUSPENDED: it cannot become SUSPENDED"):
        suspend_validator(deployment, validator, **WORDS)
    assert reinstate_validator(deployment, validator, **WORDS).weights_epoch == 3
    assert weight(deployment, validator)[0] == before
    with pytest.raises(SanctionRefused, match="is ACTIVE: it cannot become ACTIVE"):
        reinstate_validator(deployment, validator, **WORDS)
    assert [line[0] for line in trail(deployment)] == ["validator.suspend", "validator.reinstate"]


MEASURES: list[Callable[..., Any]] = [
    lambda *given, **words: sanction_validator(*given, 1, **words),
    lift_validator_sanctions,
    suspend_validator,
    reinstate_validator,
]


@pytest.mark.parametrize("measure", MEASURES, ids=["sanction", "lift", "suspend", "reinstate"])
def test_nothing_is_done_to_a_validator_that_is_not_there_or_without_words(
    deployment: Deployment, validator: str, measure: Callable[..., Any]
) -> None:
    with pytest.raises(ValidatorUnknown, match="no validator has the id 'nobody'"):
        measure(deployment, "nobody", **WORDS)
    with pytest.raises(SigmaError, match="reason: 1 to 1000"):
        measure(deployment, validator, actor="a", reason="")
    assert trail(deployment) == []
    with deployment.read_sessions() as session:
        assert session.get_one(ValidatorRow, validator).status == "ACTIVE"


@pytest.mark.parametrize("ceiling", [-1, 1_000_000])
def test_a_ceiling_is_a_share(deployment: Deployment, validator: str, ceiling: int) -> None:
    with pytest.raises(SigmaError, match="within 0 … 999,999"):
        sanction_validator(deployment, validator, ceiling, **WORDS)

"""The validators that a deployment starts with, and the weights that the first panels are drawn by."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from sigma_core.assembly.population import Validator, embedded_population, language_model_population
from sigma_core.audit.families.parameters import FAMILY_PARAMETERS
from sigma_core.audit.language_models.families import family_statuses
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.standing import publish_weights
from sigma_core.storage.protocol import ValidatorRow, WeightEpochRow
from sigma_core.timestamps import utc_now


def settle_population(deployment: Deployment) -> None:
    """Seat the embedded population and publish epoch 1, where nothing has been published yet."""
    with deployment.read_sessions() as session:
        if session.scalar(select(WeightEpochRow.epoch).limit(1)) is not None:
            return
    # Another process may be just as far: the second one to write finds the validators there.
    with suppress(IntegrityError), deployment.sessions.begin() as session:
        if session.scalar(select(ValidatorRow.id).limit(1)) is None:
            ranges = {
                family: {parameter.name: (parameter.lowest, parameter.highest) for parameter in parameters}
                for family, parameters in FAMILY_PARAMETERS.items()
            }
            session.add_all(_rows(embedded_population(deployment.policy, ranges)))
    publish_weights(deployment)


def seat_language_models(deployment: Deployment) -> None:
    """Give each family that can be asked here its validators, once, and publish weights that have them.

    A process without keys (an API) never takes validators away; `sigma_core.lifecycle.model_ladder.sync_ladder` does.
    """
    rules = deployment.policy.language_models
    enabled = [status.family for status in family_statuses(rules, deployment.settings) if status.enabled]
    if not enabled:
        return
    with deployment.read_sessions() as session:
        seated = set(session.scalars(select(ValidatorRow.family).where(ValidatorRow.family.in_(enabled)).distinct()))
    missing = [family for family in enabled if family not in seated]
    if not missing:
        return
    with suppress(IntegrityError), deployment.sessions.begin() as session:
        for family in missing:
            session.add_all(_rows(language_model_population(deployment.policy, family)))
    publish_weights(deployment)


def _rows(validators: Iterable[Validator]) -> list[ValidatorRow]:
    now = utc_now()
    return [
        ValidatorRow(
            id=validator.id,
            operator=validator.operator,
            family=validator.family,
            parameters=dict(validator.parameters),
            stake_micro_usd=validator.stake_micro_usd,
            tier_ppm=validator.tier_ppm,
            status=validator.status.value,
            joined_at=now,
        )
        for validator in validators
    ]

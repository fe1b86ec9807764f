"""The validators of an embedded deployment, and the weights that the first panels are drawn by."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from sigma_core.assembly.population import embedded_population
from sigma_core.audit.families.parameters import FAMILY_PARAMETERS
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
            now = utc_now()
            ranges = {
                family: {parameter.name: (parameter.lowest, parameter.highest) for parameter in parameters}
                for family, parameters in FAMILY_PARAMETERS.items()
            }
            session.add_all(
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
                for validator in embedded_population(deployment.policy, ranges)
            )
    publish_weights(deployment)

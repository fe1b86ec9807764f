"""Opening a deployment makes what is missing, changes nothing that is there, and leaves nothing open when it fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError, Unavailable
from sigma_core.storage.engine import open_engine
from sigma_core.storage.protocol import BeaconChainRow, PolicyRow, ValidatorRow, WeightEpochRow

on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
TABLES = (PolicyRow, BeaconChainRow, ValidatorRow, WeightEpochRow)


def counts(deployment: Deployment) -> list[int]:
    with deployment.read_sessions() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES]


@on_each_database
def test_a_new_deployment_has_a_policy_a_beacon_a_population_and_weights(deployment: Deployment) -> None:
    rules = deployment.policy.population
    assert counts(deployment) == [1, 1, rules.operators * rules.validators_per_operator, 1]
    with deployment.read_sessions() as session:
        row = session.scalars(select(PolicyRow)).one()
        assert session.scalars(select(WeightEpochRow.policy_hash)).one() == row.hash == deployment.policy.hash
    assert deployment.blobs.get(row.hash) == deployment.policy.canonical_bytes


@on_each_database
def test_opening_it_again_changes_nothing(deployment: Deployment, make_deployment: Callable[..., Deployment]) -> None:
    before = counts(deployment)
    again = make_deployment()
    assert counts(again) == before
    assert again.own_beacon(0).chain_id == deployment.own_beacon(0).chain_id


def test_another_policy_is_put_on_record_beside_the_first(
    deployment: Deployment, make_deployment: Callable[..., Deployment], tmp_path: Path
) -> None:
    other = tmp_path / "policy.toml"
    text = deployment.settings.policy_file.read_text()
    other.write_text(text.replace("validity_days = 365", "validity_days = 30"))
    again = make_deployment(policy_file=str(other))
    assert counts(again)[0] == 2
    for policy in (deployment.policy, again.policy):
        assert json.loads(deployment.blobs.get(policy.hash)) == policy.model_dump(mode="json")


def test_it_may_be_opened_for_the_first_time_several_times_at_once(
    make_deployment: Callable[..., Deployment], new_database_url: Callable[[], str]
) -> None:
    """As the API, the Dagster UI and the daemon do; each thread here has connections of its own, as a process has."""
    urls = {"database_url": new_database_url(), "usage_database_url": new_database_url()}
    together = threading.Barrier(3)

    def open_() -> list[int]:
        together.wait()
        return counts(make_deployment(**urls))

    with ThreadPoolExecutor(3) as pool:
        opened = [each.result() for each in [pool.submit(open_) for _ in range(3)]]
    assert opened[1:] == opened[:1] * 2
    assert counts(make_deployment()) == opened[0]


@on_each_database
def test_the_two_databases_cannot_be_exchanged(
    deployment: Deployment, make_deployment: Callable[..., Deployment]
) -> None:
    settings = deployment.settings
    with pytest.raises(SigmaError, match="protocol database is set to a database that holds other tables"):
        make_deployment(database_url=settings.usage_url, usage_database_url=settings.protocol_url)


def test_a_database_that_is_locked_when_it_must_be_made_is_unavailable(
    home: Path, make_deployment: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sigma_core.storage.engine.BUSY_TIMEOUT_MS", 1)
    holder = open_engine(f"sqlite:///{home}/protocol.db")
    with holder.begin(), pytest.raises(Unavailable, match=r"protocol\.db is locked by another process"):
        make_deployment()
    holder.dispose()
    make_deployment()

"""Opening a deployment makes what is missing, changes nothing that is there, and leaves nothing open when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError, Unavailable
from sigma_core.lifecycle.opening import open_deployment
from sigma_core.storage.engine import open_engine
from sigma_core.storage.protocol import BeaconChainRow, PolicyRow, ValidatorRow, WeightEpochRow

on_each_database = pytest.mark.parametrize("deployment", ["sqlite", "postgresql"], indirect=True)
ROOT = Path(__file__).resolve().parents[3]
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
    assert again.beacon.chain_id == deployment.beacon.chain_id


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


def test_several_processes_may_open_a_new_deployment_at_once(
    home: Path, new_database_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMA_DATABASE_URL", new_database_url())
    monkeypatch.setenv("SIGMA_USAGE_DATABASE_URL", new_database_url())
    program = (
        "import sys; from sigma_core.lifecycle.opening import open_deployment\n"
        "print('ready', flush=True); sys.stdin.readline(); open_deployment().close()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in started:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint.decode()
    deployment = open_deployment()
    rules = deployment.policy.population
    assert counts(deployment) == [1, 1, rules.operators * rules.validators_per_operator, 1]
    deployment.close()


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

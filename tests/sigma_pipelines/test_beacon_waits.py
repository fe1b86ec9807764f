"""Rounds that wait for drand on real Dagster: until the round is due, and until a relay answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest
from audit_world import World

from cli.dagster_home import prepare_dagster_home
from sigma_core.lifecycle import drand_relays
from sigma_core.lifecycle.failures import BEACON_STAGE
from sigma_core.policy import DEFAULT_POLICY_FILE
from sigma_core.storage.protocol import RoundRow, StageFailureRow
from sigma_core.timestamps import utc_now
from sigma_pipelines.defs.rounds import sensors
from sigma_pipelines.resources.deployment import SigmaDeployment
from tests.drand_relay import Relay, own_network, policy_section, relaying

PERIOD_SECONDS = 3


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    with relaying(own_network(period_seconds=PERIOD_SECONDS, genesis=utc_now() - timedelta(days=1))) as running:
        yield running


@pytest.fixture(scope="module")
def drand_world(tmp_path_factory: pytest.TempPathFactory, relay: Relay) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    assert relay.own is not None
    text = DEFAULT_POLICY_FILE.read_text()
    start, end = text.index("[beacon.drand]"), text.index("[independence]")
    (folder / "policy.toml").write_text(text[:start] + policy_section(relay.own) + text[end:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(folder / "home"))
        patch.setenv("SIGMA_POLICY_FILE", str(folder / "policy.toml"))
        patch.setenv("SIGMA_BEACON", "drand")
        patch.setenv("SIGMA_DRAND_URLS", relay.url)
        patch.setenv("DAGSTER_HOME", "")
        patch.delenv("DAGSTER_HOME")
        patch.setattr(drand_relays, "PAUSE_SECONDS", 0)
        deployment = SigmaDeployment().open()
        prepare_dagster_home(deployment.settings)
        with dg.DagsterInstance.get() as instance:
            yield World(deployment, instance, folder)
        deployment.close()


def evaluate(world: World, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(instance=world.instance, cursor=cursor, resources={"sigma": SigmaDeployment()})
    return sensors.beacon_sensor(context)  # type: ignore[return-value]


def test_the_first_panel_waits_until_its_beacon_round_is_due(drand_world: World, relay: Relay) -> None:
    submission_id = drand_world.submit()
    result = drand_world.audit(submission_id)
    assert result.success
    [row] = drand_world.rows(RoundRow, submission_id=submission_id)
    assert relay.own is not None
    assert row["opened_at"] >= relay.own.signed_at(row["beacon_round"])
    waits = [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert [event.step_key for event in waits] == ["phase_one_verdicts"]

    again = drand_world.audit(submission_id)
    assert again.success
    second = drand_world.rows(RoundRow, submission_id=submission_id)[1]
    assert second["beacon_round"] > row["beacon_round"]
    assert second["opened_at"] >= relay.own.signed_at(second["beacon_round"])


@pytest.mark.parametrize("submissions", [1, 3])
def test_a_round_that_no_relay_serves_is_taken_up_again_when_one_does(
    drand_world: World, relay: Relay, monkeypatch: pytest.MonkeyPatch, submissions: int
) -> None:
    monkeypatch.setattr(sensors, "BEACON_PAUSE", timedelta(0))
    keys = [drand_world.submit() for _ in range(submissions)]
    known = drand_world.rows(StageFailureRow)
    cursor = str(max((row["id"] for row in known), default=0))
    relay.asked.clear()
    relay.faults = [None] * 1_000
    if submissions == 1:
        result = drand_world.audit(keys[0])
        assert not result.success
    else:
        from sigma_pipelines.defs.rounds.jobs import batch_tags

        result = drand_world.audit(None, **batch_tags(keys[0], keys[-1]))
        assert result.success
    # However many wait, relays that are away were asked for one of them.
    assert len(relay.asked) == drand_relays.TURNS
    failures = [row for row in drand_world.rows(StageFailureRow) if row["submission_id"] in keys]
    assert [(row["submission_id"], row["stage"]) for row in failures] == [(key, BEACON_STAGE) for key in keys]
    assert all(drand_world.rows(RoundRow, submission_id=key) == [] for key in keys)

    waiting = evaluate(drand_world, cursor)
    assert isinstance(waiting, dg.SkipReason)
    assert str(waiting.skip_message).startswith(f"{submissions} rounds wait for their beacon: the beacon round")

    relay.faults.clear()
    found = evaluate(drand_world, cursor)
    assert isinstance(found, dg.SensorResult)
    assert [request.partition_key for request in found.run_requests or []] == keys
    [request] = [request for request in found.run_requests or [] if request.partition_key == keys[0]]
    assert drand_world.audit(keys[0], **request.tags).success
    assert [row["number"] for row in drand_world.rows(RoundRow, submission_id=keys[0])] == [1]
    assert isinstance(evaluate(drand_world, found.cursor), dg.SkipReason)

"""The job ``standing``: ledgers booked once, engines that agree, a new epoch only when something changed, models with their tests."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest
from audit_world import World, checks_of

from sigma_core.lifecycle.truths import unscored_truths
from sigma_core.storage.protocol import AccuracyEntryRow, RoundRow, WeightEpochRow

ROUNDS = 2


@pytest.fixture(scope="module")
def booked(world: World) -> dg.ExecuteInProcessResult:
    """Honest rounds, and standing brought up to date after them."""
    for _ in range(ROUNDS):
        assert world.audit(world.submit()).success
    assert len(unscored_truths(world.deployment)) == ROUNDS
    return world.bring_standing_up_to_date()


def _told(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    [event] = [
        event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset.split("/"))
    ]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_every_scored_round_is_booked(world: World, booked: dg.ExecuteInProcessResult) -> None:
    assert booked.success
    entries = world.rows(AccuracyEntryRow)
    assert {entry["round_id"] for entry in entries} == {row["id"] for row in world.rows(RoundRow)}
    told = _told(booked, "accuracy_ledger")
    assert (told["rounds_booked"], told["accuracy_entries"]) == (ROUNDS, len(entries))


def test_the_engines_agree_and_every_check_passes(booked: dg.ExecuteInProcessResult) -> None:
    checks = checks_of(booked)
    assert {
        "ledgers_are_sound",
        "funds_are_conserved",
        "days_match_the_ledger",
        "engines_agree",
        "merkle_root_holds",
    } < set(checks)
    assert [name for name, passed in checks.items() if not passed] == []


def test_the_weights_of_the_next_epoch_are_published(world: World, booked: dg.ExecuteInProcessResult) -> None:
    first, second = world.rows(WeightEpochRow)
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert second["merkle_root"] != first["merkle_root"]
    assert _told(booked, "governance_weights")["merkle_root"] == second["merkle_root"]
    lake = pl.read_parquet(world.deployment.settings.lake / "protocol" / "weights.parquet")
    assert sorted(set(lake["epoch"])) == [1, 2]
    assert lake.height == first["validator_count"] + second["validator_count"]


def test_every_model_is_built_and_tested(booked: dg.ExecuteInProcessResult) -> None:
    from sigma_pipelines.definitions import defs
    from sigma_pipelines.defs.simulation.assets import SIMULATED

    graph = defs.resolve_asset_graph()
    models = {key for key in graph.get_all_asset_keys() if key.path[0] == "models"} - SIMULATED.resolve(graph)
    assert models
    assert models <= {event.asset_key for event in booked.get_asset_materialization_events()}
    assert _told(booked, "models/round_outcomes")["dagster/row_count"] == ROUNDS
    tested = {check.asset_key for check in booked.get_asset_check_evaluations()}
    assert models <= tested


def test_running_it_again_books_and_publishes_nothing(world: World, booked: dg.ExecuteInProcessResult) -> None:
    before = world.rows(AccuracyEntryRow), world.rows(WeightEpochRow)
    again = world.bring_standing_up_to_date()
    assert again.success
    assert (world.rows(AccuracyEntryRow), world.rows(WeightEpochRow)) == before
    assert _told(again, "accuracy_ledger")["rounds_booked"] == 0
    assert _told(again, "governance_weights")["epoch"] == 2


def test_the_sensor_asks_once_for_the_rounds_that_wait(world: World, booked: dg.ExecuteInProcessResult) -> None:
    from sigma_pipelines.defs.standing.jobs import standing_sensor
    from sigma_pipelines.resources.deployment import SigmaDeployment

    def tick() -> object:
        return standing_sensor(dg.build_sensor_context(resources={"sigma": SigmaDeployment()}))

    assert isinstance(tick(), dg.SkipReason)
    assert world.audit(world.submit()).success
    first, second = tick(), tick()
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    assert first.run_key == second.run_key

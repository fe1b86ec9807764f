"""The job ``standing``: ledgers booked once, engines that agree, a new epoch only when something changed, models with their tests."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest
from audit_world import World, checks_of
from split_votes import dissent

from sigma_core.audit.model import Verdict
from sigma_core.lifecycle.replay import replay_kept_round
from sigma_core.lifecycle.resolution import resolve_round
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


@pytest.fixture(scope="module")
def resolved(world: World, booked: dg.ExecuteInProcessResult) -> tuple[str, dg.ExecuteInProcessResult]:
    """An escalated round that an operator resolved, and standing brought up to date after it."""
    disputed = world.submit()
    with dissent():
        assert world.audit(disputed).success
    [row] = world.rows(RoundRow, submission_id=disputed)
    assert (row["outcome"], row["scored"]) == ("ESCALATED", False)
    resolve_round(world.deployment, row["id"], Verdict.UNSAFE, actor="operator:ada", reason="wipes the workspace")
    return row["id"], world.bring_standing_up_to_date()


def test_a_resolution_shows_in_the_ledger_and_in_the_models_with_the_next_run(
    world: World, resolved: tuple[str, dg.ExecuteInProcessResult]
) -> None:
    round_id, result = resolved
    assert result.success
    told = _told(result, "accuracy_ledger")
    assert (told["late_resolutions"], told["corrections"], told["compensations"]) == (1, 0, 0)
    assert {entry["truth_source"] for entry in world.rows(AccuracyEntryRow, round_id=round_id)} == {"OPERATOR"}
    assert [name for name, passed in checks_of(result).items() if not passed] == []
    outcomes = pl.read_parquet(world.deployment.settings.lake / "models" / "round_outcomes.parquet")
    [row] = outcomes.filter(pl.col("round_id") == round_id).iter_rows(named=True)
    assert (row["outcome"], row["truth"], row["truth_source"], row["resolutions"]) == (
        "ESCALATED",
        "UNSAFE",
        "OPERATOR",
        1,
    )


def test_the_sensor_asks_for_a_correction_and_the_run_takes_back_what_it_corrects(
    world: World, resolved: tuple[str, dg.ExecuteInProcessResult]
) -> None:
    from sigma_pipelines.defs.standing.jobs import standing_sensor
    from sigma_pipelines.resources.deployment import SigmaDeployment

    round_id, _ = resolved
    entries = len(world.rows(AccuracyEntryRow, round_id=round_id))
    resolve_round(world.deployment, round_id, Verdict.SAFE, actor="operator:ada", reason="it was a drill")
    asked = standing_sensor(dg.build_sensor_context(resources={"sigma": SigmaDeployment()}))
    assert isinstance(asked, dg.RunRequest)
    assert str(asked.run_key).endswith(f"{round_id}-1")
    result = world.bring_standing_up_to_date()
    told = _told(result, "accuracy_ledger")
    assert (told["late_resolutions"], told["corrections"]) == (0, 1)
    assert len(world.rows(AccuracyEntryRow, round_id=round_id)) == 3 * entries
    assert [name for name, passed in checks_of(result).items() if not passed] == []
    assert replay_kept_round(world.deployment, round_id).differences == ()


def test_a_line_of_a_foreign_policy_fails_the_check_by_its_name_and_the_epoch_before_stays_served(
    world: World, resolved: tuple[str, dg.ExecuteInProcessResult]
) -> None:
    epochs = world.rows(WeightEpochRow)
    line = world.rows(AccuracyEntryRow)[0]
    foreign = {**line, "id": None, "entry_key": "planted", "policy_hash": "f" * 64}
    with world.deployment.sessions.begin() as session:
        session.add(AccuracyEntryRow(**foreign))
    result = world.bring_standing_up_to_date()
    assert not result.success
    [check] = [one for one in result.get_asset_check_evaluations() if one.check_name == "ledgers_are_sound"]
    assert not check.passed
    assert f"line planted of validator {line['validator_id']}" in str(check.metadata["why"].value)
    assert "a policy that is not on record here" in str(check.metadata["why"].value)
    assert world.rows(WeightEpochRow) == epochs

"""From the outbox to runs: contiguous batches, each submission its own partition in every asset, failed ones on their own."""

from __future__ import annotations

import dagster as dg
import pytest
from audit_world import ROUND_STAGES, World, checks_of, failure_of, metadata_of

from sigma_core.storage.protocol import OutboxRow, RoundRow, StageFailureRow
from sigma_pipelines.materialisation import DEFER_EVENTS, RESUMES_TAG


def tick(world: World, sensor: str, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    """Evaluate a sensor once."""
    from sigma_pipelines.definitions import defs
    from sigma_pipelines.resources.deployment import SigmaDeployment

    context = dg.build_sensor_context(
        instance=world.instance, cursor=cursor, resources={"sigma": SigmaDeployment()}, definitions=defs
    )
    answer = defs.resolve_sensor_def(sensor)(context)
    assert isinstance(answer, dg.SensorResult | dg.SkipReason)
    return answer


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, with no submission waiting."""
    with world.deployment.sessions.begin() as session:
        session.query(OutboxRow).update({"handled_at": OutboxRow.created_at})
    return world


def test_new_submissions_become_partitions_in_contiguous_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.deployment, "settings", world.deployment.settings.model_copy(update={"batch_size": 2}))
    waiting = [world.submit(scheduled=True, partition=False) for _ in range(5)]
    run_by_the_cli = world.submit(scheduled=False, partition=False)

    asked = tick(world, "intake_sensor")
    assert isinstance(asked, dg.SensorResult)
    [partitions] = asked.dynamic_partitions_requests or []
    assert (partitions.partitions_def_name, list(partitions.partition_keys)) == ("submission", waiting)
    assert run_by_the_cli not in partitions.partition_keys
    first, second, alone = asked.run_requests or []
    for request, keys in ((first, waiting[:2]), (second, waiting[2:4])):
        assert request.tags["dagster/asset_partition_range_start"] == keys[0]
        assert request.tags["dagster/asset_partition_range_end"] == keys[1]
        assert DEFER_EVENTS.items() <= request.tags.items()
    assert alone.partition_key == waiting[4]
    # A tick that died before its cursor was kept asks for the same runs by the same keys.
    again = tick(world, "intake_sensor")
    assert isinstance(again, dg.SensorResult)
    assert [request.run_key for request in again.run_requests or []] == [
        request.run_key for request in (first, second, alone)
    ]
    assert isinstance(tick(world, "intake_sensor", asked.cursor), dg.SkipReason)


def test_a_submission_that_a_run_has_taken_up_is_not_asked_for_again_even_without_a_cursor(world: World) -> None:
    submission_id = world.submit(scheduled=True)
    assert isinstance(tick(world, "intake_sensor"), dg.SensorResult)
    world.audit(submission_id, ["submission_package"])
    assert isinstance(tick(world, "intake_sensor"), dg.SkipReason)


def test_in_a_batch_each_submission_is_its_own_partition_and_a_failing_one_is_left_to_a_run_of_its_own(
    world: World,
) -> None:
    keys = [world.submit(scheduled=True, partition=False) for _ in range(5)]
    asked = tick(world, "intake_sensor")
    assert isinstance(asked, dg.SensorResult)
    world.instance.add_dynamic_partitions("submission", keys)
    [request] = asked.run_requests or []
    broken, *sound = keys[2], *keys[:2], *keys[3:]
    package = world.package_blob(broken)
    content = package.read_bytes()
    package.unlink()

    batch = world.audit(**request.tags)

    assert batch.success
    assert checks_of(batch) == dict.fromkeys(
        ("facts_complete", "quorum", "diversity", "grounding", "canary", "certificate_verifies"), True
    )
    for key in sound:
        assert world.stages_of(key, batch.run_id) == list(ROUND_STAGES)
        assert metadata_of(world.materialisation("certificate", key))["certificate_id"].endswith(
            f"{key.removeprefix('sub_')}_r1"
        )
        assert metadata_of(world.materialisation("round_outcome", key))["outcome"] == "APPROVED"
        assert metadata_of(world.materialisation("sandbox_facts", key))["coverage_complete"]
    for stage in ROUND_STAGES:
        assert set(sound) <= world.instance.get_materialized_partitions(dg.AssetKey(stage))
    # The failing one: left out of every stage, noted once, and asked for alone.
    assert world.stages_of(broken, batch.run_id) == []
    [noted] = world.rows(StageFailureRow, submission_id=broken)
    assert (noted["stage"], noted["run_key"]) == ("submission_package", batch.run_id)
    missing = f"blob '{package.name}' is not in the store"
    assert noted["error"] == missing

    asked = tick(world, "failed_submission_sensor")
    assert isinstance(asked, dg.SensorResult)
    [alone] = asked.run_requests or []
    assert (alone.partition_key, alone.tags[RESUMES_TAG]) == (broken, batch.run_id)
    assert isinstance(tick(world, "failed_submission_sensor", asked.cursor), dg.SkipReason)
    assert failure_of(world.audit(broken, **alone.tags)) == ("submission_package", missing)

    package.write_bytes(content)
    assert world.audit(broken, **alone.tags).success
    assert [row["outcome"] for row in world.rows(RoundRow, submission_id=broken)] == ["APPROVED"]

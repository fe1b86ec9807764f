"""The canary job, the check after each round, and the asset that tells what canaries say of families."""

from __future__ import annotations

import re
from collections.abc import Iterator

import dagster as dg
import polars as pl
import pytest
from audit_world import World, checks_of

from sigma_core.policy import DEFAULT_POLICY_FILE
from sigma_core.storage.protocol import CanaryPackageRow, CertificateRow, OutboxRow, RoundRow, SubmissionRow


@pytest.fixture(scope="module")
def _a_canary_for_each_round(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    path = tmp_path_factory.mktemp("policy") / "policy.toml"
    text = re.sub(r"(?m)^(file|package)_rate_ppm = [0-9_]+", r"\1_rate_ppm = 1000000", DEFAULT_POLICY_FILE.read_text())
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        from sigma_core.audit.canaries.planting import plant_of

        patch.setattr("sigma_core.assembly.canaries.plant_of", plant_of)
        patch.setenv("SIGMA_POLICY_FILE", str(path))
        yield


@pytest.fixture(scope="module")
def planted(_a_canary_for_each_round: None, world: World) -> dg.ExecuteInProcessResult:
    """An honest round in a deployment that plants a file for every seat."""
    return world.audit(world.submit())


@pytest.fixture(scope="module")
def brought(world: World, planted: dg.ExecuteInProcessResult) -> dg.ExecuteInProcessResult:
    """Standing brought up to date after that round."""
    return world.bring_standing_up_to_date()


def draw(world: World) -> dg.ExecuteInProcessResult:
    from sigma_pipelines.definitions import defs

    return defs.resolve_job_def("canary_intake").execute_in_process(instance=world.instance)


def test_the_check_after_the_outcome_passes_and_the_package_is_certified(
    world: World, planted: dg.ExecuteInProcessResult
) -> None:
    assert planted.success
    assert checks_of(planted)["canary"]
    assert len(world.rows(CertificateRow)) == 1


def test_the_job_lets_a_canary_in_through_the_outbox_and_its_round_certifies_nothing(
    world: World, planted: dg.ExecuteInProcessResult
) -> None:
    assert draw(world).success
    assert draw(world).success
    (drawn,) = world.rows(CanaryPackageRow)
    (submission,) = [row["id"] for row in world.rows(SubmissionRow) if row["tree_hash"] == drawn["tree_hash"]]
    (message,) = [row for row in world.rows(OutboxRow) if row["subject"] == submission]
    assert message["detail"] == {"scheduled": True}
    world.instance.add_dynamic_partitions("submission", [submission])
    result = world.audit(submission)
    assert result.success
    assert checks_of(result)["canary"]
    (decided,) = [row for row in world.rows(RoundRow) if row["submission_id"] == submission]
    assert decided["outcome"] != "APPROVED"
    assert decided["truth_source"] == "CANARY_LABEL"
    assert len(world.rows(CertificateRow)) == 1


def test_the_job_says_how_many_and_never_which(world: World, planted: dg.ExecuteInProcessResult) -> None:
    assert draw(world).success
    assert draw(world).success
    result = draw(world)
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    assert {name: value.value for name, value in event.step_output_data.metadata.items()} == {"submitted": 0}


def test_standing_tells_sensitivity_of_families_and_validators(
    world: World, brought: dg.ExecuteInProcessResult
) -> None:
    assert brought.success
    (event,) = [
        e for e in brought.get_asset_materialization_events() if e.asset_key == dg.AssetKey("canary_sensitivity")
    ]
    told = {name: value.value for name, value in event.materialization.metadata.items()}
    assert told["answers"] >= 10
    assert "| family | canary | caught | sensitivity |" in told["families"]
    assert "of" in told["weakest_validators"]
    assert checks_of(brought)["families_cite_planted_files"]
    marts = pl.read_parquet(world.deployment.settings.lake / "models" / "canary_sensitivity_by_family.parquet")
    files = marts.filter(pl.col("canary") == "FILE")
    assert files["unsafe_answered"].sum() == files["unsafe_caught"].sum() >= 10


def test_a_family_that_is_known_to_miss_files_warns(world: World, brought: dg.ExecuteInProcessResult) -> None:
    from sigma_pipelines.defs.canaries.assets import families_cite_planted_files
    from sigma_pipelines.resources.deployment import SigmaDeployment

    path = world.deployment.settings.lake / "models" / "canary_sensitivity_by_family.parquet"
    kept = pl.read_parquet(path)
    try:
        kept.with_columns(sensitivity_high_ppm=pl.lit(900_000, dtype=pl.Int64)).write_parquet(path)
        result = families_cite_planted_files(SigmaDeployment())
    finally:
        kept.write_parquet(path)
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    assert result.metadata["bar_ppm"].value == 950_000

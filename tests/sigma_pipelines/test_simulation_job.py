"""The job ``simulation``: policies simulated into the lake, and the mart that compares them."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import polars as pl
from audit_world import World, checks_of, failure_of


def run_simulation(world: World, **config: object) -> dg.ExecuteInProcessResult:
    from sigma_pipelines.definitions import defs

    return defs.resolve_job_def("simulation").execute_in_process(
        instance=world.instance,
        run_config={"ops": {"policy_simulation": {"config": config}}, "loggers": {"progress": {}}},
        raise_on_error=False,
    )


def test_policies_are_compared_on_a_population(world: World, tmp_path: Path) -> None:
    stricter = tmp_path / "stricter.toml"
    text = world.deployment.settings.policy_file.read_text(encoding="utf-8")
    stricter.write_text(text.replace("missed_unsafe_q10 = 1_024", "missed_unsafe_q10 = 2_048"), encoding="utf-8")
    result = run_simulation(world, populations=["designed"], seeds=2, submissions=100, against=[str(stricter)])
    assert result.success
    assert [name for name, passed in checks_of(result).items() if not passed] == []
    mart = pl.read_parquet(world.deployment.settings.lake / "models" / "policy_comparison.parquet")
    assert set(mart["policy"]) == {"default", "stricter"}
    assert mart.filter(pl.col("policy") == "default")["policy_hash"].unique().to_list() == [
        world.deployment.policy.hash
    ]
    assert set(mart["seeds"]) == {2}
    assert mart.height == 2 * 10


def test_a_policy_that_cannot_be_read_fails_the_run_with_its_name(world: World) -> None:
    result = run_simulation(world, against=["/nowhere/policy.toml"], submissions=10)
    assert failure_of(result)[0] == "policy_simulation"
    assert "/nowhere/policy.toml" in failure_of(result)[1]

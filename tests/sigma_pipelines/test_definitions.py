"""What Dagster loads: every asset with its group, owner, kinds, upstream and columns, held against a committed listing.

After a change that is meant, write the listing anew and read its difference:

    SIGMA_WRITE_ASSET_LISTING=1 python -m pytest tests/sigma_pipelines/test_definitions.py
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest

LISTING = Path(__file__).with_name("asset_listing.txt")
# Read while the module is collected: the fixtures take every SIGMA_ variable away.
WRITE = os.environ.get("SIGMA_WRITE_ASSET_LISTING") == "1"


@pytest.fixture
def defs() -> dg.Definitions:
    from sigma_pipelines.definitions import defs

    return defs


@pytest.fixture
def specs(defs: dg.Definitions) -> list[dg.AssetSpec]:
    return sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)


def _described(spec: dg.AssetSpec) -> str:
    upstream = sorted(dependency.asset_key.to_user_string() for dependency in spec.deps)
    lines = [
        spec.key.to_user_string(),
        f"  group   {spec.group_name}",
        f"  owners  {' '.join(spec.owners)}",
        f"  kinds   {' '.join(sorted(spec.kinds))}",
        f"  deps    {' '.join(upstream) or '-'}",
    ]
    if spec.partitions_def is not None:
        lines.append(f"  partitions  {spec.partitions_def.name}")  # type: ignore[attr-defined]
    schema = spec.metadata.get("dagster/column_schema")
    if schema is not None:
        lines += [f"  column  {column.name} {column.type}".rstrip() for column in schema.columns]
    return "\n".join(lines) + "\n"


def test_the_definitions_load_and_validate(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_every_asset_is_as_the_committed_listing_says(defs: dg.Definitions, specs: list[dg.AssetSpec]) -> None:
    checks = sorted(
        f"check {key.asset_key.to_user_string()} {key.name}" for key in defs.resolve_asset_graph().asset_check_keys
    )
    listing = "\n".join([*map(_described, specs), *checks]) + "\n"
    if WRITE:
        LISTING.write_text(listing, encoding="utf-8")
    assert listing == LISTING.read_text(encoding="utf-8")


def test_every_asset_says_what_it_is_who_owns_it_and_what_it_is_made_with(specs: list[dg.AssetSpec]) -> None:
    for spec in specs:
        assert spec.description, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        assert spec.group_name != "default", spec.key


def test_every_table_says_its_columns(specs: list[dg.AssetSpec]) -> None:
    tables = [spec for spec in specs if {"parquet", "polars", "duckdb"} & spec.kinds]
    assert tables
    for spec in tables:
        assert spec.metadata["dagster/column_schema"].columns, spec.key


def test_every_check_has_a_description_and_those_of_a_round_block(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.asset_check_keys:
        node = graph.get(key)
        assert node.description, key  # type: ignore[union-attr]
        if key.name in (
            "facts_complete",
            "quorum",
            "canary",
            "certificate_verifies",
            "engines_agree",
            "merkle_root_holds",
        ):
            assert node.blocking, key  # type: ignore[union-attr]


def test_the_sensors_and_the_schedule_run_from_the_first_start(defs: dg.Definitions) -> None:
    sensors = {sensor.name: sensor.default_status for sensor in defs.sensors or []}  # type: ignore[union-attr]
    assert sensors == dict.fromkeys(
        (
            "intake_sensor",
            "failed_submission_sensor",
            "beacon_sensor",
            "round_request_sensor",
            "stalled_round_sensor",
            "standing_sensor",
        ),
        dg.DefaultSensorStatus.RUNNING,
    )
    schedules = {schedule.name: schedule.default_status for schedule in defs.schedules or []}  # type: ignore[union-attr]
    assert schedules == dict.fromkeys(
        ("hourly_transparency", "daily_standing", "daily_ladder", "canary_schedule"), dg.DefaultScheduleStatus.RUNNING
    )


def test_dagster_finds_one_code_location_in_the_module_of_the_workspace() -> None:
    from dagster._core.workspace.autodiscovery import loadable_targets_from_python_module

    [target] = loadable_targets_from_python_module("sigma_pipelines.definitions", working_directory=None)
    assert target.attribute == "defs"

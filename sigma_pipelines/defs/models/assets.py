"""The lake tables, and every SQL model as an asset with its tests as asset checks.

A model is a file; this module only loops. Adding ``models/marts/x.sql`` and its YAML adds the asset, its lineage and its checks.
"""

from pathlib import Path

import dagster as dg

import dbt_like_sql
from dbt_like_sql.loader import Model, ModelTest, Project
from sigma_core.lifecycle.lake import LAKE_TABLES, LakeTable, write_table
from sigma_pipelines.defs.rounds.metadata import table as markdown_table
from sigma_pipelines.resources.deployment import SigmaDeployment

OWNER = "team:analytics"
PROJECT = Project.load(Path(dbt_like_sql.__file__).parent)

# What a lake table is exported from, where that is an asset.
UPSTREAM = {
    "rounds": ["round_outcome"],
    "seats": ["round_outcome"],
    "planted_canaries": ["round_outcome"],
    "plugin_usages": ["round_outcome"],
    "validator_skill_usages": ["round_outcome"],
    "submissions": ["round_outcome"],
    "certificates": ["certificate"],
    "accuracy_ledger": ["accuracy_ledger"],
    "reputation_ledger": ["accuracy_ledger"],
    "payout_ledger": ["round_payouts"],
    "call_attempts": ["phase_one_verdicts", "phase_two_verdicts", "third_panel_verdicts"],
}


def _column_schema(columns: list[tuple[str, str]]) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name=name, type=kind) for name, kind in columns])


def _lake_key(source: str, name: str) -> dg.AssetKey:
    return dg.AssetKey(["lake", source, name])


def _lake_asset(exported: LakeTable) -> dg.AssetsDefinition:
    @dg.asset(
        key=_lake_key(exported.source, exported.name),
        deps=[dg.AssetKey(name) for name in UPSTREAM.get(exported.name, [])],
        group_name="usage" if exported.source == "usage" else "lake",
        owners=[OWNER],
        kinds={"parquet", "polars"},
        description=f"The {exported.source} database's {exported.name}, as Parquet for analysts.",
        metadata={
            "dagster/column_schema": _column_schema([(name, str(kind)) for name, kind in exported.schema.items()])
        },
    )
    def export(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
        deployment = sigma.open()
        frame = write_table(deployment, exported)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": frame.height,
                "path": dg.MetadataValue.path(exported.path(deployment.settings.lake)),
            }
        )

    return export


def _source_key(source: str, name: str) -> dg.AssetKey:
    # Weights and simulations are written by assets of their own, straight into the lake.
    if source == "simulation":
        return dg.AssetKey("policy_simulation")
    return dg.AssetKey("governance_weights") if name == "weights" else _lake_key(source, name)


def _model_asset(model: Model) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey(["models", model.name]),
        deps=[
            *(dg.AssetKey(["models", name]) for name in model.refs),
            *(_source_key(source, name) for source, name in model.sources),
        ],
        group_name=model.layer,
        owners=[OWNER],
        kinds={"duckdb", "sql"},
        description=model.description,
        metadata={"dagster/column_schema": _column_schema([(name, "") for name in model.columns])},
    )
    def build(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
        result = PROJECT.build(sigma.open().settings.lake, select=[model.name])[0]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": result.row_count,
                "dagster/column_schema": _column_schema(result.columns),
                "sql": dg.MetadataValue.md(f"```sql\n{model.sql}\n```"),
                "seconds": result.seconds,
            }
        )

    return build


def _model_check(test: ModelTest) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey(["models", test.model]),
        name=test.name,
        description=test.description,
    )
    def check(sigma: SigmaDeployment) -> dg.AssetCheckResult:
        result = PROJECT.run_test(test, sigma.open().settings.lake)
        return dg.AssetCheckResult(
            passed=result.failures == 0,
            metadata={
                "failing_rows": result.failures,
                **({"sample": markdown_table(result.columns, result.sample)} if result.failures else {}),
            },
        )

    return check


LAKE_ASSETS = [_lake_asset(exported) for exported in LAKE_TABLES]
MODEL_ASSETS = [_model_asset(model) for model in PROJECT.models.values()]
MODEL_CHECKS = [_model_check(test) for test in PROJECT.tests]

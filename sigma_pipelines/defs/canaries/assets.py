"""Sensitivity and specificity of families and validators, as read from the marts, and whether a family is known to be too weak."""

import dagster as dg
import polars as pl

from sigma_core.deployment import Deployment
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.resources.deployment import SigmaDeployment

OWNER = "team:protocol"
BY_FAMILY, BY_VALIDATOR = "canary_sensitivity_by_family", "canary_sensitivity_by_validator"


def _mart(deployment: Deployment, name: str) -> pl.DataFrame:
    return pl.read_parquet(deployment.settings.lake / "models" / f"{name}.parquet")


def _interval(row: dict[str, int | None], name: str) -> str:
    low, high = row[f"{name}_low_ppm"], row[f"{name}_high_ppm"]
    return "" if low is None or high is None else f"{low / 10_000:.1f} to {high / 10_000:.1f} %"


def _table(frame: pl.DataFrame, who: str) -> dg.MarkdownMetadataValue:
    return table(
        (who, "canary", "caught", "sensitivity", "passed", "specificity", "unanswered"),
        (
            (
                row[who],
                row["canary"],
                f"{row['unsafe_caught']} of {row['unsafe_answered']}",
                _interval(row, "sensitivity"),
                f"{row['safe_passed']} of {row['safe_answered']}",
                _interval(row, "specificity"),
                row["unanswered"],
            )
            for row in frame.iter_rows(named=True)
        ),
    )


@dg.asset(
    deps=[dg.AssetKey(["models", BY_FAMILY]), dg.AssetKey(["models", BY_VALIDATOR])],
    group_name="canaries",
    owners=[OWNER],
    kinds={"python"},
    description="What canaries say of families and validators: sensitivity and specificity with 95 % Wilson intervals, the weakest first.",
)
def canary_sensitivity(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    deployment = sigma.open()
    families = _mart(deployment, BY_FAMILY)
    validators = _mart(deployment, BY_VALIDATOR).filter(pl.col("canary") == "ALL")
    return dg.MaterializeResult(
        metadata={
            "answers": int(
                families.filter(pl.col("canary") == "ALL")
                .select("unsafe_answered", "safe_answered")
                .sum_horizontal()
                .sum()
            ),
            "families": _table(families, "family"),
            "weakest_validators": _table(
                validators.sort("sensitivity_high_ppm", "validator_id", nulls_last=True), "validator_id"
            ),
        }
    )


@dg.asset_check(
    asset=canary_sensitivity,
    description="No family is known to cite fewer planted files than the policy asks for: the whole 95 % interval would have to lie below.",
)
def families_cite_planted_files(sigma: SigmaDeployment) -> dg.AssetCheckResult:
    deployment = sigma.open()
    bar = deployment.policy.canaries.min_family_sensitivity_ppm
    weak = _mart(deployment, BY_FAMILY).filter((pl.col("canary") == "FILE") & (pl.col("sensitivity_high_ppm") < bar))
    return dg.AssetCheckResult(
        passed=weak.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"bar_ppm": bar, "families_below": weak.height, "below": _table(weak, "family")},
    )

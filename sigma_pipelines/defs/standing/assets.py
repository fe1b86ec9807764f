"""Standing, downstream of every decided round: ledgers, accuracy, reputation, and the weights that draw the next panels."""

import dagster as dg

from sigma_core.lifecycle import accuracy_days, booking, reputation_days, standing, standing_state
from sigma_pipelines.defs.rounds.assets import round_outcome
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.resources.deployment import SigmaDeployment

OWNER = "team:protocol"


def _schema(**columns: str) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in columns.items()])


@dg.asset(
    deps=[round_outcome],
    group_name="standing",
    owners=[OWNER],
    kinds={"python", "sql"},
    description="Books every truth that is not booked yet: integer points for each vote on it, reputation events, and payouts. "
    "Append-only: an escalation scores and pays nobody until it is resolved, and a corrected truth is taken back by compensations.",
)
def accuracy_ledger(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    booked = booking.book_known_truths(sigma.open())
    return dg.MaterializeResult(
        metadata={
            "rounds_booked": booked.rounds,
            "late_resolutions": booked.late_resolutions,
            "corrections": booked.corrections,
            "compensations": booked.compensations,
            "accuracy_entries": booked.accuracy_entries,
            "reputation_events": booked.reputation_events,
            "payout_lines": booked.payout_lines,
        }
    )


@dg.asset(
    deps=[accuracy_ledger],
    group_name="standing",
    owners=[OWNER],
    kinds={"numpy"},
    description="The accuracy ledger by UTC day as NumPy files in the lake, from which the engines replay it. New lines are added to "
    "their days; a kill leaves the old files or the new ones.",
)
def accuracy_ledger_days(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    with accuracy_days.accuracy_days(sigma.open()) as days:
        return dg.MaterializeResult(
            metadata={"days": len(days.last_lines), "validators": len(days.validators), "last_line": days.high_water}
        )


@dg.asset(
    deps=[accuracy_ledger],
    group_name="standing",
    owners=[OWNER],
    kinds={"parquet"},
    description="What the events of the reputation ledger amount to by UTC day and validator, in the lake, from which the day's update is "
    "made. New lines are added to their days; a kill leaves the old files or the new ones.",
    metadata={
        "dagster/column_schema": _schema(
            validator_id="String",
            day="Int64",
            constructive="Int64",
            bad="Int64",
            change_ppm="Int64",
            lifted="Boolean",
            sanction_ppm="Int64",
        )
    },
)
def reputation_ledger_days(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    with reputation_days.reputation_days(sigma.open()) as days:
        return dg.MaterializeResult(metadata={"days": len(days.last_lines), "last_line": days.high_water})


@dg.asset(
    deps=[accuracy_ledger_days],
    group_name="standing",
    owners=[OWNER],
    kinds={"numpy", "polars"},
    description="Audit accuracy of every validator today, in ppm: (A + K) / (A + M + 2K) after daily decay. Integers throughout.",
    metadata={
        "dagster/column_schema": _schema(
            validator_id="String", aligned_q10="Int64", misaligned_q10="Int64", accuracy_ppm="Int64"
        )
    },
)
def validator_accuracy(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    frame = standing_state.accuracy_today(sigma.open())
    best = frame.sort(["accuracy_ppm", "validator_id"], descending=[True, False])
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": frame.height,
            "scored_validators": frame.filter((frame["aligned_q10"] + frame["misaligned_q10"]) > 0).height,
            "highest": table(("validator", "accuracy ppm"), best.select("validator_id", "accuracy_ppm").head(8).rows()),
            "lowest": table(("validator", "accuracy ppm"), best.select("validator_id", "accuracy_ppm").tail(8).rows()),
        }
    )


@dg.asset(
    deps=[reputation_ledger_days],
    group_name="standing",
    owners=[OWNER],
    kinds={"polars"},
    description="SIGMA reputation of every validator today, in ppm: constructive and bad events, sanction caps, idle drift to one half.",
    metadata={"dagster/column_schema": _schema(validator_id="String", reputation_ppm="Int64")},
)
def sigma_reputation(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    frame = standing_state.reputation_today(sigma.open())
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": frame.height,
            "spread": table(
                ("validator", "reputation ppm"),
                frame.sort("reputation_ppm", "validator_id").select("validator_id", "reputation_ppm").head(8).rows(),
            ),
        }
    )


@dg.asset(
    deps=[validator_accuracy, sigma_reputation],
    group_name="standing",
    owners=[OWNER],
    kinds={"polars", "duckdb", "parquet"},
    description="Governance weight of every validator, published as the next epoch with its Merkle root when anything changed. Both "
    "engines must agree bit for bit before it is published.",
    metadata={
        "dagster/column_schema": _schema(
            epoch="Int64",
            validator_id="String",
            stake_micro_usd="Int64",
            accuracy_ppm="Int64",
            reputation_ppm="Int64",
            weight="Int64",
            capped="Boolean",
        )
    },
)
def governance_weights(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    deployment = sigma.open()
    epoch = standing.publish_weights(deployment)
    rows = standing.write_weights_table(deployment)
    return dg.MaterializeResult(
        metadata={
            "epoch": epoch.epoch,
            "published_at": dg.MetadataValue.timestamp(epoch.published_at),
            "merkle_root": epoch.merkle_root,
            "total_weight": epoch.total_weight,
            "validators": epoch.validator_count,
            "policy_hash": epoch.policy_hash,
            "dagster/row_count": rows,
        }
    )


@dg.asset(
    deps=[accuracy_ledger],
    group_name="standing",
    owners=[OWNER],
    kinds={"python", "sql"},
    description="What resolved rounds paid, in micro-USD, booked with their points: net points at the policy's price out of budget and "
    "forfeits; what nobody earned is the reserve's.",
)
def round_payouts(sigma: SigmaDeployment) -> dg.MaterializeResult[None]:
    totals = booking.payout_totals(sigma.open())
    return dg.MaterializeResult(
        metadata={
            "rounds": totals.rounds,
            "totals": table(("kind", "micro-USD"), totals.by_kind.items()),
        }
    )


STANDING_ASSETS = [
    accuracy_ledger,
    accuracy_ledger_days,
    reputation_ledger_days,
    round_payouts,
    validator_accuracy,
    sigma_reputation,
    governance_weights,
]

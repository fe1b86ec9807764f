"""Policies compared on a synthetic population, for the mart ``policy_comparison``; and the job that runs it."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from sigma_core.errors import SigmaError
from sigma_core.lifecycle.lake import write_parquet
from sigma_core.policy import load_policy
from sigma_core.simulation.compare import failed_gates, run_table, share_table, trial
from sigma_core.simulation.population import SCENARIOS
from sigma_pipelines.defs.rounds.jobs import QUIET
from sigma_pipelines.defs.rounds.metadata import table
from sigma_pipelines.resources.deployment import SigmaDeployment


class SimulationConfig(dg.Config):
    """What to simulate: ``populations`` by name, ``seeds`` runs of each policy from ``first_seed``, further policies by file
    (``against``) beside the deployment's own; 0 ``submissions`` are the population's own number."""

    populations: list[str] = Field(default_factory=lambda: list(SCENARIOS))
    first_seed: int = 0
    seeds: int = 3
    submissions: int = 0
    against: list[str] = Field(default_factory=list)


@dg.asset(
    group_name="simulation",
    owners=["team:protocol"],
    kinds={"python", "polars", "parquet"},
    description="The deployment's policy, and others beside it, on synthetic populations: selection, consensus, points, weights and "
    "payouts are the code that real rounds run on. Replaces the simulation before.",
    metadata={
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn("policy"),
                dg.TableColumn("scenario"),
                dg.TableColumn("group_name"),
                dg.TableColumn("ratio_ppm"),
            ]
        )
    },
)
def policy_simulation(
    context: dg.AssetExecutionContext, config: SimulationConfig, sigma: SigmaDeployment
) -> dg.MaterializeResult[None]:
    deployment = sigma.open()
    unknown = [name for name in config.populations if name not in SCENARIOS]
    if unknown or config.seeds < 1:
        raise dg.Failure(f"populations are {', '.join(SCENARIOS)}, and seeds at least 1", allow_retries=False)
    trials = []
    try:
        policies = [
            ("default", deployment.policy),
            *((Path(file).stem, load_policy(Path(file))) for file in config.against),
        ]
        for name in config.populations:
            scenario = SCENARIOS[name]
            if config.submissions:
                scenario = scenario.sized(config.submissions)
            for label, policy in policies:
                context.log.info(f"{label} on {name}")
                trials.append(
                    trial(label, scenario, policy, range(config.first_seed, config.first_seed + config.seeds))
                )
    except SigmaError as error:
        raise dg.Failure(description=str(error), metadata={"code": error.code}, allow_retries=False) from error
    folder = deployment.settings.lake / "simulation"
    shares, runs = share_table(trials), run_table(trials)
    write_parquet(shares, folder / "group_shares.parquet")
    write_parquet(runs, folder / "runs.parquet")
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": shares.height,
            "runs": runs.height,
            "final_ratios": table(
                ("policy", "population", "group", "mean ppm", "lowest", "highest"),
                (
                    (of.policy, of.results[0].scenario, group, *of.ratio_ppm(group))
                    for of in trials
                    for group in of.groups
                ),
            ),
            "failed_gates": [
                f"{of.policy} on {of.results[0].scenario}: {why}" for of in trials for why in failed_gates(of)
            ],
        }
    )


SIMULATED = dg.AssetSelection.assets(policy_simulation).downstream()
"""The simulation and what is built on it: no part of bringing standing up to date."""

simulation = dg.define_asset_job(
    "simulation",
    selection=SIMULATED,
    description="Simulates policies on synthetic populations and builds the mart that compares them, with its checks.",
    config=QUIET,
)

"""The audit round of a submission, as assets. Each body is one call into ``sigma_core.lifecycle`` and the metadata of what it did.

Materialising the chain again opens the next round and leaves the earlier ones as they were; re-executing a failed run
resumes the round it had opened.
"""

from collections.abc import Sequence
from contextlib import suppress

import dagster as dg

from sigma_core.deployment import Deployment
from sigma_core.lifecycle import certify, facts, intake, outcome, panels
from sigma_core.lifecycle.panel_figures import panel_figures
from sigma_core.lifecycle.transparency import publish_log
from sigma_pipelines.defs.rounds import metadata
from sigma_pipelines.materialisation import each_submission, run_of, wait_for_beacon
from sigma_pipelines.partitions import SUBMISSIONS
from sigma_pipelines.provider_pools import provider_turns
from sigma_pipelines.resources.deployment import SigmaDeployment

OWNER = "team:protocol"
SINGLE_RUN = dg.BackfillPolicy.single_run()


@dg.asset(
    group_name="round",
    owners=[OWNER],
    kinds={"python"},
    partitions_def=SUBMISSIONS,
    backfill_policy=SINGLE_RUN,
    description="The submitted package: its members by content hash, its manifest, its canonical tree. Nothing in it is ever run.",
)
def submission_package(context: dg.AssetExecutionContext, sigma: SigmaDeployment) -> None:
    deployment = sigma.open()
    intake.mark_scheduled_handled(deployment, context.partition_keys)

    def load(submission_id: str) -> metadata.Metadata:
        row = intake.load_submission(deployment, submission_id)
        return metadata.of_package(row, intake.load_package(deployment, submission_id))

    each_submission(context, deployment, load)


@dg.asset(
    deps=[submission_package],
    group_name="round",
    owners=[OWNER],
    kinds={"python"},
    partitions_def=SUBMISSIONS,
    backfill_policy=SINGLE_RUN,
    description="Deterministic facts: what the package can do, what it declares, where the two part, and what was looked at. "
    "Facts can only raise risk; no vote lowers them.",
)
def sandbox_facts(context: dg.AssetExecutionContext, sigma: SigmaDeployment) -> None:
    deployment = sigma.open()
    each_submission(
        context, deployment, lambda submission_id: metadata.of_facts(facts.derive_and_keep(deployment, submission_id))
    )


@dg.asset(
    deps=[sandbox_facts],
    group_name="round",
    owners=[OWNER],
    kinds={"python"},
    partitions_def=SUBMISSIONS,
    backfill_policy=SINGLE_RUN,
    description="Opens the round once its beacon is out, draws the first panel, and keeps its committed and revealed verdicts.",
)
def phase_one_verdicts(context: dg.AssetExecutionContext, sigma: SigmaDeployment) -> None:
    deployment = sigma.open()
    this_run = run_of(context)
    turn = provider_turns(context)
    wait_for_beacon(context, lambda: panels.bind_rounds(deployment, context.partition_keys, this_run))

    def audit(submission_id: str) -> metadata.Metadata:
        round_id = panels.open_round(deployment, submission_id, this_run)
        return _told(deployment, panels.run_phase(deployment, round_id, phase=1, turn=turn))

    each_submission(context, deployment, audit)


@dg.asset(
    deps=[phase_one_verdicts],
    group_name="round",
    owners=[OWNER],
    kinds={"python"},
    partitions_def=SUBMISSIONS,
    backfill_policy=SINGLE_RUN,
    description="A fresh panel on the claims-stripped view: no member, operator or (where the pool allows) family of the first.",
)
def phase_two_verdicts(context: dg.AssetExecutionContext, sigma: SigmaDeployment) -> None:
    deployment = sigma.open()
    this_run = run_of(context)
    turn = provider_turns(context)

    def audit(submission_id: str) -> metadata.Metadata:
        round_id = panels.round_of_run(deployment, submission_id, this_run)
        return _told(deployment, panels.run_phase(deployment, round_id, phase=2, turn=turn))

    each_submission(context, deployment, audit)


@dg.asset(
    deps=[phase_two_verdicts],
    group_name="round",
    owners=[OWNER],
    kinds={"python"},
    partitions_def=SUBMISSIONS,
    backfill_policy=SINGLE_RUN,
    description="Where the policy has one and a single vote dissents: a third panel, held like the second, which must be unanimous. "
    "Otherwise the record that none was convened.",
)
def third_panel_verdicts(context: dg.AssetExecutionContext, sigma: SigmaDeployment) -> None:
    deployment = sigma.open()
    this_run = run_of(context)
    turn = provider_turns(context)

    def audit(submission_id: str) -> metadata.Metadata:
        round_id = panels.round_of_run(deployment, submission_id, this_run)
        held = outcome.convene_third_panel(deployment, round_id, turn=turn)
        if isinstance(held, str):
            return {"convened": False, "why": held}
        return {"convened": True, **_told(deployment, held)}

    each_submission(context, deployment, audit)


@dg.asset(
    deps=[third_panel_verdicts],
    group_name="round",
    owners=[OWNER],
    kinds={"python"},
    partitions_def=SUBMISSIONS,
    backfill_policy=SINGLE_RUN,
    description="Consensus: both panels' votes merged with the facts by a total function. No SAFE majority ever certifies.",
)
def round_outcome(context: dg.AssetExecutionContext, sigma: SigmaDeployment) -> None:
    deployment = sigma.open()
    this_run = run_of(context)

    def decide(submission_id: str) -> metadata.Metadata:
        return metadata.of_outcome(
            outcome.decide_round(deployment, panels.round_of_run(deployment, submission_id, this_run))
        )

    each_submission(context, deployment, decide)


@dg.asset(
    deps=[round_outcome],
    group_name="round",
    owners=[OWNER],
    kinds={"python"},
    partitions_def=SUBMISSIONS,
    backfill_policy=SINGLE_RUN,
    description="The sealed certificate of an approved round (canonical payload, keccak-256, DSSE Ed25519), "
    "or the record that none was issued.",
)
def certificate(context: dg.AssetExecutionContext, sigma: SigmaDeployment) -> None:
    deployment = sigma.open()
    this_run = run_of(context)
    if len(context.partition_keys) > 1:
        # One checkpoint for the batch. What fails here fails again below, where each failure is noted with its submission.
        _log_together(context.partition_keys, deployment, this_run)

    def issue(submission_id: str) -> metadata.Metadata:
        return metadata.of_certificate(
            certify.issue_certificate(deployment, panels.round_of_run(deployment, submission_id, this_run))
        )

    each_submission(context, deployment, issue)


def _told(deployment: Deployment, panel: panels.PanelRecord) -> metadata.Metadata:
    return metadata.of_panel(panel, panel_figures(deployment, panel))


def _log_together(keys: Sequence[str], deployment: Deployment, run: panels.Run) -> None:
    for submission_id in keys:
        with suppress(Exception):
            certify.log_certificate(deployment, panels.round_of_run(deployment, submission_id, run))
    with suppress(Exception):
        publish_log(deployment)


ROUND_ASSETS = [
    submission_package,
    sandbox_facts,
    phase_one_verdicts,
    phase_two_verdicts,
    third_panel_verdicts,
    round_outcome,
    certificate,
]

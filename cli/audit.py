"""``sigma audit`` and ``submit``: a package from disk into the deployment, and one round of it run in this process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.output import stderr
from cli.validate import write_sarif
from sigma_core.config import Settings
from sigma_core.deployment import Deployment
from sigma_core.errors import ExitCode, SigmaError, Unavailable
from sigma_core.lifecycle.intake import Provenance, submit
from sigma_core.lifecycle.opening import open_deployment
from sigma_core.policy import load_policy
from sigma_core.storage.files import write_whole
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import Package, SourceType

LOCAL_SUBMITTER = "local-cli"
QUEUE_SUBMITTER = "local-queue"
"""Packages left to the daemon: an audit here must not take up one of those as its own, interrupted."""

STAGE_NAMES = {
    "submission_package": "reading the package",
    "sandbox_facts": "deriving facts",
    "phase_one_verdicts": "first panel",
    "phase_two_verdicts": "second panel, claims stripped",
    "third_panel_verdicts": "third panel, where one dissents",
    "round_outcome": "consensus",
    "certificate": "certificate",
}


class RoundFailed(SigmaError):
    """The round's run failed; what was done is kept, and the same command resumes it."""

    code = "ROUND_FAILED"
    exit_code = ExitCode.UNAVAILABLE


def _provenance(package: Package, submitter: str, notes: str = "", conflicts: Sequence[str] = ()) -> Provenance:
    return Provenance(
        source_type=SourceType.UPLOAD,
        source_ref=package.source_name,
        source_url=None,
        submitter=submitter,
        dev_notes=notes,
        conflicts=tuple(conflicts),
    )


def submit_package(settings: Settings, path: Path, notes: str, conflicts: Sequence[str] = ()) -> str:
    """Record the package for the daemon to audit; returns the submission id. Raises Refusal, OperatorUnknown, Unavailable."""
    package = read_package(path, load_policy(settings.policy_file))
    provenance = _provenance(package, QUEUE_SUBMITTER, notes, conflicts)
    return submit(open_deployment(settings), package, provenance, scheduled=True)


def audit_package(settings: Settings, path: Path, *, out: Path | None, sarif: Path | None) -> dict[str, Any]:
    """One whole round in this process; returns the round's report, with ``bundlePath`` where ``out`` was written.

    A killed audit of the same bytes is resumed, not repeated. Raises Refusal, Unavailable or RoundFailed.
    """
    from sigma_core.lifecycle.panels import interrupted_submission

    package = read_package(path, load_policy(settings.policy_file))
    with stderr.status("opening the deployment") if stderr.is_terminal else _Silent() as status:
        deployment = open_deployment(settings)
        submission_id = interrupted_submission(deployment, package, LOCAL_SUBMITTER) or submit(
            deployment, package, _provenance(package, LOCAL_SUBMITTER), scheduled=False
        )
        run_round(deployment, submission_id, on_stage=lambda stage: status.update(STAGE_NAMES.get(stage)))
    return _report(deployment, submission_id, out=out, sarif=sarif)


class _Silent:
    """Stands in for the spinner where nobody looks."""

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, _line: str | None) -> None:
        """Say nothing."""


def run_round(deployment: Deployment, submission_id: str, *, on_stage: Any) -> None:
    """Materialise the submission's chain of assets in this process, on the deployment's own Dagster instance.

    Raises RoundFailed with the failing stage's message.
    """
    from cli.dagster_home import prepare_dagster_home

    prepare_dagster_home(deployment.settings)
    # Dagster takes most of a second to import: after the home is known to be usable, and only here.
    import dagster as dg
    from sqlalchemy.exc import DBAPIError

    from sigma_core.lifecycle.panels import open_run_key
    from sigma_pipelines import progress
    from sigma_pipelines.defs.rounds.definitions import round_defs
    from sigma_pipelines.materialisation import COMMAND_LINE, RESUMES_TAG, SOURCE_TAG
    from sigma_pipelines.partitions import SUBMISSIONS

    progress.on_stage(on_stage)
    resumed = open_run_key(deployment, submission_id)
    tags = {RESUMES_TAG: resumed} if resumed else {}
    try:
        with dg.DagsterInstance.get() as instance:
            assert SUBMISSIONS.name is not None
            instance.add_dynamic_partitions(SUBMISSIONS.name, [submission_id])
            result = round_defs.resolve_job_def("audit_round").execute_in_process(
                instance=instance,
                partition_key=submission_id,
                tags={**tags, SOURCE_TAG: COMMAND_LINE},
                run_config={"loggers": {"progress": {}}},
                raise_on_error=False,
            )
    except DBAPIError as error:
        # The deployment's own databases say this themselves; Dagster's store is reached through Dagster.
        raise Unavailable(
            f"the Dagster store in {deployment.settings.dagster_home} cannot be used: {error.orig}",
            code="DAGSTER_STORE_UNAVAILABLE",
            hint="check its disk and permissions, then run the same command again to resume",
        ) from None
    if not result.success:
        failed = next(event for event in result.all_events if event.is_step_failure)
        message = _why(failed.step_failure_data)
        raise RoundFailed(
            f"{STAGE_NAMES.get(str(failed.step_key), failed.step_key)}: {message}",
            hint=f"run the same command again to resume; run {result.run_id} in the Dagster UI has the details",
        )


def _why(failure: Any) -> str:
    """A stage's own words where it failed on purpose, else the first line of what it raised."""
    if failure.user_failure_data is not None:
        return str(failure.user_failure_data.description)
    raised = failure.error.cause or failure.error
    return str(raised.message).strip().splitlines()[0]


def _report(deployment: Deployment, submission_id: str, *, out: Path | None, sarif: Path | None) -> dict[str, Any]:
    from sigma_core.lifecycle.facts import load_facts
    from sigma_core.lifecycle.report import certificate_of, find_round, round_report

    row = find_round(deployment, submission_id)
    report = round_report(deployment, row.id)
    certificate = certificate_of(deployment, row.id)
    if certificate is not None:
        bundle_path = out or deployment.settings.certificates / f"{certificate.id}.sigma.json"
        write_whole(bundle_path, deployment.blobs.get(certificate.bundle_sha256))
        report["bundlePath"] = str(bundle_path)
    else:
        report["bundlePath"] = None
        if out is not None:
            sys.stderr.write(f"sigma: no certificate was issued, so {out} was not written\n")
    if sarif is not None:
        write_sarif(load_facts(deployment, row.facts_sha256), report["name"], sarif)
    return report

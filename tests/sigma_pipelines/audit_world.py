"""A deployment and the Dagster instance beside it, and what tests ask of the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import inspect, select

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.intake import Provenance, load_submission, submit
from sigma_core.storage.protocol import ProtocolBase
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import SourceType

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ROUND_STAGES = (
    "submission_package",
    "sandbox_facts",
    "phase_one_verdicts",
    "phase_two_verdicts",
    "third_panel_verdicts",
    "round_outcome",
    "certificate",
)


class World:
    """A deployment, the Dagster instance beside it, and the audit job on both."""

    def __init__(self, deployment: Deployment, instance: dg.DagsterInstance, folder: Path) -> None:
        self.deployment = deployment
        self.instance = instance
        self._folder = folder
        self._count = 0

    def submit(self, *, scheduled: bool = False, example: str = "changelog-writer", partition: bool = True) -> str:
        """Record a package that differs from every other, and add its partition."""
        self._count += 1
        source = EXAMPLES / example
        package = self._folder / f"package-{self._count}"
        for file in source.rglob("*"):
            if file.is_file():
                copy = package / file.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
        with (package / "SKILL.md").open("a", encoding="utf-8") as text:
            text.write(f"\nCopy number {self._count}.\n")
        submission_id = submit(
            self.deployment,
            read_package(package, self.deployment.policy),
            Provenance(SourceType.UPLOAD, package.name, None, "somebody"),
            scheduled=scheduled,
        )
        if partition:
            self.instance.add_dynamic_partitions("submission", [submission_id])
        return submission_id

    def audit(
        self, submission_id: str | None = None, stages: Sequence[str] | None = None, **tags: str
    ) -> dg.ExecuteInProcessResult:
        """Run the job ``audit_round``, or some ``stages`` of it, on one partition, or on those that ``tags`` name."""
        from sigma_pipelines.definitions import defs

        return defs.resolve_job_def("audit_round").execute_in_process(
            instance=self.instance,
            partition_key=submission_id,
            tags=tags,
            asset_selection=[dg.AssetKey(stage) for stage in stages] if stages else None,
            run_config={"loggers": {"progress": {}}},
            raise_on_error=False,
        )

    def bring_standing_up_to_date(self) -> dg.ExecuteInProcessResult:
        """Run the job ``standing``."""
        from sigma_pipelines.definitions import defs

        return defs.resolve_job_def("standing").execute_in_process(
            instance=self.instance, run_config={"loggers": {"progress": {}}}, raise_on_error=False
        )

    def rows(self, table: type[ProtocolBase], **where: Any) -> list[dict[str, Any]]:
        """Every column of the rows that have these values, in the order of their keys."""
        columns = [attribute.key for attribute in inspect(table).column_attrs]
        with self.deployment.read_sessions() as session:
            found = session.scalars(
                select(table)
                .filter_by(**where)
                .order_by(*inspect(table).primary_key)
                .execution_options(populate_existing=True)
            ).all()
        return [{name: getattr(row, name) for name in columns} for row in found]

    def materialisation(self, stage: str, submission_id: str) -> dg.EventLogEntry | None:
        """The newest materialisation of a submission's partition in a stage."""
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(stage), asset_partitions=[submission_id]), limit=1
        ).records
        return records[0].event_log_entry if records else None

    def stages_of(self, submission_id: str, run_id: str) -> list[str]:
        """The stages that this run materialised for a submission."""
        found = {stage: self.materialisation(stage, submission_id) for stage in ROUND_STAGES}
        return [stage for stage, entry in found.items() if entry is not None and entry.run_id == run_id]

    def blob_file(self, digest: str) -> Path:
        """Where a blob of this digest lies on disk."""
        return self.deployment.settings.home / "blobs" / "sha256" / digest[:2] / digest

    def package_blob(self, submission_id: str) -> Path:
        """The blob of a submission's package document, which no other submission shares."""
        return self.blob_file(load_submission(self.deployment, submission_id).package_sha256)


def metadata_of(entry: dg.EventLogEntry | None) -> Mapping[str, Any]:
    """The values of a materialisation's metadata."""
    assert entry is not None
    assert entry.asset_materialization is not None
    return {name: value.value for name, value in entry.asset_materialization.metadata.items()}


def failure_of(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    """The step that failed and what it said."""
    failed = next(event for event in result.all_events if event.is_step_failure)
    failure = failed.step_failure_data
    words = failure.user_failure_data.description if failure.user_failure_data else failure.error.to_string()
    return str(failed.step_key), str(words)


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Whether each check of a run passed."""
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}

"""The main job: one ``sigma audit`` cold and warm, batched runs of 1 to 1,000 submissions, and what a submission costs in storage.

Copies of one package show what a round costs beside the analyses, which a process remembers; packages that differ show all of it.

Baselines in the same run: ``python -c pass`` for a start, and the same number of empty Dagster materialisations for a batch.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "changelog-writer"
BATCHES = (("copies", 1), ("copies", 10), ("copies", 100), ("copies", 1_000), ("different", 100))


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as folder:
        home = Path(folder) / "home"
        environment = {**os.environ, "SIGMA_HOME": str(home), "PYTHONPATH": str(ROOT)}
        environment.pop("DAGSTER_HOME", None)
        audit = [sys.executable, "-m", "cli", "audit", str(EXAMPLE), "--json"]
        bare = _process([sys.executable, "-c", "pass"], environment)
        print("one audit of examples/changelog-writer, whole process:")
        _line("python -c pass", bare, bare)
        _line("cold (fresh home)", _process(audit, environment), bare)
        warm = min((_process(audit, environment) for _ in range(3)), key=lambda figures: figures[0])
        _line("warm (best of 3)", warm, bare)
        os.environ.update(SIGMA_HOME=str(home), DAGSTER_HOME=str(home / "dagster"))
        _batches(home)


def _process(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """(wall, CPU) seconds of a finished child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _line(name: str, figures: tuple[float, float], baseline: tuple[float, float]) -> None:
    wall, cpu = figures
    print(f"  {name:<22} {wall:7.2f} s wall  {cpu:6.2f} s CPU  {wall / baseline[0]:7.1f} × python -c pass")


@contextmanager
def _timed(figures: list[float]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    figures.extend((time.perf_counter() - wall, time.process_time() - cpu))


def _batches(home: Path) -> None:
    import dagster as dg

    from sigma_core.lifecycle.intake import Provenance, submit
    from sigma_core.lifecycle.opening import open_deployment
    from sigma_core.submissions.intake import read_package
    from sigma_core.submissions.package import Package, PackageFile, SourceType, sorted_files
    from sigma_pipelines.definitions import defs
    from sigma_pipelines.defs.rounds.jobs import batch_tags

    deployment = open_deployment()
    package = read_package(EXAMPLE, deployment.policy)
    provenance = Provenance(SourceType.UPLOAD, "bench", None, "bench")
    job = defs.resolve_job_def("audit_round")
    quiet = {"loggers": {"progress": {}}}

    def with_a_note(number: int) -> Package:
        note = PackageFile.of("references/note.md", f"The changelog of part {number} is kept apart.\n".encode())
        return replace(package, files=sorted_files([*package.files, note]))

    @dg.asset(
        partitions_def=dg.DynamicPartitionsDefinition(name="empty"), backfill_policy=dg.BackfillPolicy.single_run()
    )
    def empty(context) -> None:  # type: ignore[no-untyped-def]
        for key in context.partition_keys:
            context.log_event(dg.AssetMaterialization("empty", partition=key))

    baseline_job = dg.Definitions(assets=[empty], jobs=[dg.define_asset_job("empty_job")]).resolve_job_def("empty_job")
    print("batched runs, every submission its own partition (7 assets, 6 checks):")
    with dg.DagsterInstance.get() as instance:
        for kind, size in BATCHES:
            before = _store_size(home)
            packages = [package] * size if kind == "copies" else [with_a_note(number) for number in range(size)]
            keys = [submit(deployment, each, provenance, scheduled=True) for each in packages]
            instance.add_dynamic_partitions("submission", keys)
            figures: list[float] = []
            with _timed(figures):
                result = job.execute_in_process(
                    instance=instance, tags=batch_tags(keys[0], keys[-1]), run_config=quiet, raise_on_error=True
                )
            assert result.success
            empties = [f"{keys[0]}-{number}" for number in range(size)]
            instance.add_dynamic_partitions("empty", empties)
            floor: list[float] = []
            with _timed(floor):
                baseline_job.execute_in_process(
                    instance=instance,
                    tags=batch_tags(empties[0], empties[-1]),
                    run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
                )
            wall, cpu = figures
            after = _store_size(home)
            print(
                f"  {size:>5} {kind:<9}  {size / wall:7.1f} submissions/s  {1000 * cpu / size:7.1f} ms CPU each  "
                f"{wall / floor[0]:5.1f} × {size} empty materialisations  "
                f"{(after['dagster'] - before['dagster']) // size:>7,} B Dagster  {(after['rest'] - before['rest']) // size:>7,} B ours"
            )
        _rows(instance)


def _store_size(home: Path) -> dict[str, int]:
    sizes = {"dagster": 0, "rest": 0}
    for path in home.rglob("*"):
        if path.is_file():
            sizes["dagster" if "dagster" in path.relative_to(home).parts else "rest"] += path.stat().st_size
    return sizes


def _rows(instance: object) -> None:
    from sqlalchemy import text

    storage = instance.event_log_storage  # type: ignore[attr-defined]
    with storage.index_connection() as connection:
        total = connection.execute(
            text("SELECT count(*) FROM event_logs WHERE partition LIKE 'sub\\_%' ESCAPE '\\'")
        ).scalar()
        keys = connection.execute(
            text("SELECT count(DISTINCT partition) FROM event_logs WHERE partition LIKE 'sub\\_%' ESCAPE '\\'")
        ).scalar()
    print(f"  rows in Dagster's index: {total / keys:.1f} a submission")


if __name__ == "__main__":
    main()

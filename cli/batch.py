"""``sigma validate --each DIR``: every package of a folder, one after the other or in a few processes, a record each.

A package that is refused, or that a fault of ours ends, is a record like any other; the rest goes on.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from cli.output import shown, stderr, stdout
from cli.validate import today
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.policy import PackageLimits, Policy
from sigma_core.sandbox.decision import Decision, rule_ids
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.rules import load_rules
from sigma_core.sandbox.suppressions import Suppressions, view
from sigma_core.submissions.compressed_stream import BZIP2_MAGIC, GZIP_MAGIC, XZ_MAGIC
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.refusal import Refusal

ARCHIVE_SUFFIXES = (
    ".zip",
    ".skill",
    ".tar",
    ".tgz",
    ".tbz",
    ".tbz2",
    ".txz",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".7z",
    ".rar",
)
"""Names that call a file an archive; one of a kind that intake does not read is refused, not overlooked."""

VERSION_CONTROL = ".git"
INTERNAL_ERROR = "INTERNAL_ERROR"
WORKER_LOST = "WORKER_LOST"
FAULTS = frozenset({INTERNAL_ERROR, WORKER_LOST})
"""Codes of records that say nothing about the package: SIGMA failed on it."""

WINDOW = 64
"""Records of each worker that may wait for a slow package before them."""

_STOP_SECONDS = 5


@dataclass(frozen=True)
class Terms:
    """What every package of a batch is held against."""

    policy: Policy
    limits: PackageLimits
    suppressions: Suppressions | None = None


def run_batch(paths: list[Path], terms: Terms, *, jobs: int, as_jsonl: bool) -> ExitCode:
    """Write a line for each of ``paths`` on stdout, flushed as it is done; see `validate_each` for its fields.

    OK when nothing was blocked or refused, NEGATIVE when something was, UNAVAILABLE when SIGMA itself failed on a package.
    """
    counts: Counter[str] = Counter()
    worst = ExitCode.OK
    show_progress = stderr.is_terminal and not stdout.is_terminal
    with stderr.status("") if show_progress else nullcontext() as status:
        for record in validate_each(paths, terms, jobs):
            counts[record["decision"]] += 1
            sys.stdout.write(json.dumps(record) + "\n" if as_jsonl else _line(record))
            sys.stdout.flush()
            if record["decision"] in {Decision.BLOCK, Decision.REFUSED}:
                worst = max(worst, ExitCode.UNAVAILABLE if record["code"] in FAULTS else ExitCode.NEGATIVE)
            if status is not None:
                status.update(f"{counts.total()} of {len(paths)}: {_sum(counts)}")
    stderr.print(f"{len(paths)} packages: {_sum(counts) or 'none'}")
    return worst


def _sum(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[decision]} {decision}" for decision in Decision if counts[decision])


def _line(record: dict[str, Any]) -> str:
    why = record["error"] if record["decision"] == Decision.REFUSED else ", ".join(record["ruleIds"][:4])
    return f"{record['decision']:<8} {shown(record['path'])}  {shown(why)}".rstrip() + "\n"


def packages_in(folder: Path) -> list[Path]:
    """Every folder and archive directly in ``folder``, sorted by the bytes of the name. Raises SigmaError for what is no folder.

    A file is an archive by its name or by its first bytes; other files, and ``.git``, are no packages.
    """
    if not folder.is_dir():
        raise SigmaError(f"--each {folder}: is not a folder", code="USAGE")
    return [path for path in sorted(folder.iterdir(), key=os.fsencode) if _is_package(path)]


def _is_package(path: Path) -> bool:
    """What cannot be told, a link that leads nowhere or a file that cannot be read, counts: it gets its line, and the line says why."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return path.name != VERSION_CONTROL
        if not stat.S_ISREG(mode):
            return False
        if path.name.lower().endswith(ARCHIVE_SUFFIXES):
            return True
        with path.open("rb") as file:
            head = file.read(262)
    except OSError:
        return True
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06", GZIP_MAGIC, BZIP2_MAGIC, XZ_MAGIC)) or head[257:] == b"ustar"


def validate_each(paths: list[Path], terms: Terms, jobs: int) -> Iterator[dict[str, Any]]:
    """The record of each path, in the order of ``paths``, as soon as it and those before it are known.

    ``{path, decision, code, sandboxRiskLevel, securityLevel, coverageComplete, factsSha256, ruleIds[], cpuSeconds, error}``;
    ``code`` and ``error`` are null for a package that got a decision, and the fields of facts are null for one that did not.
    With suppressions, the decision is what is left beside them, and ``decisionWithoutSuppressions`` and ``suppressedRuleIds[]``
    stand before ``cpuSeconds``.
    """
    if jobs == 1 or len(paths) < 2:
        yield from _in_process(paths, terms)
    else:
        yield from _in_workers(paths, terms, min(jobs, len(paths)))


def validate_one(path: Path, terms: Terms) -> dict[str, Any]:
    """One record; never raises for anything that the package holds or that we get wrong."""
    started = time.process_time()
    try:
        facts = derive_facts(read_package(path, terms.policy, limits=terms.limits), terms.policy)
        seen = view(facts, terms.suppressions, today())
        decided = {
            "decision": seen.decision.value,
            "code": None,
            "sandboxRiskLevel": seen.document["risk"]["sandboxRiskLevel"],
            "securityLevel": seen.document["risk"]["securityLevel"],
            "coverageComplete": facts.complete,
            "factsSha256": facts.sha256,
            "ruleIds": rule_ids(seen.document),
        }
        if terms.suppressions is not None:
            decided["decisionWithoutSuppressions"] = seen.decision_without.value
            decided["suppressedRuleIds"] = sorted({entry.rule for _, entry in seen.suppressed})
        error = None
    except Refusal as refusal:
        decided, error = _undecided(refusal.code), refusal.message
    except Exception as fault:
        # A fault of ours must not look like a finding, nor end the batch.
        decided, error = _undecided(INTERNAL_ERROR), f"{type(fault).__name__}: {fault}"[:500]
    return {"path": str(path), **decided, "cpuSeconds": round(time.process_time() - started, 4), "error": error}


def _undecided(code: str) -> dict[str, Any]:
    return {
        "decision": Decision.REFUSED.value,
        "code": code,
        "sandboxRiskLevel": None,
        "securityLevel": None,
        "coverageComplete": None,
        "factsSha256": None,
        "ruleIds": [],
    }


def _lost(path: Path, exit_code: int | None) -> dict[str, Any]:
    error = f"the worker process ended with {exit_code}"
    return {"path": str(path), **_undecided(WORKER_LOST), "cpuSeconds": None, "error": error}


def _in_process(paths: list[Path], terms: Terms) -> Iterator[dict[str, Any]]:
    _warm_up()
    try:
        for path in paths:
            yield validate_one(path, terms)
            gc.collect()
    finally:
        gc.unfreeze()


def _warm_up() -> None:
    """Load what every package needs, so that no package pays for it and no collection looks at it again."""
    load_rules()
    gc.collect()
    gc.freeze()


@dataclass
class _Worker:
    """A process that takes one path at a time and answers with its record."""

    process: Any
    pipe: Connection
    busy_with: int | None = None

    @classmethod
    def start(cls, terms: Terms) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, terms), daemon=True)
        # A terminal's Ctrl-C reaches every process of the group; it is this one's affair alone, from their first moment on.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        theirs.close()
        return cls(process, ours)

    def stop(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(_STOP_SECONDS)


def _in_workers(paths: list[Path], terms: Terms, count: int) -> Iterator[dict[str, Any]]:
    workers: list[_Worker] = []
    done: dict[int, dict[str, Any]] = {}
    given = written = 0
    try:
        workers += (_Worker.start(terms) for _ in range(count))
        while written < len(paths):
            for worker in workers:
                if worker.busy_with is None and given < min(len(paths), written + WINDOW * count):
                    worker.busy_with = given
                    given += 1
                    # One that died unseen is noticed below, when nothing comes back.
                    with suppress(OSError):
                        worker.pipe.send(paths[worker.busy_with])
            busy = {worker.pipe: worker for worker in workers if worker.busy_with is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                index = worker.busy_with
                assert index is not None
                try:
                    done[index] = worker.pipe.recv()
                    worker.busy_with = None
                except (EOFError, OSError):
                    worker.process.join()
                    done[index] = _lost(paths[index], worker.process.exitcode)
                    workers[workers.index(worker)] = _Worker.start(terms)
            while written in done:
                yield done.pop(written)
                written += 1
    finally:
        for worker in workers:
            worker.stop()


def _work(pipe: Connection, terms: Terms) -> None:
    """A worker's life: until the other end of the pipe is closed."""
    _warm_up()
    with suppress(EOFError, OSError):
        while True:
            pipe.send(validate_one(pipe.recv(), terms))
            gc.collect()

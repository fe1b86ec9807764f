"""Issues a certificate in a process that is killed at its n-th step, for n = 1, 2, …; a fresh process then finishes.

``python killed_issue.py HOME ROUND FOLDER`` prints ``{"steps", "logged", "faults"[], "problems"[]}``. A step is an operation of
Python that changes a file, a writing statement or commit of SQLAlchemy, or a blob; death comes just before it. Each attempt works on its own copy of HOME, and in a fork of this process,
which itself never opens a deployment: so no thread and no connection is ever shared.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.orm import configure_mappers

from sigma_core.certificates.verify import verify_bundle
from sigma_core.config import load_settings
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.certify import issue_certificate
from sigma_core.lifecycle.log_audit import audit_log, status_list_faults
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.protocol import CertificateRow, LogEntryRow

FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
MAX_STEPS = 400


def main(home: str, round_id: str, folder: str) -> None:
    configure_mappers()  # once, for all forks
    logged: set[int] = set()
    problems: list[str] = []
    step = 0
    while step < MAX_STEPS:
        step += 1
        copy = Path(folder) / "copy"
        shutil.copytree(home, copy)
        status, _ = in_fork(partial(issue, copy, round_id, kill_at=step))
        _, found = in_fork(partial(finish, copy, round_id))
        shutil.rmtree(copy)
        logged.add(found["loggedBefore"])
        problems += [f"step {step}: {problem}" for problem in found["problems"]]
        if status == 0:
            break
        if status != -signal.SIGKILL:
            problems.append(f"step {step}: ended with {status}")
    print(json.dumps({"steps": step, "logged": sorted(logged), "problems": problems}))


def issue(home: Path, round_id: str, *, kill_at: int) -> dict[str, Any]:
    deployment = opened(home)
    count = 0

    def tick(*_: Any, **__: Any) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def writing(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("SELECT", "PRAGMA")):
            tick()

    event.listen(deployment.protocol, "before_cursor_execute", writing)
    event.listen(deployment.protocol, "commit", tick)
    for target, name in ((os, "write"), (os, "fsync"), (Blobs, "put")):
        setattr(target, name, counted(getattr(target, name), tick))

    def touching(what: str, arguments: tuple[Any, ...]) -> None:
        if what in FILE_EVENTS and str(arguments[0]).startswith(str(home)) and not reading(what, arguments):
            tick()

    sys.addaudithook(touching)
    issue_certificate(deployment, round_id)
    return {}


def reading(what: str, arguments: tuple[Any, ...]) -> bool:
    return what == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)


def counted(real: Callable[..., Any], tick: Callable[[], None]) -> Callable[..., Any]:
    def wrapped(*arguments: Any) -> Any:
        tick()
        return real(*arguments)

    return wrapped


def finish(home: Path, round_id: str) -> dict[str, Any]:
    """What a process finds after the killed one, and what is wrong once it has finished the work."""
    deployment = opened(home)
    problems = []
    with deployment.read_sessions() as session:
        before = session.scalar(select(func.count()).select_from(LogEntryRow))
        decided = session.scalar(select(LogEntryRow.entry))
        out = session.scalar(select(CertificateRow.id)) is not None
    if out and audit_log(deployment).faults:
        problems.append("a certificate was out before the log was whole")
    if out and status_list_faults(deployment):
        problems.append("a certificate was out before its status lists were")
    row = issue_certificate(deployment, round_id)
    assert row is not None
    with deployment.read_sessions() as session:
        entries = list(session.scalars(select(LogEntryRow)))
    if len(entries) != 1 or (decided is not None and entries[0].entry != decided):
        problems.append("the certificate was decided or logged twice")
    problems += [*audit_log(deployment).faults, *status_list_faults(deployment)]
    verified = verify_bundle(deployment.blobs.get(row.bundle_sha256), deployment.trusted_keys, at=row.issued_at)
    if verified.checkpoint is None or verified.payload.hash != row.payload_hash:
        problems.append("the bundle carries no proof, or another certificate")
    again = issue_certificate(deployment, round_id)
    if again is None or again.bundle_sha256 != row.bundle_sha256:
        problems.append("issuing again gave another bundle")
    return {"loggedBefore": before, "problems": problems}


def opened(home: Path) -> Deployment:
    os.environ["SIGMA_HOME"] = str(home)
    return Deployment(load_settings())


def in_fork(work: Callable[[], dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """(Exit status, or minus the signal that ended it; what it returned) of ``work`` in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            with os.fdopen(writer, "w") as out:
                json.dump(work(), out)
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as told:
        text = told.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), json.loads(text) if text else {}


if __name__ == "__main__":
    main(*sys.argv[1:])

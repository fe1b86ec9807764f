"""Takes up flags and opens their round in a process that is killed at its n-th step, for n = 1, 2, …; a fresh one then finishes.

``python killed_request.py HOME SUBMISSION FOLDER`` prints ``{"steps", "problems"[]}``. A step is a writing statement or a commit;
death comes just before it. Each attempt works on its own copy of HOME, in a fork that opens the deployment itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from killed_issue import in_fork, opened
from sqlalchemy import event, select
from sqlalchemy.orm import configure_mappers

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.panels import Run, open_round
from sigma_core.lifecycle.round_requests import take_up_flags, unopened_requests
from sigma_core.storage.protocol import AuditTrailRow, OutboxRow, RoundRequestRow, RoundRow

MAX_STEPS = 60


def main(home: str, submission: str, folder: str) -> None:
    configure_mappers()  # once, for all forks
    problems: list[str] = []
    step = 0
    while step < MAX_STEPS:
        step += 1
        copy = Path(folder) / "copy"
        shutil.copytree(home, copy)
        status, _ = in_fork(partial(killed, copy, submission, kill_at=step))
        _, found = in_fork(partial(finish, copy, submission))
        shutil.rmtree(copy)
        problems += [f"step {step}: {problem}" for problem in found["problems"]]
        if status == 0:
            break
        if status != -signal.SIGKILL:
            problems.append(f"step {step}: ended with {status}")
    print(json.dumps({"steps": step, "problems": problems}))


def killed(home: Path, submission: str, *, kill_at: int) -> dict[str, Any]:
    deployment = opened(home)
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def writing(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("SELECT", "PRAGMA")):
            tick()

    event.listen(deployment.protocol, "before_cursor_execute", writing)
    event.listen(deployment.protocol, "commit", lambda _connection: tick())
    take_up(deployment, submission)
    return {}


def take_up(deployment: Deployment, submission: str) -> None:
    """What the sensor and the run that it starts do."""
    take_up_flags(deployment)
    for request, _ in unopened_requests(deployment, 10):
        open_round(deployment, submission, Run(f"run-of-{request.id}", f"run-of-{request.id}", request.id))


def finish(home: Path, submission: str) -> dict[str, Any]:
    """What is wrong once a process has done the work that the killed one began."""
    deployment = opened(home)
    take_up(deployment, submission)
    take_up(deployment, submission)
    with deployment.read_sessions() as session:
        rounds = session.scalars(select(RoundRow).order_by(RoundRow.number)).all()
        requests = session.scalars(select(RoundRequestRow)).all()
        unread = session.scalars(
            select(OutboxRow).where(OutboxRow.topic == "re_audit.wanted", OutboxRow.handled_at.is_(None))
        ).all()
        lines = session.scalars(select(AuditTrailRow).where(AuditTrailRow.action == "round.re_audit")).all()
    problems = []
    if [(row.number, row.trigger_source) for row in rounds] != [(1, "SUBMISSION"), (2, "FLAG")]:
        problems.append(f"rounds {[(row.number, row.trigger_source) for row in rounds]}")
    if [request.round_id for request in requests] != [rounds[-1].id]:
        problems.append(f"requests for {[request.round_id for request in requests]}")
    if unread or len(lines) != 1:
        problems.append(f"{len(unread)} unread messages, {len(lines)} lines in the audit trail")
    return {"problems": problems}


if __name__ == "__main__":
    main(*sys.argv[1:])

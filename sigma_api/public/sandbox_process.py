"""One pass of the sandbox over an upload, in a process of its own: bounded in time and memory, writing no file, gone afterwards.

Processes are forked from a server process that has loaded the sandbox and knows nothing of the deployment; it is started by the
first upload. What they hand back is bytes that are not interpreted before they are JSON.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Mapping
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any

import orjson

from sigma_core.errors import SigmaError
from sigma_core.policy import Policy

CPU_SECONDS = 20
WALL_SECONDS = 30
MEMORY_BYTES = 1 << 30
"""Of address space."""

_REPORT, _REFUSAL = b"+", b"-"


class UploadRefused(SigmaError):
    """Intake does not take the upload; ``code`` is intake's."""


class DryRunLost(SigmaError):
    """The process ended without an answer, or was ended: too little time or memory, or a fault of ours."""

    code = "DRY_RUN_LOST"


def dry_run(data: bytes, name: str, policy: Policy) -> bytes:
    """The JSON document of a dry run (`sigma_core.sandbox.dry_run.report`) over the archive ``data``, which its sender calls ``name``.

    Blocks for `WALL_SECONDS` at most. Raises UploadRefused or DryRunLost.
    """
    context = _context()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, _limits(), data, name, policy), daemon=True)
    process.start()
    theirs.close()
    try:
        answer = ours.recv_bytes() if ours.poll(WALL_SECONDS) else b""
    except (EOFError, OSError):
        answer = b""
    finally:
        ours.close()
        process.kill()
        process.join()
        process.close()
    if answer.startswith(_REPORT):
        return answer.removeprefix(_REPORT)
    if answer.startswith(_REFUSAL):
        refusal = orjson.loads(answer.removeprefix(_REFUSAL))
        raise UploadRefused(refusal["message"], code=refusal["code"])
    raise DryRunLost(f"a dry run ended without an answer (within {WALL_SECONDS} s, {CPU_SECONDS} s of CPU)")


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sigma_core.sandbox.warmed", __name__])
    return context


def _limits() -> dict[int, int]:
    return {
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_AS: MEMORY_BYTES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }


def _run(pipe: Connection, limits: Mapping[int, int], data: bytes, name: str, policy: Policy) -> None:
    """The life of the process. One without memory may get stuck instead of ending: then its time ends it."""
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))
    pipe.send_bytes(_answer(data, name, policy))


def _answer(data: bytes, name: str, policy: Policy) -> bytes:
    # Loaded where this process was forked from; the API itself never needs them.
    from sigma_core.sandbox.derive import derive_facts  # noqa: PLC0415
    from sigma_core.sandbox.dry_run import Checked, report  # noqa: PLC0415
    from sigma_core.sandbox.suppressions import view  # noqa: PLC0415
    from sigma_core.submissions.intake import read_archive_bytes  # noqa: PLC0415
    from sigma_core.submissions.refusal import Refusal  # noqa: PLC0415
    from sigma_core.timestamps import utc_now  # noqa: PLC0415

    try:
        package = read_archive_bytes(data, name, policy)
    except Refusal as refusal:
        return _REFUSAL + orjson.dumps({"code": refusal.code, "message": refusal.message})
    facts = derive_facts(package, policy)
    document: dict[str, Any] = report(Checked(package, facts, None, view(facts, None, utc_now().date()), ()))
    return _REPORT + orjson.dumps(document)

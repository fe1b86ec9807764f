"""How ``sigma`` speaks: data on stdout, progress and errors on stderr, one shape for errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from sigma_core.errors import ExitCode, SigmaError

stdout = Console(highlight=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def printable(text: str) -> str:
    """`shown` text for `stdout` and `stderr`, which would read markup in it."""
    return escape(shown(text))


def shown(text: str) -> str:
    """Text from a package, safe for a terminal: no control, no bidirectional and no invisible character."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def fail(error: SigmaError, *, as_json: bool) -> NoReturn:
    """Print ``error`` and leave with its exit code."""
    if as_json:
        detail = error.as_json() if hasattr(error, "as_json") else {}
        print_json({"error": {"code": error.code, "message": error.message, "hint": error.hint, **detail}})
    else:
        stderr.print(f"[bold red]sigma:[/] {printable(error.message)}")
        if error.hint:
            stderr.print(f"       {printable(error.hint)}")
    raise SystemExit(int(error.exit_code))


def refuse_missing_folder(file: Path | None, option: str) -> None:
    """Before any work is done: raises SigmaError when the file that ``option`` names could not be written."""
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        rule = "is a folder; name a file" if file.is_dir() else "is in a folder that does not exist"
        raise SigmaError(f"{option} {file} {rule}", code="USAGE")


@contextmanager
def reporting(*, as_json: bool) -> Iterator[None]:
    """Turn what goes wrong into one clear message and the right exit code.

    A full disk or a missing permission can surface anywhere as OSError; nothing else is caught, so that a bug shows as one.
    """
    try:
        yield
    except SigmaError as error:
        fail(error, as_json=as_json)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        unavailable = SigmaError(f"{place}{error.strerror or error}", code="IO_ERROR")
        unavailable.exit_code = ExitCode.UNAVAILABLE
        fail(unavailable, as_json=as_json)
    except KeyboardInterrupt:
        stderr.print("sigma: interrupted; run the same command again to go on")
        raise SystemExit(130) from None

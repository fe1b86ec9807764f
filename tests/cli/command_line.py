"""``sigma`` in this process, with what it printed and its exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
HONEST = ROOT / "examples" / "changelog-writer"
HOSTILE = ROOT / "examples" / "malicious" / "workspace-cleaner"


@dataclass(frozen=True)
class Said:
    """What one command printed, and how it ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON document and nothing else."""
        return json.loads(self.stdout)

    @property
    def error(self) -> dict[str, Any]:
        """The error of a command that ran with --json; nothing else is on standard output."""
        assert set(self.json) == {"error"}
        return dict(self.json["error"])


def sigma(*arguments: str | Path) -> Said:
    """Run one command; an exception that it does not turn into a message fails the test."""
    from cli.main import app

    result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="sigma")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True)
class Audited:
    """An audit, its report, and the files that it wrote."""

    said: Said
    out: Path
    sarif: Path

    @property
    def report(self) -> dict[str, Any]:
        return dict(self.said.json)


def audit(package: Path, folder: Path) -> Audited:
    """Audit with --json and both output files."""
    out, sarif = folder / "bundle.json", folder / "facts.sarif"
    return Audited(sigma("audit", package, "--out", out, "--sarif", sarif, "--json"), out, sarif)

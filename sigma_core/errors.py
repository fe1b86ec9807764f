"""The one error that SIGMA raises on purpose, and the exit codes of the command line.

Every subclass names the thing, the place and the rule, so that any surface (CLI, API, Dagster) can print it as it stands.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``sigma`` (spec/surfaces.md)."""

    OK = 0
    NEGATIVE = 1
    USAGE = 2
    UNAVAILABLE = 3


class SigmaError(Exception):
    """A refusal or failure that a person can act on.

    ``code`` is stable and machine-readable; ``hint`` says what to do next and may be empty.
    """

    code = "SIGMA_ERROR"
    exit_code = ExitCode.USAGE

    def __init__(self, message: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Unavailable(SigmaError):
    """Something that SIGMA needs (disk, database, port, service) is not there; trying again later may help."""

    code = "UNAVAILABLE"
    exit_code = ExitCode.UNAVAILABLE

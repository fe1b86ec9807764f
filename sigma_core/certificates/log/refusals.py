"""Why a log, a note or a checkpoint is refused."""

from __future__ import annotations

from sigma_core.errors import ExitCode, SigmaError


class NoteError(SigmaError):
    """A signed note that is malformed (``NOTE_MALFORMED``), that no trusted key signed (``NOTE_UNSIGNED``), or that carries
    a trusted key's name over a bad signature (``NOTE_SIGNATURE_INVALID``)."""

    code = "NOTE_MALFORMED"
    exit_code = ExitCode.NEGATIVE


class LogError(SigmaError):
    """Files of a log that are missing (``LOG_FILE_MISSING``) or do not agree with each other or with a checkpoint
    (``LOG_CORRUPT``, ``LOG_SPLIT_VIEW``); names the file."""

    code = "LOG_CORRUPT"
    exit_code = ExitCode.NEGATIVE

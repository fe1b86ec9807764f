"""Names of the things that SIGMA records."""

from __future__ import annotations

import secrets
from datetime import datetime

import re2

from sigma_core.timestamps import epoch_milliseconds

IDENTIFIER = re2.compile(r"[A-Za-z0-9_]{1,64}")
"""Every id that SIGMA gives has this form; what has not is not looked up."""

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def new_submission_id(now: datetime) -> str:
    """``sub_`` and a ULID (48 bits of UTC milliseconds, 80 random bits), lower case: sorts by time of submission.

    Format: https://github.com/ulid/spec, in lower case. Raises ValueError for a naive date-time.
    """
    number = epoch_milliseconds(now) << 80 | secrets.randbits(80)
    return "sub_" + "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def round_id(submission_id: str, number: int) -> str:
    """``rnd_…_r2``: derived, so that nobody can choose it; it is part of the seed that draws the panels."""
    return f"rnd_{submission_id.removeprefix('sub_')}_r{number}"


def certificate_id(round_id: str) -> str:
    """``cert_…_r2``: one round can yield one certificate, so issuing again is the same certificate."""
    return f"cert_{round_id.removeprefix('rnd_')}"

"""Rounds whose votes differ: some seats' engines are made to say UNSAFE about a package that all engines pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from sigma_core.assembly.selection import Seat
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle import panels
from sigma_core.lifecycle.audits import SeatAudit, audit_seats


@contextmanager
def dissent(unsafe: int = 1) -> Iterator[None]:
    """While it lasts, the first ``unsafe`` seats of phase 1 vote UNSAFE."""

    def dissenting(of: Deployment, row: Any, seats: Sequence[Seat], **options: Any) -> Mapping[int, SeatAudit]:
        dissenters = {seat.number for seat in seats if seat.phase == 1 and seat.number <= unsafe}
        return {
            number: replace(audit, result=replace(audit.result, verdict=Verdict.UNSAFE, reason="made to dissent"))
            if number in dissenters
            else audit
            for number, audit in audit_seats(of, row, seats, **options).items()
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "audit_seats", dissenting)
        yield

"""Rounds whose votes differ: real rounds in which some seats' engines are made to say UNSAFE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from issued import decided_round

from sigma_core.assembly.selection import Seat
from sigma_core.audit.model import Verdict
from sigma_core.deployment import Deployment
from sigma_core.lifecycle import panels
from sigma_core.lifecycle.audits import SeatAudit


def split_round(deployment: Deployment, submission: str, *, unsafe: int = 1, run: str = "run-1") -> str:
    """A decided round in which the first ``unsafe`` seats of phase 1 voted against a package that all engines pass."""
    real = panels.audit_seats

    def audit_seats(of: Deployment, row: Any, seats: Sequence[Seat], **options: Any) -> Mapping[int, SeatAudit]:
        audits = real(of, row, seats, **options)
        return {
            number: replace(audit, result=replace(audit.result, verdict=Verdict.UNSAFE, reason="made to dissent"))
            if any(seat.number == number and seat.phase == 1 and number <= unsafe for seat in seats)
            else audit
            for number, audit in audits.items()
        }

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "audit_seats", audit_seats)
        return decided_round(deployment, submission, run)

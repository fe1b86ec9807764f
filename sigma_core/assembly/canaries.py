"""Canaries of a round: which seats had a file planted, what the validators said about it, and whether the package itself is one.

The choice follows from the round's seed, which covers a beacon that came after submission: no author can know it, and whoever has the
replay document makes it again. The record is published with the replay document and never before the round is decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sigma_core.assembly.commit_reveal import SeatStatus
from sigma_core.assembly.consensus import CanaryState, Vote
from sigma_core.assembly.round import PhaseRecord
from sigma_core.assembly.selection import Seat
from sigma_core.assembly.transcript import transcript_hash
from sigma_core.audit.canaries.planting import Answer, Plant, answer_of, plant_of
from sigma_core.audit.model import Verdict
from sigma_core.canonical import sha256_of
from sigma_core.policy import CanaryRules

ANSWERED = frozenset({SeatStatus.REVEALED, SeatStatus.ABSTAINED})
"""The seats whose answer about a planted file is of the record. What a seat sealed and nobody opened, or said before it was taken off
the seat, stays unknown."""


@dataclass(frozen=True, slots=True)
class PlantedCanary:
    """A file that was planted for one seat. ``verdict`` is the grounded `AuditResult.as_json` on the view that held it."""

    phase: int
    seat: int
    item: str
    path: str
    sha256: str
    verdict: Mapping[str, Any]

    @property
    def answer(self) -> Answer:
        """What the verdict says about the file."""
        return answer_of(self.verdict, self.path)

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON."""
        return {
            "phase": self.phase,
            "seat": self.seat,
            "item": self.item,
            "path": self.path,
            "sha256": self.sha256,
            "verdictHash": sha256_of(dict(self.verdict)),
            "verdict": dict(self.verdict),
        }


@dataclass(frozen=True, slots=True)
class PackageCanary:
    """The text and variant that a whole package was made of, the bank that they are of, and the label."""

    item: str
    variant: str
    bank_sha256: str
    label: Verdict


@dataclass(frozen=True, slots=True)
class CanaryRecord:
    """All that canaries were in a round. ``planted`` are those of `ANSWERED` seats, sorted by phase and seat; ``bank_sha256`` is the
    bank that those are of."""

    bank_sha256: str
    package: PackageCanary | None = None
    planted: tuple[PlantedCanary, ...] = ()

    def state(self, phases: Sequence[PhaseRecord]) -> CanaryState:
        """What consensus reads of it, given the votes."""
        return CanaryState(self.package.label if self.package else None, missed_by(self.planted, phases))

    def as_json(self, phases: Sequence[PhaseRecord]) -> dict[str, Any]:
        """The ``canary`` part of a replay document."""
        state = self.state(phases)
        return {
            "label": state.label.value if state.label else None,
            "missedBy": [{"phase": phase, "seat": seat} for phase, seat in state.missed_by],
            "bankSha256": self.bank_sha256,
            "package": {
                "item": self.package.item,
                "variant": self.package.variant,
                "bankSha256": self.package.bank_sha256,
            }
            if self.package
            else None,
            "planted": [planted.as_json() for planted in self.planted],
        }


def plant_for(seed: str, bank: str, seat: Seat, rules: CanaryRules) -> Plant | None:
    """What the round with ``seed`` plants into the view of ``seat`` from the bank of that hash, or None."""
    own = transcript_hash("sigma-canary-file-v1", seed, bank, seat.phase, seat.number, seat.validator_id)
    return plant_of(own, seat.family, rules)


def missed_by(planted: Collection[PlantedCanary], phases: Sequence[PhaseRecord]) -> tuple[tuple[int, int], ...]:
    """(phase, seat) of the SAFE votes that count and whose validator missed the file planted for it, sorted."""
    missed = {(each.phase, each.seat) for each in planted if each.answer is Answer.MISSED}
    return tuple(
        sorted(
            (record.panel.phase, seat.number)
            for record in phases
            for seat in record.panel.standing
            if (record.panel.phase, seat.number) in missed and record.ballot.votes[seat.number].vote is Vote.SAFE
        )
    )

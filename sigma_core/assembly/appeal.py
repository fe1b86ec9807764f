"""Appeals: a decided round is judged again by panels of 2n + 1 seats, in which nobody sits who had a part in it.

n is the number of seats that each panel of the appealed round had; an appeal of an appeal doubles once more. The rules
that count seats grow with the panel, each in the direction in which less is approved and less is left to one family:
quorum and the UNSAFE votes that reject are rounded up, the family cap is rounded down.

Former members are kept out as operators in conflict, which no relaxation lifts and the submission hash covers: an
operator whose validator voted in the appealed round has a stake in how the appeal ends, whichever validator it sends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sigma_core.policy import AssemblyRules


@dataclass(frozen=True, slots=True)
class Appeal:
    """Which round is appealed, how many seats each of its panels had, and the operators (sorted) of everybody who sat in it
    or in a round that it was itself an appeal of."""

    round_id: str
    seats_per_phase: int
    former_operators: tuple[str, ...]

    @classmethod
    def of(cls, round_id: str, seats_per_phase: int, operators: Iterable[str]) -> Appeal:
        """The appeal, with ``operators`` sorted and each once."""
        return cls(round_id, seats_per_phase, tuple(sorted(set(operators))))

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON, as it stands in the replay document."""
        return {
            "roundId": self.round_id,
            "seatsPerPhase": self.seats_per_phase,
            "formerOperators": list(self.former_operators),
        }


def appeal_rules(rules: AssemblyRules, appealed_seats: int) -> AssemblyRules:
    """``rules`` for panels of 2 · ``appealed_seats`` + 1 seats."""
    seats, ordinary = 2 * appealed_seats + 1, rules.seats_per_phase
    return rules.model_copy(
        update={
            "seats_per_phase": seats,
            "quorum_per_phase": -(-rules.quorum_per_phase * seats // ordinary),
            "max_seats_per_family": max(rules.max_seats_per_family * seats // ordinary, 1),
            "unsafe_votes_to_reject": -(-rules.unsafe_votes_to_reject * seats // ordinary),
            "third_panel_seats": -(-rules.third_panel_seats * seats // ordinary),
        }
    )

"""Who sits: a weighted lottery that anybody can draw again from public data.

    seed      = SHA-256(domain, round id, submission hash, weights Merkle root, beacon value)
    ticket(i) = SHA-256(domain, seed, phase, i) mod total, looked up on the prefix sums of the pool's shares

A ticket has 256 bits and a total stays below 2^83, so the remainder shifts nobody's chance by more than one part in
2^173.

Tickets are taken in order. One that lands on somebody who may not sit is passed over and the next is taken. Nobody
sits who

- had a seat in this round before, replaced or not;
- belongs to an operator in conflict: the submitter's own, or one declared when the package was submitted;
- belongs to an operator that had a seat in this round before (relaxation ``operator_twice``);
- is of a family that an earlier panel of this round used, replaced seats included (``reuse_phase_one_families``);
- is of a family that fills its cap in this panel (``family_cap``).

Relaxations come in the policy's order, each for the rest of the panel, and stand on every seat that was drawn under
them. The next one is taken when nobody is left who may sit, which is counted and costs no ticket, or after
``max_draw_attempts`` tickets. With four families, two seats each and five seats, phase 1 uses three or four of them:
phase 2 then gives its first two seats to the family that is left, if there is one, and the others under
``reuse_phase_one_families``.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from operator import attrgetter
from typing import Any

from sigma_core.assembly.transcript import add_field, transcript, transcript_hash
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.errors import ExitCode, SigmaError
from sigma_core.policy import PPM, AssemblyRules, Relaxation

_SHARE_BITS = 20


class PoolTooSmallError(SigmaError):
    """The panel has more seats than there are validators who may sit, even with every relaxation of the policy."""

    code = "POOL_TOO_SMALL"
    exit_code = ExitCode.UNAVAILABLE


def selection_seed(round_id: str, submission_hash: str, weights_merkle_root: str, beacon_value: str) -> str:
    """The seed of all of a round's panels, 64 hex digits. Hashes and beacon value as lower-case hex."""
    return transcript_hash("sigma-seed-v1", round_id, submission_hash, weights_merkle_root, beacon_value)


@dataclass(frozen=True, slots=True)
class Seat:
    """A drawn seat. ``number`` counts from 1 within its phase, replacements included; ``replaces`` is the number of the
    seat whose holder abstained or never committed; ``relaxations`` are those in force when it was drawn."""

    phase: int
    number: int
    validator_id: str
    operator: str
    family: str
    ticket_index: int
    relaxations: tuple[Relaxation, ...] = ()
    replaces: int | None = None

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON of the seat."""
        return {
            "number": self.number,
            "validatorId": self.validator_id,
            "operator": self.operator,
            "family": self.family,
            "ticketIndex": self.ticket_index,
            "relaxations": list(self.relaxations),
            "replaces": self.replaces,
        }


@dataclass(frozen=True, slots=True)
class Panel:
    """The seats of one phase so far, in the order of drawing; ``next_ticket`` is where a redraw goes on."""

    phase: int
    seats: tuple[Seat, ...] = ()
    next_ticket: int = 0
    relaxations: tuple[Relaxation, ...] = ()

    @property
    def standing(self) -> tuple[Seat, ...]:
        """The seats that no other seat replaces: those whose votes count."""
        replaced = {seat.replaces for seat in self.seats}
        return tuple(seat for seat in self.seats if seat.number not in replaced)

    @property
    def diversity_degraded(self) -> bool:
        """Whether a relaxation was needed."""
        return bool(self.relaxations)


@dataclass(frozen=True)
class Pool:
    """A weights snapshot laid out for drawing: rows with their prefix sums, and how many validators each operator has
    in each family. Made once for a snapshot and a policy, used for every round."""

    rows: tuple[WeightRow, ...]
    prefix_sums: tuple[int, ...]
    operators: Mapping[str, Mapping[str, int]]

    @classmethod
    def of(cls, snapshot: WeightsSnapshot, rules: AssemblyRules) -> Pool:
        """The pool of everybody whose weight is above zero."""
        rows, shares = [], []
        operators: dict[str, dict[str, int]] = {}
        for row, share in _shares(snapshot, rules.near_equal_weight_ppm):
            rows.append(row)
            shares.append(share)
            family = operators.setdefault(row.family, {})
            family[row.operator] = family.get(row.operator, 0) + 1
        return cls(tuple(rows), tuple(accumulate(shares)), operators)


def _shares(snapshot: WeightsSnapshot, near_equal_ppm: int) -> Iterator[tuple[WeightRow, int]]:
    """Rows in drawing order with their shares of the lottery, in units of 2^-20 weight; shares add up to weights.

    Near-equal weights are a tie, and a tie prefers reputation r: rows within ``near_equal_ppm`` of the heaviest among
    them form a band; a band keeps its total and divides it in proportion to weight · (1 + near_equal · r), the better
    reputation first, which also gets the units lost by rounding down. So nobody gains or loses more than near_equal
    of its weight.
    """
    heaviest_first = sorted((row for row in snapshot.rows if row.weight), key=attrgetter("weight"), reverse=True)
    start = 0
    while start < len(heaviest_first):
        lightest = -(-heaviest_first[start].weight * (PPM - near_equal_ppm) // PPM)
        end = start + 1
        while end < len(heaviest_first) and heaviest_first[end].weight >= lightest:
            end += 1
        band = sorted(heaviest_first[start:end], key=attrgetter("reputation_ppm"), reverse=True)
        leaning = [row.weight * (PPM * PPM + near_equal_ppm * row.reputation_ppm) for row in band]
        whole, total = sum(leaning), sum(row.weight for row in band) << _SHARE_BITS
        shares = [total * lean // whole for lean in leaning]
        shares[0] += total - sum(shares)
        yield from zip(band, shares, strict=True)
        start = end


def draw_panel(
    pool: Pool,
    seed: str,
    phase: int,
    size: int,
    rules: AssemblyRules,
    *,
    conflicts: Collection[str] = (),
    earlier: Sequence[Panel] = (),
) -> Panel:
    """A panel of ``size`` seats; ``conflicts`` are operators, ``earlier`` the panels that this round had before.

    Raises PoolTooSmallError, naming phase, seats and pool.
    """
    draw = _Draw(pool, seed, Panel(phase), vacant=(), rules=rules, conflicts=conflicts, earlier=earlier)
    panel = draw.fill(repeat(None, size))
    if len(panel.seats) < size:
        raise PoolTooSmallError(
            f"phase {phase}: {len(panel.seats)} of {size} seats can be filled from {len(pool.rows)} validators, "
            f"with {len(conflicts)} operators in conflict and {sum(len(p.seats) for p in earlier)} seats drawn before",
            hint="every relaxation of the policy was tried; more validators or operators are needed",
        )
    return panel


def redraw_seats(
    pool: Pool,
    seed: str,
    panel: Panel,
    vacant: Iterable[int],
    rules: AssemblyRules,
    *,
    conflicts: Collection[str] = (),
    earlier: Sequence[Panel] = (),
) -> Panel:
    """``panel`` with new seats for the ``vacant`` ones (numbers of standing seats), in the order of their numbers.

    Tickets go on where the panel stopped. A seat that has had ``abstain_redraws`` replacements, and one that the pool
    cannot fill, stays vacant: the quorum then decides. Raises KeyError for a number that is no standing seat.
    """
    standing = {seat.number: seat for seat in panel.standing}
    vacant = sorted(set(vacant))
    left = [number for number in vacant if _replacements(panel, standing[number]) < rules.abstain_redraws]
    draw = _Draw(pool, seed, panel, vacant=vacant, rules=rules, conflicts=conflicts, earlier=earlier)
    return draw.fill(left)


def _replacements(panel: Panel, seat: Seat) -> int:
    """How many replacements led to ``seat``."""
    count = 0
    while seat.replaces is not None:
        seat = panel.seats[seat.replaces - 1]
        count += 1
    return count


class _Draw:
    """One panel while it is being filled: who may sit under the relaxations taken so far."""

    def __init__(
        self,
        pool: Pool,
        seed: str,
        panel: Panel,
        *,
        vacant: Collection[int],
        rules: AssemblyRules,
        conflicts: Collection[str],
        earlier: Sequence[Panel],
    ) -> None:
        self.pool = pool
        self.rules = rules
        self.phase = panel.phase
        self.seats = list(panel.seats)
        self.tickets = transcript("sigma-ticket-v1", seed, panel.phase)
        self.next_ticket = panel.next_ticket
        self.tried = 0
        before = [seat for other in (*earlier, panel) for seat in other.seats]
        self.taken = {seat.validator_id for seat in before}
        self.taken_of = Counter((seat.family, seat.operator) for seat in before)
        self.in_family = Counter(seat.family for seat in panel.standing if seat.number not in vacant)
        self.conflicts = frozenset(conflicts)
        self.closed = self.conflicts.union(seat.operator for seat in before)
        self.avoided = frozenset(seat.family for other in earlier for seat in other.seats)
        self.cap = rules.max_seats_per_family
        self.relaxations: list[Relaxation] = []
        for relaxation in panel.relaxations:
            self._relax(relaxation)

    def fill(self, wanted: Iterable[int | None]) -> Panel:
        """The panel with one more seat for each of ``wanted`` (what it replaces), as far as the pool reaches."""
        for replaces in wanted:
            row = self._next_row()
            if row is None:
                break
            self._sit(row, replaces)
        return Panel(self.phase, tuple(self.seats), self.next_ticket, tuple(self.relaxations))

    def _next_row(self) -> WeightRow | None:
        """The next row that may sit, relaxing as needed; None when the relaxations are used up."""
        rows, prefix_sums = self.pool.rows, self.pool.prefix_sums
        while True:
            if self._somebody_may_sit():
                while self.tried < self.rules.max_draw_attempts:
                    ticket = self.tickets.copy()
                    add_field(ticket, self.next_ticket)
                    self.next_ticket += 1
                    self.tried += 1
                    point = int.from_bytes(ticket.digest(), "big") % prefix_sums[-1]
                    row = rows[bisect_right(prefix_sums, point)]
                    if (
                        row.validator_id not in self.taken
                        and row.operator not in self.closed
                        and row.family not in self.avoided
                        and self.in_family[row.family] < self.cap
                    ):
                        return row
            relaxation = self._next_relaxation()
            if relaxation is None:
                return None
            self._relax(relaxation)

    def _somebody_may_sit(self) -> bool:
        """Exactly whether any row of the pool may sit now, mostly by comparing two counts."""
        for family, operators in self.pool.operators.items():
            if family in self.avoided or self.in_family[family] >= self.cap:
                continue
            if len(operators) > len(self.closed) + len(self.taken):
                return True
            if any(op not in self.closed and count > self.taken_of[family, op] for op, count in operators.items()):
                return True
        return False

    def _next_relaxation(self) -> Relaxation | None:
        """The next one in the policy's order, without the one on earlier panels' families where there are none."""
        for relaxation in self.rules.relaxation_order:
            idle = relaxation == "reuse_phase_one_families" and not self.avoided
            if relaxation not in self.relaxations and not idle:
                return relaxation
        return None

    def _relax(self, relaxation: Relaxation) -> None:
        if relaxation == "reuse_phase_one_families":
            self.avoided = frozenset()
        elif relaxation == "family_cap":
            self.cap = sys.maxsize
        else:
            self.closed = self.conflicts
        self.relaxations.append(relaxation)
        self.tried = 0

    def _sit(self, row: WeightRow, replaces: int | None) -> None:
        self.seats.append(
            Seat(
                phase=self.phase,
                number=len(self.seats) + 1,
                validator_id=row.validator_id,
                operator=row.operator,
                family=row.family,
                ticket_index=self.next_ticket - 1,
                relaxations=tuple(self.relaxations),
                replaces=replaces,
            )
        )
        self.taken.add(row.validator_id)
        self.taken_of[row.family, row.operator] += 1
        self.in_family[row.family] += 1
        if "operator_twice" not in self.relaxations:
            self.closed |= {row.operator}

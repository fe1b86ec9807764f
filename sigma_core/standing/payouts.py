"""What a resolved round pays: net points at a price, out of the round's budget and the forfeits of those who were wrong.

A seat's *net* is its aligned less its misaligned points (q10, seat tax included). Above zero it is a claim, below zero a
forfeit, both at ``micro_usd_per_point``; a forfeit is at most ``seat_bond_micro_usd``. The price is per point and not per
round, so money is class-balanced as points are: while no bond and no budget binds, an uninformative strategy expects no money
either, and pays the tax (`sigma_core.standing.points`).

**Conservation.** With budget B and forfeits F, claims are paid in full while they fit into B + F, and else in proportion, floored;
whatever is left goes to the reserve. The lines of a round are double entry and sum to zero:

    −B (budget)  − F (forfeits)  + payouts  + reserve = 0,   that is   payouts + reserve = budget + forfeits

All amounts are integers in micro-USD. Nothing here moves money: lines are claims and debts that a settlement pays or collects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sigma_core.policy import PPM, Q10, MonitoringRules, PayoutRules, Policy
from sigma_core.standing.ledger import LedgerEntry, LedgerInvalid, Reason


class PayoutKind(StrEnum):
    """Whose account a line is on, and why. BUDGET and FORFEIT are paid in (negative), PAYOUT and RESERVE paid out."""

    BUDGET = "BUDGET"
    FORFEIT = "FORFEIT"
    PAYOUT = "PAYOUT"
    RESERVE = "RESERVE"
    REVERSAL = "REVERSAL"


@dataclass(frozen=True, slots=True)
class PayoutLine:
    """One line of the payout ledger. ``validator_id`` is None for the treasury's budget and reserve; ``day`` is the UTC day of the
    resolution. Equal keys are equal lines: writing one twice is once."""

    entry_key: str
    round_id: str
    validator_id: str | None
    day: int
    kind: PayoutKind
    amount_micro_usd: int
    policy_hash: str


def round_payouts(entries: Sequence[LedgerEntry], policy: Policy) -> list[PayoutLine]:
    """The lines of one resolution of one round, from its accuracy entries: budget, then seats in seat order, then reserve.

    Raises LedgerInvalid for entries of several rounds, several days, or a compensation. No entries give no lines.
    """
    if not entries:
        return []
    first = entries[0]
    for entry in entries:
        if (entry.round_id, entry.day) != (first.round_id, first.day) or entry.reason is Reason.COMPENSATION:
            raise LedgerInvalid(f"payouts of round {first.round_id}: entry {entry.entry_key} is not of this resolution")
    rules = policy.payouts
    ordered = sorted(entries, key=lambda entry: tuple(int(part) for part in entry.seat.split(".")))
    nets = [_value(entry.aligned_q10 - entry.misaligned_q10, rules) for entry in ordered]
    forfeits = [min(-net, rules.seat_bond_micro_usd) if net < 0 else 0 for net in nets]
    payouts, reserve = _paid([max(net, 0) for net in nets], rules.round_budget_micro_usd + sum(forfeits))
    resolution = first.entry_key.rpartition("/")[2]

    def line(name: str, validator_id: str | None, kind: PayoutKind, amount: int) -> PayoutLine:
        key = f"{first.round_id}/{name}/payout/{resolution}"
        return PayoutLine(key, first.round_id, validator_id, first.day, kind, amount, policy.hash)

    lines = [line("budget", None, PayoutKind.BUDGET, -rules.round_budget_micro_usd)]
    for entry, forfeit, payout in zip(ordered, forfeits, payouts, strict=True):
        if forfeit:
            lines.append(line(entry.seat, entry.validator_id, PayoutKind.FORFEIT, -forfeit))
        elif payout:
            lines.append(line(entry.seat, entry.validator_id, PayoutKind.PAYOUT, payout))
    return [*lines, line("reserve", None, PayoutKind.RESERVE, reserve)]


def reverse(lines: Iterable[PayoutLine], day: int) -> list[PayoutLine]:
    """Lines that take ``lines`` back on ``day``, amount by amount, when a truth is corrected. Money does not decay, so what
    was paid is owed back whole. Raises LedgerInvalid for a reversal, or a day before the line's own."""
    reversals = []
    for line in lines:
        if line.kind is PayoutKind.REVERSAL or day < line.day:
            raise LedgerInvalid(
                f"payout {line.entry_key} of day {line.day} cannot be reversed on day {day}"
                if day < line.day
                else f"payout {line.entry_key}: a reversal is not reversed; settle the round again"
            )
        reversals.append(
            replace(
                line,
                entry_key=f"{line.entry_key}/undo",
                day=day,
                kind=PayoutKind.REVERSAL,
                amount_micro_usd=-line.amount_micro_usd,
            )
        )
    return reversals


@dataclass(frozen=True, slots=True)
class AlarmSettlement:
    """How a monitoring alarm is paid, in micro-USD: ``payouts`` by validator, what goes to the reserve, what was forfeited."""

    payouts: dict[str, int]
    reserve: int
    forfeits: int


def settle_alarm(
    detector: str,
    majority: Sequence[str],
    *,
    confirmed: bool,
    budget: int,
    bond: int,
    rules: MonitoringRules,
) -> AlarmSettlement:
    """The settlement of a monitoring case (spec/protocol.md, Monitoring): the rule alone, which monitoring assemblies will be paid by.
    ``majority`` are the members whose vote carried it.

    Confirmed: the detector's and the confirming members' parts of the budget by the policy's split, the rest to the reserve; the
    bond stays the detector's. False alarm: the bond is forfeited, and bond and budget go to those who dismissed it in
    equal parts. What floors leave is the reserve's. Raises LedgerInvalid for an empty or repeated majority, the detector
    in it, or a negative amount.
    """
    members = sorted(majority)
    if not members or len(set(members)) != len(members) or detector in members or min(budget, bond) < 0:
        raise LedgerInvalid(
            f"monitoring case of {detector}: a majority of different members without the detector, and no negative amount"
        )
    if confirmed:
        each = budget * rules.split_confirming_ppm // PPM // len(members)
        payouts = {detector: budget * rules.split_detector_ppm // PPM, **dict.fromkeys(members, each)}
        forfeits = 0
    else:
        payouts = dict.fromkeys(members, (budget + bond) // len(members))
        forfeits = bond
    return AlarmSettlement(payouts, budget + forfeits - sum(payouts.values()), forfeits)


def _value(points_q10: int, rules: PayoutRules) -> int:
    """Micro-USD of ``points_q10``, towards zero."""
    value = abs(points_q10) * rules.micro_usd_per_point // Q10
    return value if points_q10 >= 0 else -value


def _paid(claims: Sequence[int], pot: int) -> tuple[list[int], int]:
    """What each claim gets out of ``pot``, and what is left."""
    whole = sum(claims)
    paid = list(claims) if whole <= pot else [claim * pot // whole for claim in claims]
    return paid, pot - sum(paid)

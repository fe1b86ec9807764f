"""The two ledgers' lines, and the proof that summing and decaying them never leaves 64 bits.

Points are integers in units of 2^-10 point ("q10"). For one validator, one side (aligned or misaligned) and one calendar
day, the decay of spec/protocol.md is

    A' = (A·D >> b) + s        s = sum of the day's q10,  D = decay_per_day < 2^b,  b = decay_bits

**Bit lengths.** Let K be the accuracy prior in q10 and

    L = min(2^(63−b), K·(10^6 − 2))        the state limit
    S = L − (L·D >> b)                     the limit of one day's sum

If 0 ≤ A ≤ L and s ≤ S then A' ≤ (L·D >> b) + S = L, because x·D >> b does not fall as x grows: L is never passed, whatever
the number of days. A·D ≤ L·D < 2^(63−b)·2^b = 2^63, so the product fits a signed 64-bit integer. The second term of L
keeps accuracy at 1 ppm or more: K·10^6 // (L + 2K) ≥ K·10^6 // (K·10^6) = 1. With the default policy L is 4.1·10^9 q10
and S 9.4·10^7 q10: 91,000 points a day for one validator.

Agreement of two engines proves nothing here, as both wrap alike (design/measured/protocol.md, 5); so the limits are
checked on every frame, and sums are taken where `height · largest magnitude < 2^63` has been checked first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import polars as pl

from sigma_core.errors import SigmaError
from sigma_core.policy import PPM, Q10, StandingRules

INT64_END = 1 << 63

ACCURACY_COLUMNS = {"validator_id": pl.String, "day": pl.Int64, "aligned_q10": pl.Int64, "misaligned_q10": pl.Int64}
"""What the recurrence needs of the accuracy ledger, and the schema of its daily aggregates."""

SIDES = ("aligned_q10", "misaligned_q10")


class LedgerInvalid(SigmaError):
    """A ledger, state or validator table that breaks a rule of standing; names the row and the rule."""

    code = "LEDGER_INVALID"


class Reason(StrEnum):
    """Why a seat has the points that an entry gives it."""

    ALIGNED = "ALIGNED"
    MISALIGNED = "MISALIGNED"
    ABSTAINED = "ABSTAINED"
    NO_SHOW = "NO_SHOW"
    LATE_REVEAL = "LATE_REVEAL"
    COMPENSATION = "COMPENSATION"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the accuracy ledger. ``day`` is the UTC day of scoring (days since 1970-01-01), ``seat`` is
    ``phase/number``; only a compensation has negative points. Equal keys are equal entries: writing one twice is once."""

    entry_key: str
    validator_id: str
    round_id: str
    seat: str
    day: int
    aligned_q10: int
    misaligned_q10: int
    reason: Reason
    truth_source: str
    policy_hash: str


class ReputationKind(StrEnum):
    """What moves a reputation, in the order in which one day's events apply.

    DISPUTED is a failed or disputed assembly: a no-show, or a vote on the wrong side of a decided round that was
    overturned. A COMPENSATION takes an event back when the truth that it rested on is corrected. A SANCTION holds its
    ceiling until it is lifted.
    """

    CONSTRUCTIVE = "CONSTRUCTIVE"
    LOW_QUALITY = "LOW_QUALITY"
    DISPUTED = "DISPUTED"
    ATTRIBUTABLE_ESCALATION = "ATTRIBUTABLE_ESCALATION"
    COMPENSATION = "COMPENSATION"
    SANCTION_LIFTED = "SANCTION_LIFTED"
    SANCTION = "SANCTION"


@dataclass(frozen=True, slots=True)
class ReputationEvent:
    """One line of the reputation ledger. ``detail`` of a SANCTION holds ``ceiling_ppm``, of a COMPENSATION ``change_ppm``; of others it
    is for readers. Equal keys are equal events: writing one twice is once."""

    entry_key: str
    validator_id: str
    round_id: str | None
    day: int
    kind: ReputationKind
    policy_hash: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def amount_ppm(self) -> Any:
        """The figure that a SANCTION's ceiling or a COMPENSATION's change is, unchecked; None for the other kinds."""
        name = AMOUNTS.get(self.kind.value)
        return None if name is None else self.detail.get(name)


AMOUNTS = {ReputationKind.SANCTION.value: "ceiling_ppm", ReputationKind.COMPENSATION.value: "change_ppm"}
"""What the detail of a kind calls its figure."""


def prior_q10(rules: StandingRules) -> int:
    """K, the accuracy prior on each side, in q10."""
    return rules.accuracy_prior_points * Q10


def state_limit_q10(rules: StandingRules) -> int:
    """L of the module's proof. Raises LedgerInvalid for a policy under which 64 bits do not suffice."""
    limit = min(1 << max(0, 63 - rules.decay_bits), prior_q10(rules) * (PPM - 2))
    product = limit * rules.decay_per_day
    # The whole numerator of accuracy, too, is one product.
    numerator = (limit + prior_q10(rules)) * PPM
    if rules.decay_bits > 62 or max(product, numerator) >= INT64_END or day_limit_of(limit, rules) < rules.points_q10:
        raise LedgerInvalid(
            f"policy: decay_per_day {rules.decay_per_day} with decay_bits {rules.decay_bits} and a prior of "
            f"{rules.accuracy_prior_points} points leaves no room in 64 bits"
        )
    return limit


def day_limit_of(limit: int, rules: StandingRules) -> int:
    """S of the module's proof for a state limit L."""
    return limit - (limit * rules.decay_per_day >> rules.decay_bits)


def day_limit_q10(rules: StandingRules) -> int:
    """S: the largest sum of points that one validator may earn on one side in one day."""
    return day_limit_of(state_limit_q10(rules), rules)


def decayed_q10(points: int, days: int, rules: StandingRules) -> int:
    """What is left of ``points`` ≥ 0 after ``days`` steps. Floor steps do not compose: it is one step for each day."""
    for _ in range(days):
        if points == 0:
            break
        points = points * rules.decay_per_day >> rules.decay_bits
    return points

"""What an operator may decide beside a round's outcome, as far as the round's own record shows it.

**To REJECTED**: whatever did not end so. **To APPROVED**: only an escalation that nothing but split votes caused: no risk signal or
missing fact ever approves, and neither does a missed quorum, a canary, or a reason that is not known to be harmless.
"""

from __future__ import annotations

from collections.abc import Iterable

from sigma_core.assembly.consensus import RoundOutcome
from sigma_core.sandbox.facts import FactsDocument

OF_VOTES_ALONE = frozenset({"SPLIT_VOTE", "THIRD_PANEL_SPLIT"})
"""Reasons of an escalation that may be overridden to APPROVED; every other reason, known or not, stands."""


def refusal_of_rejection(ended: RoundOutcome) -> str | None:
    """Why a round that ``ended`` so is not overridden to REJECTED; None where it may be."""
    return "is rejected already" if ended is RoundOutcome.REJECTED else None


def refusal_of_approval(ended: RoundOutcome, reasons: Iterable[str], facts: FactsDocument) -> str | None:
    """Why a round that ``ended`` so, for ``reasons`` (codes) and on ``facts``, is not overridden to APPROVED; None where it may be."""
    if ended is not RoundOutcome.ESCALATED:
        return f"ended {ended}: only an escalation is overridden to APPROVED"
    codes = set(reasons)
    against = codes - OF_VOTES_ALONE
    against |= {str(signal.get("kind")) for signal in facts.blocking_signals}
    if not facts.complete:
        against.add("FACTS_INCOMPLETE")
    if against or not codes:
        return (
            f"was escalated for {', '.join(sorted(against)) or 'no reason on record'}: "
            "no risk signal or missing fact ever approves; only a split vote is overridden to APPROVED"
        )
    return None

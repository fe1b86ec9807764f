"""From votes and facts to an outcome: one total function that does not depend on the order of votes.

The first rule that applies decides:

| # | votes | facts | outcome |
| --- | --- | --- | --- |
| 1 | quorum missed in a phase | any | ESCALATED, with rejection if there is a risk signal |
| 2 | all UNSAFE | any | REJECTED, scored |
| 3 | at least ``unsafe_votes_to_reject`` UNSAFE | any | REJECTED, scored |
| 4 | any | risk signal, or a SAFE vote that missed its canary | ESCALATED with rejection |
| 5 | any | incomplete | ESCALATED |
| 6 | any | the package is a canary | ESCALATED: a canary never becomes a certificate |
| 7 | all SAFE | none of the above | APPROVED, scored |
| 8 | one dissent, and a third panel that is unanimous | none of the above | as the third panel says, scored |
| 9 | split | none of the above | ESCALATED; votes are kept and scored when the case is resolved |

"All" means all votes cast (SAFE or UNSAFE) in both phases, each of which met its quorum. No majority of SAFE ever
certifies. A canary's label is the truth whatever was decided, so a canary's votes are always scored.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sigma_core.audit.model import Verdict
from sigma_core.policy import AssemblyRules
from sigma_core.sandbox.facts import SignalKind


class Vote(StrEnum):
    """What a seat contributed. ABSTAIN and NO_SHOW count neither as SAFE nor towards the quorum."""

    SAFE = "SAFE"
    UNSAFE = "UNSAFE"
    ABSTAIN = "ABSTAIN"
    NO_SHOW = "NO_SHOW"


class RoundOutcome(StrEnum):
    """How a round ends."""

    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    ESCALATED = "ESCALATED"


class TruthSource(StrEnum):
    """Where the truth about a package comes from, the strongest first; operator and third panel are equals (spec/protocol.md, Standing)."""

    CANARY_LABEL = "CANARY_LABEL"
    MONITORING = "MONITORING"
    OPERATOR = "OPERATOR"
    THIRD_PANEL = "THIRD_PANEL"
    UNANIMOUS = "UNANIMOUS"
    UNSAFE_SUPERMAJORITY = "UNSAFE_SUPERMAJORITY"

    def may_correct(self, other: TruthSource) -> bool:
        """Whether a truth from here may take the place of one from ``other``: it is at least as strong."""
        order = list(TruthSource)
        equals = {TruthSource.THIRD_PANEL: TruthSource.OPERATOR}
        return order.index(equals.get(self, self)) <= order.index(equals.get(other, other))


@dataclass(frozen=True, slots=True)
class CanaryState:
    """``label`` is the truth about a package that is itself a canary, else None; ``missed_by`` are the (phase, seat) of
    SAFE votes that missed a canary file planted for them."""

    label: Verdict | None = None
    missed_by: tuple[tuple[int, int], ...] = ()


NO_CANARY = CanaryState()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: a stable code, a sentence for people, and what it rests on (plain JSON)."""

    code: str
    message: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """``{code, message, detail}``."""
        return {"code": self.code, "message": self.message, "detail": dict(self.detail)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round decided.

    ``with_rejection``: an escalation that already turns the package away. ``scored``: ``truth`` is known, so the
    votes are scored now. ``third_panel_eligible``: a third panel may resolve this split. Reasons are sorted by code;
    they name everything that stood against approval, not only what decided.
    """

    outcome: RoundOutcome
    with_rejection: bool
    scored: bool
    truth: Verdict | None
    truth_source: TruthSource | None
    third_panel_eligible: bool
    reasons: tuple[Reason, ...]

    def as_json(self) -> dict[str, Any]:
        """camelCase JSON, the hashed form."""
        return {
            "outcome": self.outcome.value,
            "withRejection": self.with_rejection,
            "scored": self.scored,
            "truth": self.truth.value if self.truth else None,
            "truthSource": self.truth_source.value if self.truth_source else None,
            "thirdPanelEligible": self.third_panel_eligible,
            "reasons": [reason.as_json() for reason in self.reasons],
        }


def decide(
    phase_one: Iterable[Vote],
    phase_two: Iterable[Vote],
    *,
    signals: Collection[Mapping[str, Any]],
    coverage_complete: bool,
    rules: AssemblyRules,
    canary: CanaryState = NO_CANARY,
    third_panel: Iterable[Vote] = (),
) -> Outcome:
    """The outcome of a round from the votes of its standing seats.

    ``signals`` are the facts' blocking signals ``{kind, ruleId, reason, file, line}``; each is a risk signal, whether
    its kind is known or not. ``third_panel`` is empty unless one sat.
    """
    first, second, third = Counter(phase_one), Counter(phase_two), Counter(third_panel)
    safe, unsafe = first[Vote.SAFE] + second[Vote.SAFE], first[Vote.UNSAFE] + second[Vote.UNSAFE]
    quorum_met = all(panel[Vote.SAFE] + panel[Vote.UNSAFE] >= rules.quorum_per_phase for panel in (first, second))
    risks = _risks(signals, canary, safe)
    obstacles = [*risks]
    if not quorum_met:
        obstacles.append(_quorum_missed(first, second, rules))
    if not coverage_complete:
        obstacles.append(Reason("FACTS_INCOMPLETE", "The sandbox could not account for every part of the package."))
    if canary.label is not None:
        obstacles.append(Reason("CANARY_PACKAGE", "The package is a canary, which is never certified."))
    one_dissent = unsafe == 1 < safe
    may_resolve = rules.third_panel and one_dissent and not obstacles
    if third and not may_resolve:
        obstacles.append(Reason("THIRD_PANEL_OUT_OF_ORDER", "A third panel voted where the policy allows none."))

    def ended(
        outcome: RoundOutcome,
        why: Reason | None = None,
        truth: Verdict | None = None,
        source: TruthSource | None = None,
        *,
        eligible: bool = False,
    ) -> Outcome:
        if canary.label is not None:
            truth, source = canary.label, TruthSource.CANARY_LABEL
        return Outcome(
            outcome=outcome,
            with_rejection=outcome is RoundOutcome.ESCALATED and bool(risks),
            scored=truth is not None,
            truth=truth,
            truth_source=source,
            third_panel_eligible=eligible,
            reasons=tuple(sorted([*obstacles, why] if why else obstacles, key=lambda reason: reason.code)),
        )

    votes = {"safe": safe, "unsafe": unsafe}
    if not quorum_met:
        return ended(RoundOutcome.ESCALATED)
    if not safe:
        why = Reason("ALL_UNSAFE", f"All {unsafe} votes are UNSAFE.", votes)
        return ended(RoundOutcome.REJECTED, why, Verdict.UNSAFE, TruthSource.UNANIMOUS)
    if unsafe >= rules.unsafe_votes_to_reject:
        why = Reason("UNSAFE_SUPERMAJORITY", f"{unsafe} of {safe + unsafe} votes are UNSAFE.", votes)
        return ended(RoundOutcome.REJECTED, why, Verdict.UNSAFE, TruthSource.UNSAFE_SUPERMAJORITY)
    split = Reason("SPLIT_VOTE", f"{safe} votes are SAFE, {unsafe} UNSAFE.", votes)
    if obstacles:
        return ended(RoundOutcome.ESCALATED, split if unsafe else None)
    if not unsafe:
        why = Reason("ALL_SAFE", f"All {safe} votes are SAFE, the facts are complete and show no blocking risk.", votes)
        return ended(RoundOutcome.APPROVED, why, Verdict.SAFE, TruthSource.UNANIMOUS)
    if may_resolve and third:
        if third == Counter({Vote.SAFE: rules.third_panel_seats}):
            why = Reason("THIRD_PANEL_SAFE", "One vote dissented; a third panel was unanimous for SAFE.", votes)
            return ended(RoundOutcome.APPROVED, why, Verdict.SAFE, TruthSource.THIRD_PANEL)
        if third == Counter({Vote.UNSAFE: rules.third_panel_seats}):
            why = Reason("THIRD_PANEL_UNSAFE", "One vote dissented; a third panel was unanimous for UNSAFE.", votes)
            return ended(RoundOutcome.REJECTED, why, Verdict.UNSAFE, TruthSource.THIRD_PANEL)
        return ended(RoundOutcome.ESCALATED, Reason("THIRD_PANEL_SPLIT", "The third panel was not unanimous.", votes))
    return ended(RoundOutcome.ESCALATED, split, eligible=may_resolve)


def _risks(signals: Collection[Mapping[str, Any]], canary: CanaryState, safe: int) -> list[Reason]:
    """One reason for each kind of risk signal; its detail lists the signals in canonical order."""
    risks = []
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for signal in signals:
        by_kind.setdefault(str(signal.get("kind", "UNKNOWN")), []).append(dict(signal))
    missed_package = canary.label is Verdict.UNSAFE and safe > 0
    if canary.missed_by or missed_package:
        missed = {
            "kind": SignalKind.MISSED_CANARY.value,
            "reason": f"{safe} SAFE votes on a canary" if missed_package else "SAFE votes missed a planted canary",
            "seats": [{"phase": phase, "seat": seat} for phase, seat in sorted(canary.missed_by)],
        }
        by_kind.setdefault(SignalKind.MISSED_CANARY.value, []).append(missed)
    for kind, found in by_kind.items():
        message = _RISK_MESSAGES.get(kind, "The facts carry a blocking signal.")
        risks.append(Reason(kind, message, {"signals": sorted(found, key=_order)}))
    return risks


_RISK_MESSAGES = {
    SignalKind.TAMPER.value: "The package was tampered with.",
    SignalKind.BLOCKING_MISMATCH.value: "The package does what it does not declare.",
    SignalKind.STRONG_INJECTION.value: "The package gives hidden or hostile instructions to agents or reviewers.",
    SignalKind.HARD_FAILURE.value: "A rule that no package may break is broken.",
    SignalKind.MISSED_CANARY.value: "Votes on the SAFE side missed a canary.",
}


def _order(signal: Mapping[str, Any]) -> str:
    # Not `canonical_json`, which refuses what is not canonical: `decide` must be total.
    return json.dumps(signal, sort_keys=True, default=str)


def _quorum_missed(first: Counter[Vote], second: Counter[Vote], rules: AssemblyRules) -> Reason:
    tallies = [
        {"phase": phase, **{vote.value: panel[vote] for vote in Vote}} for phase, panel in ((1, first), (2, second))
    ]
    return Reason(
        "QUORUM_MISSED",
        f"A phase has fewer than {rules.quorum_per_phase} votes that say SAFE or UNSAFE.",
        {"quorumPerPhase": rules.quorum_per_phase, "tallies": tallies},
    )

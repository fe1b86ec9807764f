"""The one decision that a dry run takes from facts alone. A round decides by votes and facts together, in assembly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from sigma_core.sandbox.facts import FactKind, Rank

_PLAIN = frozenset({FactKind.CAPABILITY, FactKind.DECLARED})


class Decision(StrEnum):
    """What facts alone amount to. ``refused`` is intake's word for a package that never got to facts."""

    ALLOW = "allow"
    WARN = "warn"
    BLOCK = "block"
    REFUSED = "refused"


def findings(facts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The JSON facts that weigh: asked for or done (context ``use``), and more than a plain capability or declaration."""
    return [fact for fact in facts if fact["context"] == "use" and fact["kind"] not in _PLAIN]


def decide(document: Mapping[str, Any]) -> Decision:
    """The decision for a facts document: ``block`` where a signal blocks; ``warn`` where a finding of MEDIUM or more is
    retained, or coverage is incomplete; else ``allow``."""
    if document["risk"]["blockingSignals"]:
        return Decision.BLOCK
    if not document["coverage"]["complete"]:
        return Decision.WARN
    worst = max((Rank[fact["severity"]] for fact in findings(document["facts"])), default=Rank.INFO)
    return Decision.WARN if worst >= Rank.MEDIUM else Decision.ALLOW


def rule_ids(document: Mapping[str, Any]) -> list[str]:
    """The rules behind the decision, each once: those that block, sorted, then those of all other findings, sorted."""
    blocking = {signal["ruleId"] for signal in document["risk"]["blockingSignals"]}
    return sorted(blocking) + sorted({fact["ruleId"] for fact in findings(document["facts"])} - blocking)

"""The rules' patterns on a stretch of a layer: as prose, whose wrapped lines are joined, or as it stands."""

from __future__ import annotations

import itertools

import re2

from sigma_core.sandbox.confusables import QUOTES, SPACES
from sigma_core.sandbox.facts import FactKind, Severity
from sigma_core.sandbox.readings import MAX_SUBJECT
from sigma_core.sandbox.scan import LayerScan
from sigma_core.sandbox.sentences import sentences_of
from sigma_core.sandbox.use_or_mention import ALL_QUOTES, PLAIN_QUOTES, code_context, prose_context

_SPREADABLE = frozenset(
    {
        "SIGMA-INJ-003",
        "SIGMA-INJ-005",
        "SIGMA-INJ-006",
        "SIGMA-INJ-013",
        "SIGMA-INJ-014",
        "SIGMA-INJ-020",
        "SIGMA-INJ-021",
    }
)
_SENTENCES = frozenset(
    {
        "SIGMA-INJ-001",
        "SIGMA-INJ-002",
        "SIGMA-INJ-003",
        "SIGMA-INJ-004",
        "SIGMA-INJ-008",
        "SIGMA-INJ-009",
        "SIGMA-INJ-010",
        "SIGMA-INJ-011",
        "SIGMA-INJ-021",
    }
)
"""Rules whose match is a whole order in words."""
_BLOCK_BREAK = re2.compile(r"\n[ \t>]*(?:[-*+]\s|\d+[.)]\s|\||$)")
_STRONG = frozenset({Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL})
SPACED = str.maketrans("\n\r\t", "   ") | SPACES | QUOTES
"""Line ends as blanks, since a sentence goes on over them; blanks, apostrophes and hyphens of other kinds as the ASCII ones. Places stay."""


def read_prose(
    at: LayerScan, offset: int, text: str, surface: str, cautionary: bool, *, directed: bool = False
) -> None:
    """Prose rules on a paragraph whose wrapped lines are joined; list items and table rows stay apart."""
    at.scan.meter.spend(len(text))
    breaks = [match.start() for match in _BLOCK_BREAK.finditer(text)]
    flat = text.translate(SPACED)
    if breaks:
        edges = itertools.pairwise([-1, *breaks, len(flat)])
        flat = "\n".join(flat[before + 1 : after] for before, after in edges)
    for rule, start, end in at.matches(surface, flat):
        # Commands and addresses stand in backticks wherever they are meant; a sentence in backticks is shown.
        quotes = ALL_QUOTES if rule.id in _SENTENCES else PLAIN_QUOTES
        context = prose_context(flat, start, end, cautionary and not directed, quotes=quotes)
        at.report(
            rule.id, flat[start:end][:MAX_SUBJECT], offset + start, offset + end, "use" if at.layer.hidden else context
        )
    if len(breaks) > 1 and surface == "prose":
        read_spread_prose(at, offset, text, cautionary)


def read_spread_prose(at: LayerScan, offset: int, text: str, cautionary: bool) -> None:
    """Instructions that one list, table or colon spreads over lines are one instruction."""
    whole = text.translate(SPACED)
    for rule, start, end in at.matches("prose", whole):
        if rule.id in _SPREADABLE and "\n" in text[start:end]:
            context = "use" if at.layer.hidden else prose_context(whole, start, end, cautionary)
            at.report(rule.id, whole[start:end][:MAX_SUBJECT], offset + start, offset + end, context)


def read_patterns(
    at: LayerScan, surface: str, offset: int, text: str, cautionary: bool, *, only: frozenset[str] = frozenset()
) -> None:
    """The rules of ``surface`` (of the categories ``only`` where some are given) on a stretch of the layer as it stands."""
    at.scan.meter.spend(len(text))
    for rule, start, end in at.matches(surface, text):
        if only and rule.category not in only:
            continue
        line_start = max(text.rfind("\n", 0, start) + 1, start - 300)
        context = "use" if at.layer.hidden else code_context(text[line_start:start], cautionary)
        at.report(rule.id, text[start:end][:MAX_SUBJECT], offset + start, offset + end, context)


UNSEEN_ORDER = "SIGMA-ORDER-017"
"""The rule of orders in text that readers do not see."""


def injects(at: LayerScan, text: str) -> bool:
    """Whether ``text``, which is not part of the layer as it stands, holds a strong order to an agent."""
    at.scan.meter.spend(len(text))
    asked = at.scan.rules.frames.read(list(sentences_of(text, 0, False, unseen=True)))
    # What nobody is shown shows nothing: there an order is an order, however it is put.
    if any(
        order.rule_id == UNSEEN_ORDER
        or (order.context != "mention" and at.scan.rules[order.rule_id].severity in _STRONG)
        for order in asked
    ):
        return True
    flat = text.translate(SPACED)
    return any(
        rule.kind is FactKind.INJECTION
        and rule.severity in _STRONG
        and prose_context(flat, start, end, False) != "mention"
        for rule, start, end in at.scan.rules.possible(text).matches("prose", flat)
    )

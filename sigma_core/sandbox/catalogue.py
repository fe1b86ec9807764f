"""The rule catalogue: every rule as JSON, and the page ``docs/rules.md``, generated from the rules themselves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sigma_core.sandbox.rules import Example, Rule, RuleBook
from sigma_core.sandbox.taxonomies import name_of

MAX_SAMPLE_CHARACTERS = 600

_INTRODUCTION = """\
# Rules of the sandbox

Generated from the rule packs in `sigma_core/sandbox/rules` by `sigma rules --page`; a test keeps it so.

A rule reports a *fact*. Where the text or code asks or does, the fact is in *use*; where it quotes, warns or tests, it is a *mention*, and a mention
never blocks. **Blocks** names the signal that one use of the rule raises: with one, no votes can certify the package. **Weight** is the rule's points
in the risk score. Every rule is mapped to the OWASP Agentic Skills Top 10 and to MITRE ATLAS. Samples are small files that the tests put into a package of their own; what is
invisible in them is written as `\\u{…}`.
"""


def rule_json(rule: Rule) -> dict[str, Any]:
    """``{id, title, kind, category, severity, confidencePpm, weight, blocks, owasp, atlas, rationale, fix, surfaces[], positive[], negative[]}``."""
    return {
        "id": rule.id,
        "title": rule.title,
        "kind": rule.kind.value,
        "category": rule.category,
        "severity": rule.severity.value,
        "confidencePpm": rule.confidence_ppm,
        "weight": rule.weight,
        "blocks": rule.blocks.value if rule.blocks else None,
        "owasp": {"id": rule.owasp, "name": name_of(rule.owasp)},
        "atlas": {"id": rule.atlas, "name": name_of(rule.atlas)},
        "rationale": rule.rationale,
        "fix": rule.fix,
        "surfaces": sorted(rule.surfaces),
        "positive": [{"path": example.path, "text": example.text} for example in rule.positive],
        "negative": [{"path": example.path, "text": example.text} for example in rule.negative],
    }


def find_rules(book: RuleBook, words: Iterable[str] = ()) -> list[Rule]:
    """The rules, by id, in which every one of ``words`` occurs: in id, title, kind, category, severity, signal or mapping."""
    wanted = [word.lower() for word in words]
    return [rule for rule in _by_id(book) if all(word in _about(rule) for word in wanted)]


def _by_id(book: RuleBook) -> list[Rule]:
    return sorted(book.rules.values(), key=lambda rule: rule.id)


def _about(rule: Rule) -> str:
    texts = (rule.id, rule.title, rule.kind, rule.category, rule.severity, rule.blocks or "", rule.owasp, rule.atlas)
    return " ".join(texts).lower()


def page(book: RuleBook) -> str:
    """The catalogue as Markdown: an overview table, then each rule. A pure function of the rules."""
    rules = _by_id(book)
    families = groupby(rules, key=lambda rule: rule.id.rpartition("-")[0])
    blocking = sum(1 for rule in rules if rule.blocks)
    parts = [_INTRODUCTION, f"{len(rules)} rules, {blocking} of which block.\n", _overview(rules)]
    for family, members in families:
        parts.append(f"## {family}\n")
        parts += [_section(rule) for rule in members]
    return "\n".join(parts)


def _overview(rules: list[Rule]) -> str:
    lines = ["| rule | title | severity | blocks | OWASP | ATLAS |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| [{rule.id}](#{rule.id.lower()}) | {_cell(rule.title)} | {rule.severity} | {rule.blocks or ''} | {rule.owasp} | {rule.atlas} |"
        for rule in rules
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _section(rule: Rule) -> str:
    blocks = f"blocks as {rule.blocks}" if rule.blocks else "does not block by itself"
    lines = [
        f"### {rule.id}",
        "",
        f"**{rule.title}.** {rule.severity}, {blocks}, weight {rule.weight}, confidence {rule.confidence_ppm // 10_000} %; "
        f"{rule.kind}, {rule.category}. {rule.owasp} {name_of(rule.owasp)}; {rule.atlas} {name_of(rule.atlas)}.",
        "",
        f"*Why.* {rule.rationale}",
        "",
        f"*Fix.* {rule.fix}",
        "",
    ]
    for label, examples in (("Reported", rule.positive), ("Not reported", rule.negative)):
        if examples:
            lines += [f"{label}:", "", *_sample(examples[0]), ""]
    return "\n".join(lines)


def _sample(example: Example) -> list[str]:
    """A fence around the sample that nothing in it closes; a long one is cut."""
    text = visible(example.text[:MAX_SAMPLE_CHARACTERS]) + ("…" if len(example.text) > MAX_SAMPLE_CHARACTERS else "")
    fence = "`" * max(3, 1 + max((len(run) for run in _runs_of_backticks(text)), default=0))
    encoding = " (UTF-16)" if example.utf16 else ""
    return [
        f"{fence}text",
        f"{visible(example.path)}{encoding}",
        *(f"  {line}".rstrip() for line in text.split("\n")),
        fence,
    ]


def _runs_of_backticks(text: str) -> list[str]:
    return ["".join(run) for sign, run in groupby(text) if sign == "`"]


def visible(text: str) -> str:
    """``text`` with what a reader cannot see written as ``\\u{…}``; line breaks and tabs stay."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else f"\\u{{{ord(sign):x}}}" for sign in text)

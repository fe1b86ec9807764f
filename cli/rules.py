"""``sigma rules``: the rules of the sandbox, listed, or one of them told in full."""

from __future__ import annotations

import textwrap

from rich.text import Text

from cli.output import stdout
from cli.render import SEVERITY_STYLE
from sigma_core.errors import SigmaError
from sigma_core.sandbox.catalogue import find_rules, visible
from sigma_core.sandbox.rules import Example, Rule, RuleBook
from sigma_core.sandbox.taxonomies import name_of

MAX_SAMPLE_LINES = 12


def chosen_rules(book: RuleBook, words: list[str]) -> list[Rule]:
    """The rule that ``words`` name by its whole id, else those in which all of them occur. Raises SigmaError for none."""
    if len(words) == 1 and words[0].upper() in book.rules:
        return [book[words[0].upper()]]
    rules = find_rules(book, words)
    if not rules:
        raise SigmaError(
            f"no rule has {' and '.join(words)!r} in it", code="RULE_UNKNOWN", hint="`sigma rules` lists all"
        )
    return rules


def print_rules(rules: list[Rule]) -> None:
    """One rule in full, several as a line each."""
    if len(rules) == 1:
        _print_rule(rules[0])
        return
    for rule in rules:
        style = "bold red" if rule.blocks else SEVERITY_STYLE[rule.severity.value]
        line = Text(f"{rule.id:<17} ")
        line.append(f"{'BLOCKS' if rule.blocks else rule.severity.value:<8}", style=style)
        line.append(f"  {rule.title}")
        stdout.print(line)


def _print_rule(rule: Rule) -> None:
    stdout.print(Text(f"{rule.id}  {rule.title}", style="bold"))
    blocks = f"blocks as {rule.blocks}" if rule.blocks else "does not block by itself"
    for label, text in (
        ("", f"{rule.severity}, {blocks}, weight {rule.weight}, confidence {rule.confidence_ppm // 10_000} %"),
        ("", f"{rule.owasp} {name_of(rule.owasp)}; {rule.atlas} {name_of(rule.atlas)}"),
        ("Why  ", rule.rationale),
        ("Fix  ", rule.fix),
    ):
        for line in textwrap.wrap(label + text, 80, initial_indent="  ", subsequent_indent="  " + " " * len(label)):
            stdout.print(Text(line))
    for label, examples in (("Reported", rule.positive), ("Not reported", rule.negative)):
        for example in examples[:2]:
            _print_sample(label, example)


def _print_sample(label: str, example: Example) -> None:
    stdout.print(Text(f"\n  {label}: {visible(example.path)}{' (UTF-16)' if example.utf16 else ''}", style="bold"))
    lines = visible(example.text).replace("\t", "    ").split("\n")
    for line in lines[:MAX_SAMPLE_LINES]:
        stdout.print(Text(f"    {line[:200]}", style="dim"))
    if len(lines) > MAX_SAMPLE_LINES:
        stdout.print(Text(f"    … {len(lines) - MAX_SAMPLE_LINES} more lines", style="dim"))

"""The readable report of ``sigma validate``: verdict first, then what blocks and warns, what it can do, declares and hides.

`lines_of` is pure and fits any width; everything that comes from a package passes through `shown`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from rich.text import Text

from cli.output import shown, stdout
from cli.render import LIMITS, SEVERITY_STYLE
from sigma_core.sandbox.decision import Decision, findings
from sigma_core.sandbox.dry_run import Checked
from sigma_core.sandbox.facts import Rank
from sigma_core.sandbox.rules import Rule, load_rules
from sigma_core.submissions.package import ProductType

Line = tuple[str, str]
"""A style and a line of text."""

MAX_RULES = 8
"""Rules that are told in full; those after them get a line each, at most `MAX_MORE`."""
MAX_MORE = 12
MAX_PLACES = 3
MAX_NAMES = 6
MIN_WIDTH, MAX_WIDTH = 60, 110

DECISION_STYLE = {Decision.BLOCK: "bold red", Decision.WARN: "bold yellow", Decision.ALLOW: "bold green"}
_KINDS = {ProductType.SKILL: "skill", ProductType.API: "API", ProductType.SKILL_API: "skill and API"}


def print_dry_run(checked: Checked) -> None:
    """The report on stdout, as wide as the terminal, 80 columns where there is none."""
    width = min(max(stdout.width, MIN_WIDTH), MAX_WIDTH) if stdout.is_terminal else 80
    for style, line in lines_of(checked, width):
        stdout.print(Text(line, style=style))


def lines_of(checked: Checked, width: int) -> Iterator[Line]:
    """The report's lines, none longer than ``width`` but for hashes and places that are to be copied whole."""
    yield from _verdict(checked, width)
    yield from _threats(checked, width)
    yield from _surface(checked, width)
    yield from _coverage(checked, width)
    yield from _suppressed(checked, width)
    yield from _evidence(checked, width)
    yield "", ""
    yield "dim", f"  facts  {checked.facts.sha256}"
    yield "dim", f"  tree   {checked.package.tree_hash}"
    yield "", ""
    yield from _wrapped(f"A dry run: no panel has looked at it and nothing was recorded. {LIMITS}", width, "", "dim")


def _wrapped(text: str, width: int, indent: str, style: str = "", *, label: str = "") -> Iterator[Line]:
    """``text`` cut into lines; ``label`` stands before the first and its room before the others."""
    lines = textwrap.wrap(
        f"{label}{text}",
        width,
        initial_indent=indent,
        subsequent_indent=indent + " " * len(label),
        break_on_hyphens=False,
        break_long_words=True,
    )
    return ((style, line) for line in lines)


def _one_line(text: str) -> str:
    return shown(" ".join(text.split()))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _named(count: int, singular: str, plural: str = "") -> str:
    return f"{count} {singular if count == 1 else plural or singular + 's'}"


def _heading(text: str) -> Iterator[Line]:
    yield "", ""
    yield "bold", text


# Verdict


def _verdict(checked: Checked, width: int) -> Iterator[Line]:
    package, decision = checked.package, checked.view.decision
    risk = checked.view.document["risk"]
    name = shown(
        f"{package.manifest.get('name') or package.source_name} {package.manifest.get('version') or ''}".strip()
    )
    yield DECISION_STYLE[decision], _cut(f"{decision.value.upper()}  {name}: {_sentence(checked)}", width)
    said = f"{_KINDS[package.product_type]}, {_named(len(package.files), 'file')}, {_size(package.total_bytes)}; "
    said += f"risk {risk['sandboxRiskLevel']}, security {risk['securityLevel']}, "
    said += f"coverage {'complete' if checked.facts.complete else 'INCOMPLETE'}"
    yield from _wrapped(said, width, "  ")
    if checked.view.decision is not checked.view.decision_without:
        yield from _wrapped(f"Without suppressions: {checked.view.decision_without.value}.", width, "  ", "yellow")
    for note in package.intake_notes:
        yield from _wrapped(shown(note), width, "  ", "dim")


def _sentence(checked: Checked) -> str:
    document = checked.view.document
    signals = document["risk"]["blockingSignals"]
    if signals:
        rules = len({signal["ruleId"] for signal in signals})
        return f"{_named(rules, 'rule')} would block a certificate"
    retained = [fact for fact in findings(document["facts"]) if Rank[fact["severity"]] >= Rank.MEDIUM]
    if checked.view.decision is Decision.WARN:
        unread = "" if checked.facts.complete else "not everything could be inspected"
        warned = f"{_named(len(retained), 'finding')} to look at" if retained else ""
        return " and ".join(filter(None, (unread, warned)))
    return "nothing that blocks or warns"


def _size(count: int) -> str:
    return f"{count:,} bytes" if count < 10_000 else f"{count // 1_000:,} kB"


# Threats


def _threats(checked: Checked, width: int) -> Iterator[Line]:
    """Findings by rule, those that block first, then worst first; the last ones in a line each."""
    document = checked.view.document
    told = [fact for fact in findings(document["facts"]) if fact["severity"] != "INFO"]
    if not told:
        return
    blocking = {signal["ruleId"] for signal in document["risk"]["blockingSignals"]}
    groups = _by_rule(told)
    groups.sort(key=lambda group: (group[0] not in blocking, -Rank[group[1][0]["severity"]], group[0]))
    yield from _heading(f"What was found: {_named(len(told), 'finding')} of {_named(len(groups), 'rule')}")
    full = [group for group in groups if group[0] in blocking or Rank[group[1][0]["severity"]] >= Rank.MEDIUM][
        :MAX_RULES
    ]
    rest = [group for group in groups if group not in full]
    book = load_rules()
    for rule_id, facts in full:
        yield from _rule(book[rule_id], facts, rule_id in blocking, width)
    if rest:
        yield "", ""
    for _, facts in rest[:MAX_MORE]:
        first, more = facts[0], f" and {len(facts) - 1} more" if len(facts) > 1 else ""
        place = f"{_place(first)}{more}"
        title = _cut(shown(first["title"]), max(20, width - 13 - len(place)))
        yield SEVERITY_STYLE[first["severity"]], _cut(f"  {first['severity']:<8} {title}  {place}", width)
    if len(rest) > MAX_MORE:
        yield "dim", f"  … {_named(len(rest) - MAX_MORE, 'more rule')} (--json or --sarif has all)"


def _by_rule(facts: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    ordered = sorted(facts, key=lambda fact: fact["ruleId"])
    return [(rule_id, list(group)) for rule_id, group in groupby(ordered, key=lambda fact: str(fact["ruleId"]))]


def _rule(rule: Rule, facts: Sequence[Mapping[str, Any]], blocks: bool, width: int) -> Iterator[Line]:
    word = "BLOCKS" if blocks else facts[0]["severity"]
    style = "bold red" if blocks else SEVERITY_STYLE[facts[0]["severity"]]
    yield "", ""
    title = textwrap.wrap(shown(rule.title), max(20, width - 13 - len(rule.id)))
    yield style, f"  {word:<8} {title[0]}  {rule.id}"
    for line in title[1:]:
        yield style, f"{'':11}{line}"
    for fact in facts[:MAX_PLACES]:
        subject = f"  {shown(fact['subject'])}" if fact["subject"] else ""
        yield "", _cut(f"    {_place(fact)}{_layer(fact)}{subject}", width)
        excerpt = _one_line(fact["excerpt"])
        if excerpt and excerpt != fact["subject"]:
            yield "dim", _cut(f"      │ {excerpt}", width)
    if len(facts) > MAX_PLACES:
        yield "dim", f"    … {_named(len(facts) - MAX_PLACES, 'more place')}"
    yield from _wrapped(rule.rationale, width, "    ", label="Why  ")
    yield from _wrapped(rule.fix, width, "    ", label="Fix  ")


def _place(fact: Mapping[str, Any]) -> str:
    return f"{shown(fact['file'])}:{fact['lineStart']}" if fact["file"] else "the package"


def _layer(fact: Mapping[str, Any]) -> str:
    return f" in {shown(fact['layer'])}" if fact["layer"] else ""


# What it can do, says, and does not say


def _surface(checked: Checked, width: int) -> Iterator[Line]:
    facts = checked.view.document["facts"]
    done: dict[str, dict[str, str]] = {}
    for fact in facts:
        if fact["kind"] == "capability" and fact["category"] != "coverage" and fact["context"] == "use":
            ability, _, thing = fact["subject"].partition(": ")
            done.setdefault(ability, {}).setdefault(shown(thing) if thing not in {"", "?", "*"} else "", _place(fact))
    yield from _heading("What it can do")
    if not done:
        yield "", "  No use of code, commands, files or the network was seen."
    for ability in sorted(done):
        yield from _listed(ability.replace("_", " "), _things(done[ability]), width)
    yield from _heading("What it declares")
    yield from _declared(checked, width)
    mismatches = [fact for fact in findings(facts) if fact["kind"] == "mismatch"]
    yield from _heading("What does not match")
    if not mismatches:
        yield "", "  Nothing: what it does, it says."
    for rule_id, group in _by_rule(mismatches):
        things = {shown(fact["subject"]): _place(fact) for fact in reversed(group)}
        yield from _wrapped(f"{load_rules()[rule_id].title}: {_joined(_things(things))}", width, "  ")


def _things(seen: Mapping[str, str]) -> list[str]:
    """What was seen and where first; where nothing is named, the place alone."""
    named = [f"{_cut(thing, 60)} ({place})" for thing, place in sorted(seen.items()) if thing]
    return named or [place for _, place in sorted(seen.items())]


def _joined(things: Sequence[str]) -> str:
    more = f", and {len(things) - MAX_NAMES} more" if len(things) > MAX_NAMES else ""
    return ", ".join(islice(things, MAX_NAMES)) + more


def _listed(label: str, things: Sequence[str], width: int) -> Iterator[Line]:
    return _wrapped(_joined(things), width, "  ", label=f"{_cut(label, 19):<20}")


def _declared(checked: Checked, width: int) -> Iterator[Line]:
    declared = checked.view.document["declared"]
    said = {
        "description": [_one_line(declared["description"])] if checked.package.manifest.get("description") else [],
        **{key: [] if said is None else [_one_line(str(said))] for key, said in sorted(declared["safety"].items())},
        "capabilities": [shown(text) for text in declared["capabilities"]],
        "allowed tools": [shown(text) for text in declared["allowedTools"]],
        "external calls": [shown(call["url"]) for call in declared["externalCalls"]],
        "endpoints": [shown(f"{end.get('method', '')} {end.get('path', '')}".strip()) for end in declared["endpoints"]],
        "hosts named": [shown(host) for host in declared["hosts"]],
    }
    if not any(said.values()):
        yield "", "  Nothing."
    for label, things in said.items():
        if things:
            yield from _listed(label, [_cut(thing, 300) for thing in things], width)


# Coverage, suppressions, evidence


def _coverage(checked: Checked, width: int) -> Iterator[Line]:
    coverage = checked.facts.document["coverage"]
    files = coverage["files"]
    read = sum(1 for file in files if file["status"] == "READ")
    layers = sum(file["layers"] for file in files)
    yield from _heading("What was looked at")
    yield "", f"  {read} of {_named(len(files), 'file')} in full, {_named(layers, 'layer')}"
    opaque = [file for file in files if file["status"] == "READ" and file["reason"]]
    if opaque:
        listed = _joined([f"{shown(file['path'])} ({file['kind']})" for file in opaque])
        yield from _wrapped(listed, width, "  ", label="As bytes only: ")
    for incident in coverage["incidents"][:MAX_MORE]:
        place = shown(incident["file"]) or "the package"
        yield from _wrapped(
            f"{place}: {incident['analyser']}: {incident['reason']}", width, "  ", "yellow", label="NOT READ IN FULL  "
        )
    if len(coverage["incidents"]) > MAX_MORE:
        yield "yellow", f"  … {len(coverage['incidents']) - MAX_MORE} more"


def _suppressed(checked: Checked, width: int) -> Iterator[Line]:
    if checked.suppressions is None:
        return
    seen = checked.view
    yield from _heading(f"Suppressed: {_named(len(seen.suppressed), 'finding')}")
    for fact, entry in seen.suppressed[:MAX_MORE]:
        yield from _wrapped(f"{fact['ruleId']} {_place(fact)}  {shown(fact['title'])}", width, "  ")
        said = f"until {entry.expires.isoformat()}, {shown(entry.owner)}: {shown(entry.reason)}"
        yield from _wrapped(said, width, "    ", "dim")
    if len(seen.suppressed) > MAX_MORE:
        yield "dim", f"  … {len(seen.suppressed) - MAX_MORE} more"
    for entry in seen.expired:
        said = f"entry {entry.number} ({entry.rule}) expired on {entry.expires.isoformat()}: it no longer applies"
        yield from _wrapped(said, width, "  ", "yellow")
    yield "dim", f"  file   {checked.suppressions.sha256}"


def _evidence(checked: Checked, width: int) -> Iterator[Line]:
    if not checked.evidence:
        return
    yield from _heading("Evidence from others (it changes no decision)")
    for evidence in checked.evidence:
        count = _named(len(evidence.findings), "finding")
        yield "", _cut(f"  {shown(evidence.tool)}: {count}  {evidence.source[:20]}…", width)
        for finding in evidence.findings[:MAX_NAMES]:
            place = f"{shown(finding.file)}:{finding.line_start}" if finding.file else "the package"
            style = SEVERITY_STYLE[finding.severity.value]
            yield (
                style,
                _cut(
                    f"    {finding.severity.value:<8} {place}  {shown(finding.title)}  {shown(finding.rule_id)}", width
                ),
            )
        if len(evidence.findings) > MAX_NAMES:
            yield "dim", f"    … {len(evidence.findings) - MAX_NAMES} more"
        for incident in evidence.incidents:
            yield from _wrapped(shown(incident), width, "    ", "yellow")

"""Commands that start by themselves, held against what they and the scripts that they start were seen to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.facts import FactKind, Location, Severity
from sigma_core.sandbox.observations import SENDABLE, Ability, Capability, Flow, Sink, Source
from sigma_core.sandbox.readings import Finding, Reading, Seen
from sigma_core.sandbox.rules import RuleBook
from sigma_core.sandbox.started_commands import StartedCommand, Trigger, started_commands
from sigma_core.sandbox.text_places import TextPlaces

MAX_SCRIPTS = 8
"""Scripts of the package that one command is followed into."""
UNREADABLE_LINE = 1_500
"""Characters of a line that nobody reads, where it is most of a program."""
_WORD = re2.compile(r"[\w@$.{}/\\-]+")
_VARIABLE = re2.compile(r"^\"?\$\{?\w+\}?/")
_SERIOUS = frozenset({Severity.HIGH.value, Severity.CRITICAL.value})
_THREATS = frozenset({FactKind.THREAT, FactKind.INJECTION, FactKind.OBFUSCATION})
_ACTING_ABILITIES = {
    Ability.PERSISTENCE: "installs something that starts later",
    Ability.AGENT_CONFIG: "changes what steers an agent",
    Ability.CLIPBOARD: "reads the clipboard",
}


def judge_started(
    declared: DeclaredSurface, readings: Mapping[str, Reading], places: Mapping[str, TextPlaces], rules: RuleBook
) -> Iterator[Finding]:
    """One finding for each command that starts unasked: a threat where it, or a script that it starts, reaches out or takes something."""
    for path in sorted(places):
        for command in started_commands(path, places[path].text):
            if not command.trigger.unasked:
                continue
            place = places[path].at("", "", command.start, command.end).location
            deed = _deed(declared, readings, rules, path, command, place)
            rule = _threat_rule(command.trigger) if deed else "SIGMA-SUPPLY-021"
            subject = f"{command.trigger.value}: {deed or command.text}"
            yield places[path].at(rule, subject, command.start, command.end)


def _threat_rule(trigger: Trigger) -> str:
    return "SIGMA-SUPPLY-001" if trigger is Trigger.INSTALL else "SIGMA-SUPPLY-011"


def judge_starting_files(
    declared: DeclaredSurface, readings: Mapping[str, Reading], places: Mapping[str, TextPlaces], rules: RuleBook
) -> Iterator[Finding]:
    """A threat where a file that runs as a whole, unasked, reaches out or takes something."""
    for path in sorted(places):
        trigger = _whole_file_trigger(path)
        if trigger is None:
            continue
        deed = _deed_of(declared, rules, readings[path].findings, readings[path].seen, path, trigger)
        if deed:
            yield places[path].of(_threat_rule(trigger), f"{path}: {deed}", "")
        elif trigger is Trigger.AGENT and _is_one_line(places[path].text):
            yield places[path].at("SIGMA-SUPPLY-045", path, 0, min(len(places[path].text), UNREADABLE_LINE))


def _is_one_line(text: str) -> bool:
    longest = max(map(len, text.split("\n")))
    return longest > UNREADABLE_LINE and 2 * longest > len(text)


def _whole_file_trigger(path: str) -> Trigger | None:
    """What runs a file by its name alone: installers a setup.py, OpenClaw the handler of a hook."""
    folder, _, name = path.lower().rpartition("/")
    if name == "setup.py":
        return Trigger.INSTALL
    handler = name in {"handler.js", "handler.mjs", "handler.cjs", "handler.ts"} and "hooks/" in f"{folder}/"
    return Trigger.AGENT if handler else None


def _deed(
    declared: DeclaredSurface,
    readings: Mapping[str, Reading],
    rules: RuleBook,
    path: str,
    command: StartedCommand,
    place: Location,
) -> str:
    """What the command does that nobody should have done unasked, in words; empty for nothing."""
    own = f"{command.trigger.value}@{place.byte_start}/"
    reading = readings[path]
    deed = _deed_of(
        declared,
        rules,
        [finding for finding in reading.findings if _inside(finding, own, command)],
        [seen for seen in reading.seen if _inside(seen, own, command)],
        path,
        command.trigger,
    )
    if deed:
        return deed
    for script in _scripts(readings, path, command.text):
        deed = _deed_of(declared, rules, readings[script].findings, readings[script].seen, script, command.trigger)
        if deed:
            return f"{script}: {deed}"
    return ""


def _inside(entry: Finding | Seen, own: str, command: StartedCommand) -> bool:
    """Whether an entry was found in this command's layer, or in the file itself where the whole file is the command."""
    layer = entry.location.layer
    whole = not layer and command.trigger in {Trigger.GIT, Trigger.ENTERING}
    return entry.context == "use" and (whole or f"{layer}/".find(own) >= 0)


def _scripts(readings: Mapping[str, Reading], path: str, command: str) -> list[str]:
    """Files of the package that the command names: from the folder of its file, from the root, or behind a variable for either."""
    folder = path.rpartition("/")[0]
    found: list[str] = []
    for match in _WORD.finditer(command[:4_000]):
        word = _VARIABLE.sub("", match.group()).replace("\\", "/").removeprefix("./").strip("/")
        for candidate in (
            f"{folder}/{word}" if folder else word,
            word,
            f"{word}.js",
            f"{folder}/{word}.js",
            f"{word}/index.js",
        ):
            if candidate in readings and candidate != path and candidate not in found:
                found.append(candidate)
    return found[:MAX_SCRIPTS]


def _deed_of(
    declared: DeclaredSurface,
    rules: RuleBook,
    findings: list[Finding],
    seen: list[Seen],
    path: str,
    trigger: Trigger,
) -> str:
    for finding in findings:
        rule = rules[finding.rule_id]
        if finding.context == "use" and rule.severity in _SERIOUS and rule.kind in _THREATS:
            return rule.title.lower()
    for entry in seen:
        if entry.context != "use":
            continue
        what = entry.what
        deed = (
            _flow_deed(declared, what, path)
            if isinstance(what, Flow)
            else _capability_deed(declared, what, path, trigger)
        )
        if deed:
            return deed
    return ""


def _flow_deed(declared: DeclaredSurface, flow: Flow, path: str) -> str:
    if flow.sink is Sink.EXECUTE and flow.source is Source.REMOTE:
        host = _host(flow.origin)
        return "" if host and declared.trusts(host, path) else f"runs what {host or 'an address'} hands out"
    if flow.sink is Sink.EXECUTE and flow.source is Source.DECODED:
        return "runs decoded text"
    if flow.sink in {Sink.SEND, Sink.SEND_HEADER} and flow.source in SENDABLE:
        host = _host(flow.target)
        return (
            ""
            if host and declared.trusts(host, path)
            else f"sends {flow.origin or flow.source.value} to {host or 'an address'}"
        )
    return ""


def _capability_deed(declared: DeclaredSurface, capability: Capability, path: str, trigger: Trigger) -> str:
    if capability.ability is Ability.NETWORK:
        host = _host(capability.subject)
        return f"contacts {host}, which no document names" if host and not declared.trusts(host, path) else ""
    if capability.ability is Ability.SECRET_READ and not capability.subject.startswith(".env"):
        return f"reads {capability.subject}"
    if trigger is Trigger.INSTALL:
        return _ACTING_ABILITIES.get(capability.ability, "")
    return ""


def _host(text: str) -> str:
    """The host of a URL or of a bare destination; empty where it is not known."""
    urls = vocabulary.urls_in(text)
    host = urls[0][3] if urls else text.split("/", 1)[0].split(":", 1)[0].lower()
    return host if "." in host and not host.startswith(("$", "{", ".")) else ""

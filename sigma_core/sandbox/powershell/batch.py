"""Batch files: variables, carets and commands, line by line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import re2

from sigma_core.sandbox.observations import Capability, Embedded, Flow, Hit, Observations
from sigma_core.sandbox.powershell.script import Script

_BATCH = re2.compile(
    r"(?im)^[ \t]*@?(?:echo[ \t]+off|setlocal|rem[ \t]|set[ \t]+[\"/]?\w+=|goto[ \t]|if[ \t]+(?:not[ \t]+)?(?:exist|errorlevel)[ \t]|for[ \t]+/f|::)"
)
_SET = re2.compile(r"(?i)^\s*@?set\s+\"?(\w+)=([^\"\r\n]*)\"?\s*$")
_USE = re2.compile(r"%(\w+)(?::~(-?\d+),?(-?\d+)?)?%|!(\w+)!")
_HEAD = re2.compile(r"(?i)^\s*@?(?:call\s+|start\s+(?:\"[^\"]*\"\s+)?(?:/\w+\s+)*)?")
_LINE = re2.compile(r"\n")
_HOME = {"userprofile": "~", "appdata": "~\\AppData\\Roaming", "localappdata": "~\\AppData\\Local", "homepath": "~"}
MAX_VALUE = 8_192
"""Characters that a batch variable holds: cmd.exe's own bound."""


def looks_like_batch(source: str) -> bool:
    """Whether a text is a batch file rather than PowerShell."""
    return bool(_BATCH.search(source[:20_000]))


def read_batch(script: Script, source: str, read_lines: Callable[[str], Observations]) -> None:
    """Read a batch file: each line with its variables put in, as the PowerShell command line that it nearly is."""
    variables: dict[str, str] = dict(_HOME)
    lines: list[str] = []
    for line in source.split("\n"):
        plain = line.replace("^", "")
        found = _SET.search(plain)
        filled = _fill(script, plain, variables)
        if found:
            variables[found.group(1).lower()] = _fill(script, found.group(2), variables)[:MAX_VALUE]
            lines.append("")
        elif filled.strip().lower().startswith(("rem ", "::", "@echo off")):
            lines.append("")
        else:
            command = _HEAD.sub("", filled, count=1).rstrip("\r").replace(" & ", " ; ")
            lines.append(f"& {command}" if command.startswith(("$", "~", '"')) else command)
    text = "\n".join(lines)
    _report(script, read_lines(text), source, text)


def _fill(script: Script, line: str, variables: dict[str, str]) -> str:
    if "%" not in line and "!" not in line:
        return line

    def value(match: Any) -> str:
        name = (match.group(1) or match.group(4)).lower()
        text = variables.get(name)
        if text is None:
            return f"$env:{name}"
        if match.group(2) is not None:
            text = text[int(match.group(2)) :]
            text = text[: int(match.group(3))] if match.group(3) else text
        if script.work_left < len(text):
            script.out.bound("text built at run time")
            return ""
        script.work_left -= len(text)
        return text

    return str(_USE.sub(value, line))


def _report(script: Script, observed: Observations, source: str, filled: str) -> None:
    """The observations of the filled lines, each at its line of the file."""
    starts, of_filled = ([0, *(match.end() for match in _LINE.finditer(text))] for text in (source, filled))

    def span(what: Capability | Flow | Hit | Embedded) -> tuple[int, int]:
        number = bisect_right(of_filled, what.start) - 1
        return starts[number], starts[number + 1] - 1 if number + 1 < len(starts) else len(source)

    for capability in observed.capabilities:
        script.can(capability.ability, capability.subject, span(capability))
    for flow in observed.flows:
        script.flow(frozenset({(flow.source, flow.origin)}), flow.sink, flow.target, span(flow))
    for hit in observed.hits:
        script.hit(hit.rule_id, hit.subject, span(hit))
    for embedded in observed.embedded:
        script.embed(embedded.step, embedded.language, embedded.text, span(embedded))
    for bound in observed.bounds:
        script.out.bound(bound)

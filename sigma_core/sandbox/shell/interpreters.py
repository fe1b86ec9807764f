"""Interpreters: code that is given inline, piped in, substituted or named as a file."""

from __future__ import annotations

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import Ability, Sink, Source, join, only
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.values import Call, Stream, is_literal
from sigma_core.sandbox.vocabulary import name_set

_SHELLS = name_set("sh bash zsh ksh dash ash fish eval source .")
_SWITCHERS = name_set("su runuser script")
"""Programs that hand a command line to a shell with ``-c``, and are no interpreters otherwise."""
_JAVASCRIPT = name_set("node deno bun")
_FETCHING = name_set("deno bun")
"""Interpreters that fetch the program that an address names (``deno run https://…``)."""
_STARTING = frozenset({"run", "x", "serve"})
_POWERSHELL = name_set("pwsh powershell")
INTERPRETERS = (
    _SHELLS
    | _SWITCHERS
    | _JAVASCRIPT
    | _POWERSHELL
    | name_set("python python2 python3 perl ruby php osascript lua tclsh iex")
)
_CODE_OPTIONS = name_set("-c -e -r --eval -p --print -E -Command -command --command")
_ATTACHED = name_set("perl ruby lua")
"""Interpreters whose ``-e`` may have its code in the same word."""
_LEAST_CODE = 12
_STANDARD_INPUT = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_FOREIGN = (Source.REMOTE, Source.DECODED)
_SHELL_SCRIPT = re2.compile(r'do shell script "((?:[^"\\]|\\.)*)"')


def interpret(script: Script, call: Call) -> Stream | None:
    """A call of an interpreter, ``eval`` or ``source``."""
    name, flags, node = call.name, call.texts, call.node
    code_at = _code_at(name, flags)
    if name in _SWITCHERS and code_at is None:
        return None
    script.can(Ability.DYNAMIC_CODE if name == "eval" else Ability.PROCESS, name, node)
    language = _language(name)
    if name == "eval":
        script.flow(only(call.labels, *_FOREIGN), Sink.EXECUTE, name, node)
        text = " ".join(flags)
        if text and "$()" not in text:
            script.embed("evaluated", "shell", text, node)
        return Stream()
    if code_at is not None:
        code = call.arguments[code_at]
        script.flow(only(code.labels, *_FOREIGN), Sink.EXECUTE, name, node)
        if code.text and code.text != "$()":
            script.embed("command", language, code.text, node)
            for match in _SHELL_SCRIPT.finditer(code.text) if name == "osascript" else ():
                script.embed("command", "shell", match.group(1).replace("\\", ""), node)
        if language not in {"shell", "text"} and is_literal(call.stdin):
            # What a program makes of a text that stands in the script could stand there itself.
            return Stream(frozenset({(Source.DECODED, name)}))
        # Data piped into inline code is input, not code.
        return Stream(only(call.stdin.labels, Source.SECRET_FILE, Source.ENVIRONMENT, Source.REMOTE))
    joined = next((flag for flag in flags if name in _ATTACHED and flag[:2] == "-e" and len(flag) > _LEAST_CODE), "")
    if joined:
        script.embed("command", language, joined[2:], node)
        return Stream()
    if name in _POWERSHELL and flags:
        script.embed("command", "powershell", " ".join([name, *flags]), node)
    from_input = language == "shell" and "-s" in flags
    program = next((word for word in call.operands if word not in _STARTING), "") if name in _FETCHING else ""
    if vocabulary.urls_in(program):
        script.can(Ability.NETWORK, program, node)
        script.flow(frozenset({(Source.REMOTE, program)}), Sink.EXECUTE, name, node)
        return Stream()
    file = next((word for word in call.arguments if not word.text.startswith("-")), None)
    if file is not None and file.text not in _STANDARD_INPUT and not from_input:
        labels = join(file.labels, script.origin_of(file.text))
        script.flow(only(labels, *_FOREIGN), Sink.EXECUTE, f"{name} {file.text}", node)
        return Stream()
    if (
        file is None
        and name in {"python", "python3", "node", "php", "osascript"}
        and any(flag in {"--version", "-V", "-v", "-m"} for flag in flags)
    ):
        return Stream()
    script.flow(only(call.stdin.labels, *_FOREIGN), Sink.EXECUTE, name, node)
    if call.stdin.text:
        decoded = any(source is Source.DECODED for source, _ in call.stdin.labels)
        script.embed("decoded" if decoded else "piped", language, call.stdin.text, node)
    return Stream()


def _code_at(name: str, flags: list[str]) -> int | None:
    """The number of the argument that is code."""
    for at, flag in enumerate(flags[:-1]):
        cluster = flag.startswith("-") and not flag.startswith("--") and flag.isascii() and flag[1:].isalpha()
        if flag in _CODE_OPTIONS and not (flag == "-p" and name not in _JAVASCRIPT):
            return at + 1
        if (
            cluster
            and len(flag) <= 5
            and (
                (flag.endswith("c") and (name in _SHELLS or name.startswith("python")))
                or (flag.endswith("e") and name in {"perl", "ruby"})
            )
        ):
            return at + 1
    return None


def _language(name: str) -> str:
    if name.startswith("python"):
        return "python"
    if name in _JAVASCRIPT:
        return "javascript"
    if name in _POWERSHELL:
        return "powershell"
    if name in _SHELLS or name in _SWITCHERS:
        return "shell"
    return name if name in {"perl", "php", "ruby", "lua"} else "text"

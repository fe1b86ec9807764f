"""Commands that show or change the machine itself: environment, host facts, clipboard, screen, timers, services, hooks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable

import re2

from sigma_core.sandbox.observations import Ability, Sink, Source, join, only
from sigma_core.sandbox.shell.script import PIPE, Script
from sigma_core.sandbox.shell.values import Call, Stream, Word
from sigma_core.sandbox.vocabulary import name_set

_FIXED_ACCOUNT = re2.compile(r"(?i)^(?:gh|lp):[a-z0-9](?:[a-z0-9-]{1,38}[a-z0-9])$")
_TO_FILL_IN = re2.compile(r"(?i)^..:(?:your|my|user|name|example|github|account)")
_MAX_ALIAS = 32
_CAPTURES = name_set("screencapture scrot arecord grim imagesnap gnome-screenshot spectacle")


def _environment(script: Script, call: Call) -> Stream | None:
    if call.operands:
        return None
    script.can(Ability.ENVIRONMENT, "*", call.node)
    quiet = call.name in {"set", "export", "declare", "typeset"} and call.texts and call.texts != ["-p"]
    return Stream() if quiet else Stream(frozenset({(Source.ENVIRONMENT, call.name)}))


def _completions(script: Script, call: Call) -> Stream | None:
    """``compgen -e`` lists the environment."""
    if not {"-e", "-v"} & set(call.texts):
        return None
    script.can(Ability.ENVIRONMENT, "*", call.node)
    return Stream(frozenset({(Source.ENVIRONMENT, "compgen")}))


def _host_facts(_script: Script, call: Call) -> Stream:
    return Stream(frozenset({(Source.HOST_DATA, call.name)}))


def _personal(script: Script, call: Call) -> Stream:
    script.can(Ability.CLIPBOARD, call.name, call.node)
    seen = frozenset({(Source.PERSONAL, call.name)})
    if call.name in _CAPTURES and call.operands:
        script.written[call.operands[-1]] = seen
    return Stream(seen)


def _history(script: Script, call: Call) -> Stream | None:
    if call.texts and not call.texts[0].lstrip("-").isdigit() and call.name == "history":
        return None
    script.can(Ability.SECRET_READ, "shell history", call.node)
    return Stream(frozenset({(Source.SECRET_FILE, "shell history")}))


def _read(script: Script, call: Call) -> Stream:
    """``read name``: the variables take the input."""
    for name in call.operands or ["REPLY"]:
        if name.isidentifier() and call.stdin.labels:
            script.variables[name] = Word(f"${name}", join(call.stdin.labels))
    return Stream()


def _trap(script: Script, call: Call) -> Stream | None:
    if call.operands and " " in call.operands[0]:
        script.embed("command", "shell", call.operands[0], call.node)
    for given in call.arguments[:1]:
        script.flow(only(given.labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, "trap", call.node)
    return Stream()


def _later(script: Script, call: Call) -> Stream | None:
    """``at`` and ``batch`` run their input later."""
    if not call.stdin.text or not (call.texts or call.name == "batch"):
        return None
    script.can(Ability.PERSISTENCE, call.name, call.node)
    script.hit("SIGMA-THREAT-006", call.name, call.node)
    script.embed("crontab", "shell", call.stdin.text, call.node)
    return Stream()


def _alias(script: Script, call: Call) -> Stream:
    """``alias name='commands'``: run when the name is typed."""
    for text in call.texts:
        name, equals, commands = text.partition("=")
        if equals and commands.split():
            script.aliases[name] = [Word(piece) for piece in commands.split()[:_MAX_ALIAS]]
        if equals and " " in commands:
            script.embed("command", "shell", commands, call.node)
    return Stream()


def _named_pipe(script: Script, call: Call) -> Stream:
    for path in call.operands:
        script.written[path] = frozenset({(Source.REMOTE, PIPE + path)})
    return Stream()


def _defaults(script: Script, call: Call) -> Stream | None:
    if call.texts[:1] == ["write"] and any(text in {"LoginHook", "LogoutHook"} for text in call.texts):
        script.can(Ability.PERSISTENCE, "LoginHook", call.node)
        script.hit("SIGMA-THREAT-006", "LoginHook", call.node)
        return Stream()
    return None


def _container(script: Script, call: Call) -> Stream | None:
    """A container that gets the machine's root folder."""
    mounts = [
        value for text, value in zip(call.texts, [*call.texts[1:], ""], strict=True) if text in {"-v", "--volume"}
    ] + [text.partition("=")[2] for text in call.texts if text.startswith(("--volume=", "-v="))]
    if any(mount.startswith("/:") for mount in mounts):
        script.hit("SIGMA-THREAT-036", f"{call.name} -v /:", call.node)
    return None


def _crontab(script: Script, call: Call) -> None:
    script.can(Ability.PERSISTENCE, "crontab", call.node)
    if "-l" not in call.texts and "-h" not in call.texts:
        script.hit("SIGMA-THREAT-006", "crontab", call.node)
        text = call.stdin.text or next((script.contents[path] for path in call.operands if path in script.contents), "")
        if text:
            script.embed("crontab", "shell", text, call.node)


def _service(script: Script, call: Call) -> None:
    if any(text in {"load", "bootstrap", "enable", "submit", "/create"} for text in call.texts) or any(
        text.startswith(("--on-calendar", "--on-active", "--on-boot", "--on-unit")) for text in call.texts
    ):
        script.can(Ability.PERSISTENCE, call.name, call.node)
        script.hit("SIGMA-THREAT-016", call.name, call.node)


def _imported_keys(script: Script, call: Call) -> Stream | None:
    """``ssh-import-id gh:name``: whoever has that account may log in."""
    account = next((text for text in call.operands if _FIXED_ACCOUNT.search(text) and not _TO_FILL_IN.search(text)), "")
    if account:
        script.can(Ability.PERSISTENCE, "authorized_keys", call.node)
        script.hit("SIGMA-THREAT-044", f"{call.name} {account}", call.node)
    return None


def git_setting(script: Script, call: Call) -> None:
    """``git config``: settings that make git run something."""
    everywhere = bool({"--global", "--system"} & set(call.texts))
    if everywhere:
        script.can(Ability.FILE_WRITE, "~/.gitconfig", call.node)
    operands = call.operands[1:]
    if len(operands) < 2:
        return
    key, value = operands[0].lower(), operands[1]
    if key == "core.hookspath":
        script.can(Ability.PERSISTENCE, "core.hooksPath", call.node)
        script.hit("SIGMA-THREAT-006" if everywhere else "SIGMA-THREAT-016", "core.hooksPath", call.node)
        script.flow(only(script.origin_of(value), Source.REMOTE), Sink.EXECUTE, "core.hooksPath", call.node)
    elif value.startswith("!"):
        script.embed("command", "shell", value[1:], call.node)
    elif key in {"core.fsmonitor", "core.sshcommand", "core.pager", "core.editor", "sequence.editor"} or key.startswith(
        "filter."
    ):
        script.embed("command", "shell", value, call.node)


def _container_start(script: Script, call: Call) -> Stream | None:
    """``CMD ["bash", "-c", "…"]`` of a container's build file."""
    try:
        words = json.loads(script.text(call.node).partition(" ")[2])
    except (ValueError, RecursionError):
        return None
    if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
        script.embed("command", "shell", shlex.join(words[:_MAX_ALIAS]), call.node)
        return Stream()
    return None


MACHINE: dict[str, Callable[[Script, Call], Stream | None]] = {
    **dict.fromkeys(name_set("env printenv export set declare typeset"), _environment),
    **dict.fromkeys(name_set("hostname whoami id ifconfig ipconfig system_profiler systeminfo"), _host_facts),
    **dict.fromkeys(name_set("pbpaste xclip xsel wl-paste") | _CAPTURES, _personal),
    **dict.fromkeys(name_set("docker podman nerdctl"), _container),
    **dict.fromkeys(name_set("read mapfile readarray"), _read),
    **dict.fromkeys(name_set("history fc"), _history),
    **dict.fromkeys(name_set("at batch"), _later),
    **dict.fromkeys(name_set("ssh-import-id ssh-import-id-gh ssh-import-id-lp"), _imported_keys),
    "compgen": _completions,
    "mkfifo": _named_pipe,
    **dict.fromkeys(("cmd", "entrypoint"), _container_start),
    "trap": _trap,
    "alias": _alias,
    "defaults": _defaults,
}
REGISTRATIONS: dict[str, Callable[[Script, Call], None]] = {
    "crontab": _crontab,
    **dict.fromkeys(name_set("launchctl systemctl systemd-run schtasks update-rc.d chkconfig"), _service),
}

"""Commands on files, the registry, timers, services, stored credentials and the clipboard."""

from __future__ import annotations

from collections.abc import Callable

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, Ability, Source, join
from sigma_core.sandbox.powershell.call import Call
from sigma_core.sandbox.powershell.script import Script
from sigma_core.sandbox.shell.values import Word, path_labels
from sigma_core.sandbox.vocabulary import name_set

_VITAL = frozenset({"~", "c:", "c:/users", "c:/windows", "~/documents", "~/desktop", "$env:systemdrive", "/", ""})


def _read(script: Script, call: Call) -> Word:
    path = call.option("-path", "-literalpath") or call.first
    secret = join(path.labels, path_labels(path.text.replace("\\", "/")))
    script.can(Ability.SECRET_READ if secret else Ability.FILE_READ, path.text[:200] or "?", call.span)
    return Word(
        "",
        join(secret, script.origin(path.text), NO_LABELS if secret else frozenset({(Source.FILE, path.text or "?")})),
    )


def _list(script: Script, call: Call) -> Word:
    path = (call.option("-path") or call.first).text
    if path.lower().rstrip("\\/").rstrip(":") == "env":
        script.can(Ability.ENVIRONMENT, "*", call.span)
        return Word("", frozenset({(Source.ENVIRONMENT, "env:")}))
    labels = path_labels(path.replace("\\", "/"))
    return Word(path, labels)


def _write(script: Script, call: Call) -> Word:
    path = call.option("-path", "-filepath", "-literalpath")
    value = call.option("-value")
    if path is None:
        path = call.operands[0] if call.operands else Word("")
        if value is None and len(call.operands) > 1:
            value = call.operands[1]
    content = value if value is not None else call.stdin
    script.write(path.text, Word(content.text, join(content.labels, call.stdin.labels)), call.span)
    return Word("")


def _copy(script: Script, call: Call) -> Word:
    source = call.option("-path") or call.first
    target = call.option("-destination") or (call.operands[-1] if call.operands else Word(""))
    held = join(source.labels, path_labels(source.text.replace("\\", "/")), script.origin(source.text))
    script.write(target.text, Word("", held), call.span)
    return Word("")


def _remove(script: Script, call: Call) -> Word:
    paths = [word.text for word in call.operands] + [word.text for word in (call.option("-path"),) if word is not None]
    script.can(Ability.FILE_WRITE, " ".join(paths)[:80], call.span)
    lowered = {text.lower() for text in call.texts}
    everything = bool({"-recurse", "-r", "/s", "-rec"} & lowered)
    vital = any(path.lower().replace("\\", "/").rstrip("*").rstrip("/") in _VITAL for path in paths if path)
    if everything and vital:
        script.hit("SIGMA-THREAT-010", f"{call.name} {' '.join(paths)}"[:80], call.span)
    return Word("")


def _setting(script: Script, call: Call) -> Word:
    """Registry values and services that start programs."""
    text = " ".join(call.texts)
    place = vocabulary.autostart_place(text) or ("winlogon" if "winlogon" in text.lower() else "")
    if place:
        script.can(Ability.PERSISTENCE, place, call.span)
        script.hit("SIGMA-THREAT-044", place, call.span)
    else:
        script.can(Ability.PROCESS, call.name, call.span)
    return Word("")


def _register(script: Script, call: Call) -> Word:
    """Scheduled tasks and services."""
    lowered = [text.lower() for text in call.texts]
    if call.name in {"schtasks", "sc"} and not {"/create", "create"} & set(lowered):
        script.can(Ability.PROCESS, call.name, call.span)
        return Word("")
    script.can(Ability.PERSISTENCE, call.name, call.span)
    script.hit("SIGMA-THREAT-006", call.name, call.span)
    command = call.option("/tr", "-action", "-execute", "-binarypathname")
    if command is not None:
        script.embed("crontab", "powershell", command.text, call.span)
    return Word("")


def _clipboard(script: Script, call: Call) -> Word:
    script.can(Ability.CLIPBOARD, call.name, call.span)
    return Word("", frozenset({(Source.PERSONAL, "clipboard")}))


def _host_facts(_script: Script, call: Call) -> Word:
    return Word("", frozenset({(Source.HOST_DATA, call.name)}))


def _stored(script: Script, call: Call) -> Word:
    """``cmdkey /list``, ``netsh wlan show profile key=clear``, ``reg save HKLM\\SAM``."""
    text = " ".join(call.texts).lower()
    what = {
        "cmdkey": "credential manager",
        "vaultcmd": "credential manager",
        "netsh": "wireless keys",
        "reg": "account database",
    }[call.name]
    wanted = {"cmdkey": "/list", "vaultcmd": "/list", "netsh": "key=clear", "reg": "save"}[call.name]
    if wanted not in text or (
        call.name == "reg" and not any(hive in text for hive in ("\\sam", "\\security", "\\system"))
    ):
        return _setting(script, call)
    script.can(Ability.SECRET_READ, what, call.span)
    return Word("", frozenset({(Source.SECRET_FILE, what)}))


MACHINE_COMMANDS: dict[str, Callable[[Script, Call], Word]] = {
    "get-content": _read,
    "get-childitem": _list,
    **dict.fromkeys(name_set("set-content add-content out-file new-item tee-object"), _write),
    **dict.fromkeys(name_set("copy-item move-item compress-archive"), _copy),
    "remove-item": _remove,
    **dict.fromkeys(name_set("set-itemproperty new-itemproperty"), _setting),
    **dict.fromkeys(
        name_set("register-scheduledtask schtasks new-service set-wmiinstance register-wmievent register-scheduledjob"),
        _register,
    ),
    "get-clipboard": _clipboard,
    **dict.fromkeys(name_set("whoami hostname systeminfo ipconfig get-computerinfo"), _host_facts),
    **dict.fromkeys(name_set("cmdkey vaultcmd netsh reg"), _stored),
}

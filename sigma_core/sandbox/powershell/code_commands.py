"""Commands that run code: texts, encoded texts, files, other interpreters."""

from __future__ import annotations

from collections.abc import Callable

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.encodings import decode_base64
from sigma_core.sandbox.observations import NO_LABELS, Ability, Sink, Source, join, only
from sigma_core.sandbox.powershell.call import Call
from sigma_core.sandbox.powershell.script import FOREIGN, Script
from sigma_core.sandbox.shell.values import Word
from sigma_core.sandbox.vocabulary import name_set

_HOSTS = name_set("powershell pwsh")
_INTERPRETERS = name_set("python python3 py node bash sh wsl wscript cscript java ruby perl")


def _evaluate(script: Script, call: Call) -> Word:
    code = call.option("-command") or call.first
    script.execute("Invoke-Expression", Word(code.text, join(code.labels, call.labels)), "powershell", call.span)
    return Word("", call.labels)


def _host(script: Script, call: Call) -> Word:
    """``powershell -Command``, ``-EncodedCommand``, ``-File``."""
    encoded = call.option("-encodedcommand", "-ec")
    if encoded is not None:
        data = decode_base64(encoded.text) or b""
        text = data.decode("utf-16-le", "replace") if b"\x00" in data else data.decode("utf-8", "replace")
        if _speaks_of_more(text):
            script.hit("SIGMA-OBF-006", "encoded command", call.span)
        script.execute(call.name, Word(text, frozenset({(Source.DECODED, "EncodedCommand")})), "powershell", call.span)
        return Word("")
    file = call.option("-file")
    if file is not None:
        script.can(Ability.PROCESS, f"{call.name} {file.text}"[:80], call.span)
        script.flow(only(script.origin(file.text), *FOREIGN), Sink.EXECUTE, file.text, call.span)
        return Word("")
    code = call.option("-command")
    at = next((at for at, text in enumerate(call.texts) if text.lower() in {"-command", "-c"}), None)
    text = " ".join(call.texts[at + 1 :]) if at is not None else " ".join(word.text for word in call.operands)
    given = Word(text, join(call.labels, code.labels if code is not None else NO_LABELS))
    if text:
        script.flow(only(given.labels, *FOREIGN), Sink.EXECUTE, call.name, call.span)
        script.embed("command", "powershell", text, call.span)
    else:
        script.flow(only(call.stdin.labels, *FOREIGN), Sink.EXECUTE, call.name, call.span)
    script.can(Ability.PROCESS, call.name, call.span)
    return Word("")


def _speaks_of_more(text: str) -> bool:
    return bool(vocabulary.urls_in(text)) or any(
        word in text.lower() for word in ("iex", "invoke-", "download", "start-process", "frombase64")
    )


def _cmd(script: Script, call: Call) -> Word:
    text = " ".join(text for text in call.texts if text.lower() not in {"/c", "/k", "/q", "/s"})
    script.can(Ability.SHELL, text[:80] or "cmd", call.span)
    script.flow(only(call.labels, *FOREIGN), Sink.EXECUTE, "cmd", call.span)
    script.embed("command", "powershell", text, call.span)
    return Word("")


def _start(script: Script, call: Call) -> Word:
    program = call.option("-filepath") or call.first
    given = call.option("-argumentlist", "-args")
    script.can(Ability.PROCESS, program.text[:80] or "?", call.span)
    script.flow(
        only(join(program.labels, script.origin(program.text)), *FOREIGN), Sink.EXECUTE, program.text, call.span
    )
    line = " ".join(
        [program.text, given.text if given is not None else "", *(word.text for word in call.operands[1:])]
    ).strip()
    if given is not None or len(call.operands) > 1:
        script.embed("command", "powershell", line, call.span)
    return Word("")


def _run_file(script: Script, call: Call) -> Word:
    """Programs that run what another address or file holds: ``mshta``, ``rundll32``, ``regsvr32``, ``msiexec``, interpreters."""
    script.can(Ability.PROCESS, f"{call.name} {' '.join(call.texts)}"[:80], call.span)
    for word in call.arguments:
        remote = vocabulary.urls_in(word.text) if call.name not in _INTERPRETERS else []
        labels = join(
            only(script.origin(word.text), *FOREIGN),
            frozenset({(Source.REMOTE, remote[0][2])}) if remote else NO_LABELS,
        )
        script.flow(labels, Sink.EXECUTE, f"{call.name} {word.text}"[:80], call.span)
    return Word("")


CODE_COMMANDS: dict[str, Callable[[Script, Call], Word]] = {
    "invoke-expression": _evaluate,
    **dict.fromkeys(_HOSTS, _host),
    "cmd": _cmd,
    **dict.fromkeys(name_set("start-process invoke-item"), _start),
    **dict.fromkeys(name_set("mshta rundll32 regsvr32 msiexec installutil") | _INTERPRETERS, _run_file),
}

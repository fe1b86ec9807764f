"""PowerShell commands, and programs of Windows by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.encodings import decode_base64
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Sink, Source, join, only
from sigma_core.sandbox.powershell.script import FOREIGN, Script, Span
from sigma_core.sandbox.shell.values import Word, base_name, path_labels, sendable
from sigma_core.sandbox.vocabulary import name_set

_ALIASES = {
    "iex": "invoke-expression", "iwr": "invoke-webrequest", "irm": "invoke-restmethod", "wget": "invoke-webrequest", "curl": "invoke-webrequest",
    "gc": "get-content", "cat": "get-content", "type": "get-content", "sc": "set-content", "ac": "add-content", "gci": "get-childitem",
    "dir": "get-childitem", "ls": "get-childitem", "saps": "start-process", "start": "start-process", "ii": "invoke-item", "icm": "invoke-command",
    "sp": "set-itemproperty", "ri": "remove-item", "rm": "remove-item", "del": "remove-item", "erase": "remove-item", "rmdir": "remove-item", "rd": "remove-item",
    "cp": "copy-item", "copy": "copy-item", "cpi": "copy-item", "mv": "move-item", "move": "move-item", "gcb": "get-clipboard", "echo": "write-output", "write": "write-output",
}  # fmt: skip
_BODY = name_set("-body -infile -form")
_SWITCHES = name_set(
    "-usebasicparsing -passthru -force -recurse -wait -nonewwindow -append -raw -asplaintext -encodedcommand -noprofile -nop -noninteractive -noni -nologo -noexit -sta -useb -resume"
)
_HOSTS = name_set("powershell pwsh")
_INTERPRETERS = name_set("python python3 py node bash sh wsl wscript cscript java ruby perl")
_VITAL = frozenset({"~", "c:", "c:/users", "c:/windows", "~/documents", "~/desktop", "$env:systemdrive", "/", ""})


@dataclass(frozen=True)
class Call:
    """One command: its name, its arguments, what is piped in, and where it stands; ``called`` says that `&` or `.` stood before."""

    path: Word
    arguments: list[Word]
    stdin: Word
    span: Span
    called: bool

    @cached_property
    def name(self) -> str:
        """The command's full name, lower case."""
        base = base_name(self.path.text.replace("\\", "/"))
        return _ALIASES.get(base, base)

    @cached_property
    def labels(self) -> Labels:
        """Where the arguments and the input came from."""
        return join(self.stdin.labels, *(word.labels for word in self.arguments))

    @cached_property
    def texts(self) -> list[str]:
        """The arguments' texts."""
        return [word.text for word in self.arguments]

    def option(self, *names: str) -> Word | None:
        """The value of the first option whose name begins so, or None."""
        for at, text in enumerate(self.texts):
            lowered = text.lower().rstrip(":")
            if (
                len(lowered) > 1
                and lowered[0] in "-/"
                and any(lowered == name or (len(lowered) > 2 and name.startswith(lowered)) for name in names)
            ):
                return self.arguments[at + 1] if at + 1 < len(self.arguments) else Word("")
        return None

    @cached_property
    def operands(self) -> list[Word]:
        """The arguments that are neither options nor their values."""
        found, skip = [], False
        for word in self.arguments:
            option = word.text.startswith("-") and len(word.text) > 1
            if not option and not skip:
                found.append(word)
            skip = option and word.text.lower() not in _SWITCHES
        return found

    @property
    def first(self) -> Word:
        """The first operand, else what is piped in."""
        return self.operands[0] if self.operands else self.stdin


def run(script: Script, call: Call) -> Word:
    """What a command does; the result is what it writes."""
    name = call.name
    if call.path.built and name in _COMMANDS and call.path.text.replace("-", "").isalpha():
        script.hit("SIGMA-OBF-010", name, call.span)
    reader = _COMMANDS.get(name)
    if reader is not None:
        return reader(script, call)
    # What `&` calls may be a text, a block, or a file that was fetched.
    fetched = join(only(call.path.labels, *FOREIGN), only(script.origin(call.path.text), *FOREIGN))
    if fetched:
        script.flow(fetched, Sink.EXECUTE, call.path.text[:80], call.span)
    if name and not name.startswith("$") and (name[0].isalpha() or call.called):
        script.can(Ability.PROCESS, name[:80], call.span)
    return Word("", join(call.path.labels, call.labels))


def _evaluate(script: Script, call: Call) -> Word:
    code = call.option("-command") or call.first
    script.execute("Invoke-Expression", Word(code.text, join(code.labels, call.labels)), "powershell", call.span)
    return Word("", call.labels)


def _request(script: Script, call: Call) -> Word:
    url = call.option("-uri") or next((word for word in call.operands if "://" in word.text), call.first)
    body = join(*(option.labels for name in sorted(_BODY) if (option := call.option(name)) is not None))
    for word in call.arguments:
        # `curl.exe -d @file`, `-F a=@file`
        if "@" in word.text and "://" not in word.text and base_name(call.path.text.replace("\\", "/")) == "curl":
            path = word.text.rpartition("@")[2]
            body = join(body, path_labels(path.replace("\\", "/")), frozenset({(Source.FILE, path)}))
    file = call.option("-infile")
    if file is not None:
        body = join(
            body,
            path_labels(file.text.replace("\\", "/")),
            script.origin(file.text),
            frozenset({(Source.FILE, file.text)}),
        )
    headers = call.option("-headers")
    method = (call.option("-method") or Word("")).text.lower()
    target = url.text or "?"
    script.can(Ability.NETWORK, target, call.span)
    script.flow(sendable(join(body, url.labels, call.stdin.labels)), Sink.SEND, url.text, call.span)
    script.flow(only(url.labels, Source.DECODED), Sink.SEND, url.text, call.span)
    if headers is not None:
        script.flow(sendable(headers.labels), Sink.SEND_HEADER, url.text, call.span)
    if method in {"post", "put", "patch"} or call.option("-body") is not None or file is not None:
        script.flow(frozenset({(Source.INPUT, call.name)}), Sink.SEND, url.text, call.span)
    remote = frozenset({(Source.REMOTE, target)})
    output = call.option("-outfile", "-o", "--output")
    if output is not None:
        script.write(output.text, Word("", remote), call.span)
        return Word("")
    return Word("", remote)


def _transfer(script: Script, call: Call) -> Word:
    """``Start-BitsTransfer``, ``bitsadmin``, ``certutil -urlcache``."""
    texts = call.texts
    url = next((text for text in texts if "://" in text), "")
    if call.name == "certutil" and any(
        text.lower().endswith("decode") or text.lower().endswith("decodehex") for text in texts
    ):
        if len(call.operands) or len(texts) > 1:
            script.write(texts[-1], Word("", frozenset({(Source.DECODED, "certutil")})), call.span)
        return Word("")
    if not url:
        script.can(Ability.PROCESS, call.name, call.span)
        return Word("")
    script.can(Ability.NETWORK, url, call.span)
    place = call.option("-destination") or (call.arguments[-1] if texts[-1] != url else None)
    if place is not None:
        script.write(place.text, Word("", frozenset({(Source.REMOTE, url)})), call.span)
    return Word("")


def _host(script: Script, call: Call) -> Word:
    """``powershell -Command``, ``-EncodedCommand``, ``-File``."""
    encoded = call.option("-encodedcommand", "-ec")
    if encoded is not None:
        data = decode_base64(encoded.text) or b""
        text = data.decode("utf-16-le", "replace") if b"\x00" in data else data.decode("utf-8", "replace")
        script.hit("SIGMA-OBF-006", "encoded command", call.span) if text and _speaks_of_more(text) else None
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


def _remove(script: Script, call: Call) -> Word:
    paths = [word.text for word in call.operands] + [word.text for word in (call.option("-path"),) if word is not None]
    script.can(Ability.FILE_WRITE, " ".join(paths)[:80], call.span)
    lowered = {text.lower() for text in call.texts}
    everything = bool({"-recurse", "-r", "/s", "-rec"} & lowered)
    vital = any(path.lower().replace("\\", "/").rstrip("*").rstrip("/") in _VITAL for path in paths if path)
    if everything and vital:
        script.hit("SIGMA-THREAT-010", f"{call.name} {' '.join(paths)}"[:80], call.span)
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


def _lookup(script: Script, call: Call) -> Word:
    script.can(Ability.NETWORK, call.texts[-1] if call.texts else call.name, call.span)
    script.flow(sendable(call.labels), Sink.NAME_LOOKUP, " ".join(call.texts)[:120], call.span)
    return Word("", frozenset({(Source.REMOTE, "dns")}))


def _mail(script: Script, call: Call) -> Word:
    target = (call.option("-smtpserver") or call.option("-to") or Word("?")).text
    attached = call.option("-attachments")
    files = path_labels(attached.text.replace("\\", "/")) if attached is not None else NO_LABELS
    script.can(Ability.NETWORK, target, call.span)
    script.flow(sendable(join(call.labels, files)), Sink.SEND, target, call.span)
    return Word("")


def _pass_on(_script: Script, call: Call) -> Word:
    word = call.first
    return Word(word.text, call.labels, word.built, word.items)


_COMMANDS: dict[str, Callable[[Script, Call], Word]] = {
    "invoke-expression": _evaluate,
    **dict.fromkeys(name_set("invoke-webrequest invoke-restmethod"), _request),
    **dict.fromkeys(name_set("start-bitstransfer bitsadmin certutil"), _transfer),
    **dict.fromkeys(_HOSTS, _host),
    "cmd": _cmd,
    **dict.fromkeys(name_set("start-process invoke-item"), _start),
    "get-content": _read,
    "get-childitem": _list,
    **dict.fromkeys(name_set("set-content add-content out-file new-item tee-object"), _write),
    **dict.fromkeys(name_set("copy-item move-item compress-archive"), _copy),
    **dict.fromkeys(name_set("set-itemproperty new-itemproperty"), _setting),
    **dict.fromkeys(
        name_set("register-scheduledtask schtasks new-service set-wmiinstance register-wmievent register-scheduledjob"),
        _register,
    ),
    **dict.fromkeys(name_set("mshta rundll32 regsvr32 msiexec installutil") | _INTERPRETERS, _run_file),
    "remove-item": _remove,
    "get-clipboard": _clipboard,
    **dict.fromkeys(name_set("whoami hostname systeminfo ipconfig get-computerinfo"), _host_facts),
    **dict.fromkeys(name_set("cmdkey vaultcmd netsh reg"), _stored),
    **dict.fromkeys(name_set("nslookup resolve-dnsname test-connection ping"), _lookup),
    "send-mailmessage": _mail,
    **dict.fromkeys(
        name_set(
            "write-output convertto-json out-string select-object foreach-object where-object sort-object convertfrom-json new-object"
        ),
        _pass_on,
    ),
}

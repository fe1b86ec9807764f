"""What is called on values and types of .NET: clients, converters, files, processes."""

from __future__ import annotations

from sigma_core.sandbox.encodings import bounded_decompress, decode_base64, readable
from sigma_core.sandbox.observations import NO_LABELS, Ability, Sink, Source, join
from sigma_core.sandbox.powershell.script import Script, Span
from sigma_core.sandbox.shell.values import MAX_TEXT, Word, path_labels, sendable
from sigma_core.sandbox.vocabulary import name_set

_DOWNLOADS = name_set("downloadstring downloaddata downloadfile getstringasync getasync getbytearrayasync openread")
_UPLOADS = name_set("uploadstring uploaddata uploadfile uploadvalues postasync putasync")
_KEEPS = name_set(
    "getstring getbytes tostring trim toarray readtoend getresponse getresponsestream content result tochararray read"
)
_READS = name_set("readalltext readallbytes readalllines openread opentext")
_WRITES = name_set("writealltext writeallbytes writealllines appendalltext")


def cast(kind: str, value: Word) -> Word:
    """``[char]99``, ``[char[]](99,100)``; other casts keep the value."""
    if kind.lower().replace(" ", "") in {"[char]", "[char[]]"}:
        items = [item.text for item in value.items] or [value.text]
        try:
            text = [chr(int(item, 0)) for item in items]
        except (ValueError, OverflowError):
            return value
        return Word(
            "".join(text), value.labels, True, tuple(Word(character) for character in text) if len(text) > 1 else ()
        )
    return value


def static_member(script: Script, kind: str, name: str, given: list[Word] | None, span: Span) -> Word:
    """``[kind]::name`` with its arguments where it is called."""
    kind, name = kind.strip("[]:").lower().removeprefix("system."), name.lower()
    arguments = given or []
    first = arguments[0] if arguments else Word("")
    labels = join(*(value.labels for value in arguments))
    if kind == "convert" and name == "frombase64string":
        data = decode_base64(first.text)
        packed = bounded_decompress(data) if data else None
        text = readable(packed[1] if packed else data) if data else None
        return Word(
            (text or "")[:MAX_TEXT], join(first.labels, frozenset({(Source.DECODED, "FromBase64String")})), True
        )
    if kind == "scriptblock" and name == "create":
        script.execute("ScriptBlock", first, "powershell", span)
        return Word(first.text, first.labels)
    if kind.endswith("assembly") and name in {"load", "loadfile", "unsafeloadfrom"}:
        script.execute("Assembly.Load", Word("", labels), "text", span)
        return Word("", labels)
    if kind == "environment":
        if name == "getenvironmentvariables":
            script.can(Ability.ENVIRONMENT, "*", span)
            return Word("", frozenset({(Source.ENVIRONMENT, "environment")}))
        if name == "getfolderpath":
            return Word("~\\Start Menu\\Programs\\Startup" if "startup" in first.text.lower() else "~")
        if name in {"username", "machinename"}:
            return Word("", frozenset({(Source.HOST_DATA, name)}))
    if kind == "io.file" and name in _READS:
        secret = path_labels(first.text.replace("\\", "/"))
        script.can(Ability.SECRET_READ if secret else Ability.FILE_READ, first.text or "?", span)
        return Word("", join(secret or frozenset({(Source.FILE, first.text or "?")}), script.origin(first.text)))
    if kind == "io.file" and name in _WRITES and len(arguments) > 1:
        script.write(first.text, arguments[1], span)
        return Word("")
    if kind == "diagnostics.process" and name == "start":
        script.can(Ability.PROCESS, first.text or "?", span)
        script.flow(script.origin(first.text), Sink.EXECUTE, first.text, span)
        return Word("")
    if kind == "windows.forms.clipboard" or (kind.endswith("clipboard") and name.startswith("get")):
        script.can(Ability.CLIPBOARD, "clipboard", span)
        return Word("", frozenset({(Source.PERSONAL, "clipboard")}))
    if kind in {"net.dns", "dns"}:
        script.flow(sendable(labels), Sink.NAME_LOOKUP, first.text, span)
        return Word("", frozenset({(Source.REMOTE, "dns")}))
    if kind.endswith("webrequest") and name == "create":
        script.can(Ability.NETWORK, first.text or "?", span)
        return Word(first.text, join(labels, frozenset({(Source.REMOTE, first.text or "?")})))
    return Word(first.text if name in _KEEPS else "", labels)


def call_member(script: Script, holder: Word, name: str, given: list[Word] | None, span: Span) -> Word:
    """``holder.name`` with its arguments where it is called."""
    method, arguments = name.lower(), given or []
    first = arguments[0] if arguments else Word("")
    labels = join(holder.labels, *(value.labels for value in arguments))
    if method in _DOWNLOADS and given is not None:
        script.can(Ability.NETWORK, first.text or "?", span)
        script.flow(sendable(first.labels), Sink.SEND, first.text, span)
        remote = frozenset({(Source.REMOTE, first.text or "?")})
        if method == "downloadfile" and len(arguments) > 1:
            script.write(arguments[1].text, Word("", remote), span)
            return Word("")
        return Word("", remote)
    if method in _UPLOADS and given is not None:
        sent = arguments[-1] if arguments else Word("")
        file = (
            join(
                path_labels(sent.text.replace("\\", "/")),
                script.origin(sent.text),
                frozenset({(Source.FILE, sent.text)}),
            )
            if method == "uploadfile"
            else NO_LABELS
        )
        script.can(Ability.NETWORK, first.text or "?", span)
        script.flow(sendable(join(labels, file)), Sink.SEND, first.text, span)
        script.flow(frozenset({(Source.INPUT, name)}), Sink.SEND, first.text, span)
        return Word("", frozenset({(Source.REMOTE, first.text or "?")}))
    if method in {"invoke", "invokescript", "invokereturnasis"}:
        code = first if first.text or first.labels else holder
        script.execute(name, code, "powershell", span)
        return Word("", code.labels)
    if method in {"run", "exec", "shellexecute"} and first.text:
        script.embed("command", "guess", first.text, span)
        return Word("", labels)
    if method == "replace" and len(arguments) > 1 and first.text:
        return Word(holder.text.replace(first.text, arguments[1].text)[:MAX_TEXT], labels, True)
    if method == "substring" and first.text.isdigit():
        start = int(first.text)
        length = int(arguments[1].text) if len(arguments) > 1 and arguments[1].text.isdigit() else len(holder.text)
        return Word(holder.text[start : start + length], labels, True)
    if method in _KEEPS or given is None:
        value = first if given and not holder.text else holder
        return Word(value.text, labels, value.built, value.items)
    return Word("", labels)

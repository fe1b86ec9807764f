"""Commands that fetch, send, look names up and mail."""

from __future__ import annotations

from collections.abc import Callable

from sigma_core.sandbox.observations import NO_LABELS, Ability, Sink, Source, join, only
from sigma_core.sandbox.powershell.call import Call
from sigma_core.sandbox.powershell.script import Script
from sigma_core.sandbox.shell.values import Word, base_name, path_labels, sendable
from sigma_core.sandbox.vocabulary import name_set

_BODY = name_set("-body -infile -form")


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


WEB_COMMANDS: dict[str, Callable[[Script, Call], Word]] = {
    **dict.fromkeys(name_set("invoke-webrequest invoke-restmethod"), _request),
    **dict.fromkeys(name_set("start-bitstransfer bitsadmin certutil"), _transfer),
    **dict.fromkeys(name_set("nslookup resolve-dnsname test-connection ping"), _lookup),
    "send-mailmessage": _mail,
}

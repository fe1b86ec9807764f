"""Programs that speak HTTP: what they send, in body, header or address, and where what they fetch goes."""

from __future__ import annotations

from dataclasses import dataclass, field

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Sink, Source, join, only
from sigma_core.sandbox.shell.script import Script
from sigma_core.sandbox.shell.values import Call, Stream, Word, path_labels, sendable
from sigma_core.sandbox.vocabulary import name_set

FETCHERS = name_set(
    "curl wget aria2c http https xh fetch lwp-request iwr irm invoke-webrequest invoke-restmethod lynx links elinks w3m lwp-download GET"
)
_DATA = name_set(
    "-d --data --data-binary --data-raw --data-urlencode -F --form -T --upload-file --post-data --post-file --body-data --body-file --json --data-ascii --url-query -Body -InFile"
)
_DATA_FILE = name_set("-T --upload-file --post-file --body-file -InFile")
_HEADERS = name_set(
    "-H --header -u --user -b --cookie -A --user-agent -e --referer --oauth2-bearer --proxy-user --proxy-header -Headers"
)
_OUTPUT = name_set("-o --output -O --output-document -OutFile")
_URL = name_set("--url -Uri")
_VALUED = name_set(
    "-X --request -m --max-time --connect-timeout -x --proxy -w --retry --cacert --cert --key -K -Method -ContentType"
)
_HOST_WORD = re2.compile(r"^(?:[\w-]+\.)+[a-z]{2,}(?:[:/]|$)|^\d+\.\d+\.\d+\.\d+(?:[:/]|$)")
_CLUSTERED = name_set("-d -F -T -H -u -b -A -e -X -m -x -w -K")
_NO_FILE = frozenset({"-", "/dev/stdout"})


@dataclass
class _Request:
    url: Word = field(default_factory=lambda: Word(""))
    body: Labels = NO_LABELS
    headers: Labels = NO_LABELS
    output: str = ""
    sends: bool = False


def fetch(script: Script, call: Call) -> Stream:
    """A call of a fetching program."""
    name, node = call.name, call.node
    request = _read_arguments(script, call)
    url = request.url.text
    if not url and call.stdin.text and vocabulary.urls_in(call.stdin.text):
        url = vocabulary.urls_in(call.stdin.text)[0][2]
    script.can(Ability.NETWORK, url or "?", node)
    script.flow(sendable(join(request.body, request.url.labels)), Sink.SEND, url, node)
    script.flow(sendable(request.headers - request.body), Sink.SEND_HEADER, url, node)
    if request.sends:
        script.flow(frozenset({(Source.INPUT, name)}), Sink.SEND, url, node)
    address = join(request.url.labels, *(word.labels for word in call.arguments if word.text == url))
    script.flow(only(address, Source.DECODED), Sink.SEND, url, node)
    fetched = frozenset({(Source.REMOTE, url or "?")})
    if request.output and request.output not in {*_NO_FILE, "/dev/null"}:
        script.write(request.output, Stream(fetched), node)
        script.written[request.output.rpartition("/")[2]] = fetched
        return Stream()
    if name in {"wget", "aria2c"} and request.output not in _NO_FILE and not any("O-" in text for text in call.texts):
        _save(script, url, fetched)
        return Stream()
    if name == "curl" and any(
        text == "--remote-name" or (text.startswith("-") and not text.startswith("--") and "O" in text)
        for text in call.texts
    ):
        _save(script, url, fetched)
    return Stream(fetched)


def _save(script: Script, url: str, fetched: Labels) -> None:
    """The file takes the last part of the address as its name."""
    file = url.rpartition("/")[2]
    script.written[file] = script.written["./" + file] = fetched


def _read_arguments(script: Script, call: Call) -> _Request:
    request, arguments, at = _Request(), call.arguments, 0
    while at < len(arguments):
        word = arguments[at]
        flag, value, step = word.text, arguments[at + 1] if at + 1 < len(arguments) else Word(""), 2
        if "=" in flag and flag.startswith("--"):
            flag, _, rest = flag.partition("=")
            value, step = Word(rest, word.labels), 1
        if flag not in _DATA and len(flag) > 2 and flag[:2] in {"-d", "-F", "-T"} and not flag.startswith("--"):
            flag, value, step = flag[:2], Word(flag[2:], word.labels), 1
        elif (
            len(flag) > 2
            and flag[0] == "-"
            and flag[1:].isalpha()
            and "-" + flag[-1] in _CLUSTERED
            and call.name == "curl"
        ):
            # `-sSd data`: the last letter takes the value.
            flag = "-" + flag[-1]
        if flag in _DATA:
            request.sends = True
            request.body = join(request.body, value.labels, _file_sent(script, flag, value, call.stdin))
        elif flag in _HEADERS:
            request.headers = join(request.headers, value.labels)
        elif flag in _OUTPUT and not (flag == "-O" and call.name == "curl"):
            request.output = value.text
        elif flag in _URL:
            request.url = value
        elif flag in _VALUED:
            pass
        elif flag.startswith("-"):
            step = 1
            short = not flag.startswith("--")
            if short and ((call.name == "curl" and flag.endswith("o")) or (call.name == "wget" and flag.endswith("O"))):
                request.output, step = value.text, 2
        elif call.name in {"http", "https", "xh"} and "@" in flag and not vocabulary.urls_in(flag):
            request.sends, step = True, 1
            request.body = join(request.body, word.labels, _file_sent(script, flag, word, call.stdin))
        else:
            step = 1
            if not request.url.text or (
                not vocabulary.urls_in(request.url.text)
                and (vocabulary.urls_in(word.text) or _HOST_WORD.search(word.text))
            ):
                request.url = word
        at += step
    return request


def _file_sent(script: Script, flag: str, value: Word, stdin: Stream) -> Labels:
    """What the file holds that an option names: ``-d @file``, ``-F a=@file``, ``-T file``."""
    if "@" not in value.text and flag not in _DATA_FILE:
        return NO_LABELS
    path = value.text.rpartition("@")[2].split(";")[0]
    if path == "-":
        return stdin.labels
    return join(path_labels(path), script.written.get(path, NO_LABELS), frozenset({(Source.FILE, path)}))

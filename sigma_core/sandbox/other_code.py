"""Code in languages that have no grammar here (PHP, Ruby, Perl, Go, Rust, Java, C#, Swift, Lua and their kin), read by its calls and texts.

Nothing is followed through variables: a secret that is named near a call which talks to the network counts as sent there, and a program text that is handed to a
shell is read again as shell. What this misses and what it sees too much of is kept small by what is done with it: a flow is judged by who else names its destination.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.observations import Ability, Observations, Sink, Source
from sigma_core.sandbox.peer_commands import read_peer_commands

NEAR = 1_600
"""Characters between a secret and a call within which the one is taken to reach the other."""
_MOST = 200
"""Places of one kind that are looked at in one text."""
_CALLS_OUT = re2.compile(
    r"(?:\bcurl_(?:exec|init|setopt(?:_array)?)\b|\b(?:file_get_contents|fopen|readfile|copy|get_headers)\s*\(\s*[\"']https?:|\bfsockopen\b|\bstream_socket_client\b|\bmail\s*\(|\bGuzzleHttp\b"
    r"|\bNet::(?:HTTP|SMTP|FTP)\b|\bURI\.open\b|\bHTTParty\b|\bFaraday\b|\bRestClient\b|\b(?:TCP|UDP)Socket\b|\bLWP::|\bHTTP::(?:Tiny|Request)\b|\bIO::Socket\b|\bMojo::UserAgent\b"
    r"|\bhttp\.(?:Post|PostForm|Get|NewRequest(?:WithContext)?|Client)\b|\bnet\.(?:Dial\w*)\b|\breqwest\b|\bureq::|\b(?:Tcp|Udp)(?:Stream|Client|Socket)\b|\bhyper::|\bHttp(?:URLConnection|Client|WebRequest|RequestMessage)\b"
    r"|\bOkHttpClient\b|\bURLSession\b|\bWebClient\b|\bnew Socket\(|\bsocket\.http\b|\bssl\.https\b|\bhttr::|\bopenConnection\(|\bfrom_url\()"
)
_LOOKS_UP = re2.compile(
    r"\b(?:gethostbyname|dns_get_record|checkdnsrr|net\.Lookup\w+|Resolv\.\w+|InetAddress\.getByName|Dns\.GetHost\w+|inet_aton)\b"
)
_ENVIRONMENT = re2.compile(
    r"(?:\bgetenv\(\)|\$_ENV\b|\bENV\.(?:to_h|to_a|each\w*|inspect|map|select|filter\w*)\b|%ENV\b|\bos\.Environ\(\)|\benv::vars(?:_os)?\(|\bSystem\.getenv\(\)|\bGetEnvironmentVariables\(|\bprocessInfo\.environment\b|\bSys\.getenv\(\))"
)
_RUNS = linear_pattern(
    r"\b(?:shell_exec|passthru|proc_open|popen|system|exec|sh|Open3\.\w+|exec\.Command|Command::new|getRuntime\(\)\.exec|ProcessBuilder|Process\.Start|os\.execute)\s*[( ]\s*(?:\"((?:[^\"\\\n]|\\.)+)\"|'((?:[^'\\\n]|\\.)+)')"
)
_SHELL_CODE = linear_pattern(
    r"[\"'](?:/bin/)?(?:ba|z|da)?sh[\"']\s*\)?\s*[,.]\s*(?:args?\s*\(\s*\[?)?\s*[\"']-l?c[\"']\s*\)?\s*[,.]\s*(?:arg\s*\()?\s*(?:&?format!\s*\(|fmt\.Sprintf\(|String\.format\()?\s*(?:\"((?:[^\"\\\n]|\\.)+)\"|'((?:[^'\\\n]|\\.)+)')"
)
"""The text that is handed to a shell by a list of arguments, as Rust, Go, Java and their kin do."""
_QUOTED_COMMAND = linear_pattern(r"`([^`\n]+)`|%x[({\[]([^)}\]\n]+)[)}\]]|\bqx[/({]([^/)}\n]+)[/)}]")
_EVALUATES = re2.compile(
    r"\b(?:eval|assert|create_function|instance_eval|class_eval|module_eval|loadstring|include|include_once|require_once)\s*[( ]"
)
_DECODES = re2.compile(
    r"\b(?:base64_decode|gzinflate|gzuncompress|str_rot13|hex2bin|decode64|decode_base64|pack\s*\(\s*[\"']H|unpack1?\s*\(\s*[\"']m|FromBase64String|DecodeString)\b"
)
_STATEMENT = 400
"""Characters of one statement at most: what is evaluated stands within them."""


def read_other_code(text: str) -> Observations:
    """What ``text`` can do and sends, by its calls and texts. Time is linear in the text."""
    out = Observations()
    calls = list(_found(_CALLS_OUT, text))
    lookups = list(_found(_LOOKS_UP, text))
    for start, end in calls:
        out.can(Ability.NETWORK, _address_near(text, start) or "?", start, end)
    secrets = vocabulary.secret_file_places(text, _MOST)
    for start, end, name in secrets:
        out.can(Ability.SECRET_READ if not name.startswith(".env") else Ability.FILE_READ, name, start, end)
    variables = list(_found(_ENVIRONMENT, text))
    for start, end in variables:
        out.can(Ability.ENVIRONMENT, "*", start, end)
    taken = [
        (start, Source.FILE if name.startswith(".env") else Source.SECRET_FILE, name) for start, _, name in secrets
    ]
    taken += [(start, Source.ENVIRONMENT, text[start:end]) for start, end in variables]
    for places, sink in ((calls, Sink.SEND), (lookups, Sink.NAME_LOOKUP)):
        starts = [start for start, _ in places]
        for at, source, name in taken:
            nearest = bisect_left(starts, at)
            near = [places[i] for i in (nearest - 1, nearest) if 0 <= i < len(places) and abs(starts[i] - at) <= NEAR]
            for start, end in near:
                out.flow(frozenset({(source, name)}), sink, _address_near(text, start), start, end)
    _commands(text, out)
    _evaluated(text, out)
    read_peer_commands(text, out)
    return out


def _commands(text: str, out: Observations) -> None:
    """Command lines that are handed to a shell."""
    for search in (_RUNS, _SHELL_CODE, _QUOTED_COMMAND):
        for count, match in enumerate(search.finditer(text)):
            if count >= _MOST:
                break
            command = next((group for group in match.groups() if group), "")
            out.can(
                Ability.PROCESS, command.split(maxsplit=1)[0] if command.split() else "?", match.start(), match.end()
            )
            if " " in command:
                out.embed(
                    "command", "shell", command.replace('\\"', '"').replace("\\'", "'"), match.start(), match.end()
                )


def _evaluated(text: str, out: Observations) -> None:
    """Code that is evaluated after it was fetched or decoded in the same statement."""
    for start, _ in _found(_EVALUATES, text):
        ends = [end for end in (text.find(";", start), text.find("\n", start)) if end >= 0]
        statement = text[start : min([*ends, start + _STATEMENT])]
        out.can(Ability.DYNAMIC_CODE, statement[:40], start, start + len(statement))
        urls = vocabulary.urls_in(statement)
        if urls:
            out.flow(frozenset({(Source.REMOTE, urls[0][2])}), Sink.EXECUTE, "eval", start, start + len(statement))
        elif _DECODES.search(statement):
            out.flow(frozenset({(Source.DECODED, "text")}), Sink.EXECUTE, "eval", start, start + len(statement))


def _found(search: Any, text: str) -> Iterator[tuple[int, int]]:
    """The first places of a pattern."""
    for count, match in enumerate(search.finditer(text)):
        if count >= _MOST:
            return
        yield match.span()


def _address_near(text: str, at: int) -> str:
    """The address that stands closest to a call: after it, or before it where a variable holds it."""
    after = vocabulary.urls_in(text[at : at + NEAR])
    if after:
        return after[0][2]
    before = vocabulary.urls_in(text[max(0, at - NEAR) : at])
    return before[-1][2] if before else ""

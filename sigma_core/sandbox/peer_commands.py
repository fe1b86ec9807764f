"""Commands that the other end of a connection sends, in languages that have no grammar here: what is read from a socket is followed through assignments to what runs it.

A name counts for the whole text: it holds a connection, or what came over one, from where it is given that on; scopes are not told apart. A shell whose input and output are the
connection's is one whose streams, descriptors or copies the same names reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.observations import Observations, Sink, Source
from sigma_core.sandbox.vocabulary import name_set

_pattern = partial(linear_pattern, max_memory=131_072)
_MAX_STATEMENT = 1_200
_INDENT = 80
_WALKS = 2
"""A name may be used above the line that gives it what it holds."""
_CONNECTS = _pattern(
    r"(?i:\bIO::Socket(?:::\w+)?\s*->\s*new|\bTCP(?:Socket|Server)\.(?:new|open)|\bSSLSocket\.new|\bp?fsockopen\s*\(|\bstream_socket_(?:client|server)\s*\(|\bsocket\.(?:connect|tcp)\s*\(|\.tcp\(\)"
    r"|\bnet\.(?:Dial|Listen)\w*\(|\btls\.Dial\w*\(|\bTcp(?:Stream::connect|Listener::bind)\b|\bnew\s+(?:\w+\.){0,3}(?:Server)?Socket\s*\(|\bcreateSocket\(|\bnew\s+(?:\w+\.){0,3}Tcp(?:Client|Listener)\s*\("
    r"|\bsockets\.tcp(?:client|listener)\]?(?:::new|\s*\()|\bNew-Object\s+(?:System\.)?Net\.Sockets\.Tcp(?:Client|Listener)\b|\bsocket\s*\(\s*(?:AF|PF)_INET6?\s*,|\bsocket_create\s*\(|\brequire\s*\(?\s*[\"']socket[\"']|\bval\s+\w+\s*=\s*Socket\(|^\s*Socket\(|\bsocketConnection\(|:gen_tcp\.(?:connect|listen)|\[socket\s+|[\"']/inet[46]?/(?:tcp|udp)/|\bwebsocket\.DefaultDialer\.Dial)"
)
_FETCHES = _pattern(
    r"(?:\bhttp\.(?:Get|Post|NewRequest\w*)\(|\breqwest::\S{0,30}get\(|\bureq::get\(|\bNet::HTTP\.get\w*|\bURI\.open\(|\bHTTParty\.get|\bLWP::\w+|\bHTTP::Tiny|\bfile_get_contents\s*\(\s*[\"']https?:|\bcurl_exec\s*\(|\bDownloadString(?:Async)?\(|\bGetStringAsync\(|\bHttpClient\b|\bopenStream\(\)|\bString\(contentsOf:|\bsocket\.http\b)"
)
_RUNS = _pattern(
    r"(?:\b(?:shell_exec|passthru|proc_open|popen|system|exec|execl|execv|execve|execvp|execlp|eval|spawn|loadstring|instance_eval|ProcessStartInfo|ProcessBuilder)\b|\b(?:IO\.popen|io\.popen|os\.execute|Open3\.\w+|exec\.Command(?:Context)?|Command::new"
    r"|System\.cmd|:os\.cmd|getRuntime\(\)\.exec|[Rr]t\.exec|[Rr]untime\.exec|Process\.Start|InvokeScript)\s*\(|\.arguments\s*=|(?i:\b(?:iex|Invoke-Expression)\b|\b(?:cmd|powershell|pwsh)(?:\.exe)?\s+[/-]c(?:ommand)?\b|\[scriptblock\]::create))"
)
_ONE_COMMAND = _pattern(
    r"(?i)(?:\b(?:shell_exec|passthru|popen|system|eval|os\.execute|iex|Invoke-Expression)\b|\[scriptblock\]::create)\s*\(?\s*$"
)
_SHELL = _pattern(
    r"(?i)[\"'/](?:ba|z|da|k|a)?sh[\"' ]|[\"']cmd(?:\.exe)?[\"' ]|[\"'](?:powershell|pwsh)(?:\.exe)?[\"' ]"
)
_BY_SHELL = _pattern(r"[\"' ](?:-l?c|/[cCkK])[\"' ]")
_SHELL_ON_DESCRIPTOR = _pattern(r"\bsh\b[^\"'\n]{0,20}[<>]&\s?\d[^\"'\n]{0,20}[<>]&\s?\d")
_STREAMS = _pattern(r"\.(?:Stdin|Stdout|Stderr)\b")
_DUPLICATES = _pattern(
    r"(?:\bdup2\s*\(\s*(\w+)|\bopen\s*\(?\s*STD(?:IN|OUT|ERR)\s*,\s*[\"'][<>+]{0,2}&=?[\"']?\s*,?\s*\$?(\w+)|\bSTD(?:IN|OUT)\.reopen\s*\(?\s*(\w+)|\$std(?:in|out)\s*=\s*(\w+))"
)
_QUOTED_COMMAND = _pattern(r"`[^`\n]*`|%x[({\[][^\n]*|\bqx[/({][^\n]*")
_LITERAL = _pattern(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`\n]*`")
_IN_LITERAL = _pattern(r"(?:\$\x01?|#\x01|\{)([A-Za-z_]\w*)")
_NAME = _pattern(r"(?:^|[^\w.>\\])([A-Za-z_]\w*)")
_OWNER = _pattern(r"(?:\bthis->|\$this->|\b(?:self|this)\.|@)")
_TAKES = (
    _pattern(r"\bfor(?:each)?\s*\(?\s*(?:(?:my|let|var|val|final)\s+)?(?:\w+\s+)?\$?(\w+)\s*(?:\bin\b|:|\()\s*(.*)"),
    _pattern(r"\bforeach\s*\(?(?P<r>.*)\s+as\s+\$?(?P<l>\w+)"),
    _pattern(r"(?P<r>.*?)(?:\bdo\b|\x02)\s*(?:\||\(?)(?P<l>\w+)(?:[^|\n]{0,40}\||\)?\s*->)"),
    _pattern(r"\bwhile\s*\(\s*<\$?(?P<r>\w+)>\s*\)(?P<l>)"),
    _pattern(r"\bgets\s+(?P<r>\$\w+)\s+(?P<l>\w+)"),
    _pattern(r"\b(?:sys)?(?:recv|read|SSL_read)\s*\(?\s*(?P<r>\$?\w+)\s*,\s*(?:my\s+)?[&$]?(?P<l>\w+)"),
    _pattern(r"(?P<r>\$?\w+)\.[Rr]ead\w*\(\s*(?:&mut\s+|&)?\$?(?P<l>[A-Za-z_]\w*)"),
    _pattern(r"(?P<r>\w+)\s*\|&\s*getline\s+(?P<l>\w+)"),
)
_BLOCK = _pattern(r"^\s*(?:\|\w+[^|\n]{0,40}\||\(?\w+\)?\s*->)")
_DEFINES = _pattern(r"\b(?:func|fn|fun|def|function|sub)\s+(?:\([^)]*\)\s*)?(\w+)")
_RETURNS = _pattern(r"^\s*return\b(.*)")
_ENDS = _pattern(r"[\n;{]")
_OPENED = _pattern(r"\b(?:socket|connect)\s*\(\s*(?:my\s+)?\$?(\w+)\s*,\s*(?:[AP]F_INET|sockaddr_in|pack_sockaddr)")
_READS_COMMAND = _pattern(r"(\w+)\s*\|&?\s*getline\b")
_ADDRESS_OF = _pattern(r"(?i)RemoteAddr|getInetAddress|peer_?addr|RemoteEndPoint|getpeername|getRemote")
_NEVER = name_set("err error e ex ok n i j len size undef null nil true false in0 self this")
_WAITS = _pattern(r"(?i)\b(?:sleep|usleep|Start-Sleep|time\.Tick|NewTicker|delay)\b")


@dataclass
class _Names:
    """What names hold: ``peer`` a connection or what came over it, ``direct`` the connection itself, ``answer`` what a request brought, ``shell`` a shell that was started; ``function`` is the one being read."""

    peer: set[str] = field(default_factory=set)
    direct: set[str] = field(default_factory=set)
    answer: set[str] = field(default_factory=set)
    shell: set[str] = field(default_factory=set)
    function: str = ""


def read_peer_commands(text: str, out: Observations) -> None:
    """Report where ``text`` runs what a peer sends, or ties a shell to a connection. Time is linear in the text."""
    connects, fetches = bool(_CONNECTS.search(text) or _OPENED.search(text)), bool(_FETCHES.search(text))
    if not (connects or fetches) or not (_RUNS.search(text) or _QUOTED_COMMAND.search(text) or "getline" in text):
        return
    statements = list(_statements(text))
    names = _Names()
    for _ in range(_WALKS):
        for _, statement in statements:
            _follow(statement, names)
    starts_shell = bool(_RUNS.search(text) and _SHELL.search(text))
    waits = bool(_WAITS.search(text))
    address = next((url for _, _, url, _ in vocabulary.urls_in(text)), "?") if fetches else ""
    for start, statement in statements:
        end = min(start + len(statement), len(text))
        subject = _reached(statement, names, starts_shell=starts_shell) if connects else ""
        if subject:
            out.hit("SIGMA-THREAT-004", subject, start, end)
        elif fetches and _runs_answer(statement, names):
            labels = frozenset({(Source.REMOTE, address)})
            out.flow(labels, Sink.EXECUTE, "command", start, end)
            if waits:
                out.flow(labels, Sink.EXECUTE_IN_LOOP, "command", start, end)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Statements with where they start: lines, parted at semicolons and opening braces; a chain of calls over several lines stays one."""
    # A brace that opens a part of a text opens no block.
    marked = text.replace("#{", "#\x01").replace("${", "$\x01")
    start = 0
    before = ""
    for end in (*(match.start() for match in _ENDS.finditer(marked)), len(marked)):
        chained = marked[end : end + 1] == "\n" and marked[end : end + _INDENT].lstrip()[:1] in {".", "-"}
        if end < start or (chained and end - start < _MAX_STATEMENT):
            continue
        statement = _OWNER.sub("", marked[start : min(end, start + _MAX_STATEMENT)]).replace(" <- ", " = ")
        if statement.strip():
            # What a block is given stands behind the brace that opens it.
            yield start, f"{before}\x02{statement}" if before and _BLOCK.search(statement) else statement
        before = statement if marked[end : end + 1] == "{" else ""
        start = end + 1


def _names_in(expression: str) -> set[str]:
    """The names that an expression uses, also those that its texts interpolate; names of members are none."""
    within = {name for literal in _LITERAL.findall(expression) for name in _IN_LITERAL.findall(literal)}
    return within | set(_NAME.findall(_LITERAL.sub(' "" ', expression)))


def _follow(statement: str, names: _Names) -> None:
    """Give the names on the left of ``statement`` what stands on its right, and a function the name of what it returns."""
    defined = _DEFINES.search(statement)
    names.function = defined.group(1) if defined is not None else names.function
    returned = _RETURNS.search(statement)
    if returned is not None and names.function:
        used = _names_in(returned.group(1))
        names.peer |= {names.function} if used & names.peer else set()
        names.answer |= {names.function} if used & names.answer or _FETCHES.search(returned.group(1)) else set()
    for name in _OPENED.findall(statement):
        names.peer.add(name)
        names.direct.add(name)
    for left, right in _given(statement):
        used = _names_in(right)
        targets = {name for name in left if name not in _NEVER}
        if _CONNECTS.search(right):
            names.peer |= targets
            names.direct |= targets
        elif used & names.peer and not _ADDRESS_OF.search(right):
            names.peer |= targets
        if _FETCHES.search(right) or used & names.answer:
            names.answer |= targets
        if (_RUNS.search(right) and _SHELL.search(right)) or used & names.shell:
            names.shell |= targets


def _given(statement: str) -> Iterator[tuple[list[str], str]]:
    """``(names, expression)`` of the assignment, loop or read in ``statement``."""
    at = _assignment(statement)
    if at >= 0:
        left = statement[:at].rstrip(":").rstrip()
        targets = [_last_name(part) for part in left.split(",")]
        yield [name for name in targets if name], statement[at + 1 :]
    elif statement.lstrip().startswith("set "):
        words = statement.split(None, 2)
        if len(words) == 3:
            yield [words[1]], words[2]
    for number, search in enumerate(_TAKES):
        match = search.search(statement)
        if match is not None:
            name, expression = (match.group(1), match.group(2)) if number == 0 else (match["l"], match["r"])
            yield [name or "_"], expression


def _assignment(statement: str) -> int:
    """Where the first ``=`` that assigns stands, or -1."""
    at = statement.find("=")
    while at >= 0:
        if statement[at - 1 : at] not in {"=", "!", "<", ">", "~"} and statement[at + 1 : at + 2] not in {
            "=",
            ">",
            "~",
        }:
            return at
        at = statement.find("=", at + 2)
    return -1


def _last_name(part: str) -> str:
    """The name that a part of the left side binds: the last one, before a type that follows it; none for a member."""
    part = part.rsplit("(", 1)[-1] if part.count("(") > part.count(")") else part
    found = _NAME.findall(part.split(":", 1)[0])
    return str(found[-1]) if found and not part.rstrip().endswith(("]", ".")) and f".{found[-1]}" not in part else ""


def _reached(statement: str, names: _Names, *, starts_shell: bool) -> str:
    """How the connection reaches a shell in ``statement``; empty where it does not. ``starts_shell`` says that the text has a shell started anywhere."""
    for match in _RUNS.finditer(statement):
        if _names_in(statement[match.end() :]) & names.peer:
            return "what a peer sends is run"
    for match in _QUOTED_COMMAND.finditer(statement):
        if set(_IN_LITERAL.findall(match.group())) & names.peer:
            return "what a peer sends is run"
    if starts_shell and _STREAMS.search(statement) and _names_in(statement) & names.peer:
        return "connection as input and output of a program"
    if starts_shell:
        for match in _DUPLICATES.finditer(statement):
            if next(group for group in match.groups() if group) in names.peer:
                return "connection as input and output of a program"
    for match in _READS_COMMAND.finditer(statement):
        if match.group(1) in names.peer - names.direct:
            return "what a peer sends is run"
    if _SHELL_ON_DESCRIPTOR.search(statement):
        return "shell on a connection's descriptor"
    used = _names_in(statement)
    if used & names.shell and used & (names.peer - names.shell) and _assignment(statement) < 0:
        return "connection copied to a shell"
    return ""


def _runs_answer(statement: str, names: _Names) -> bool:
    """Whether ``statement`` hands what a request brought to a shell."""
    for match in _RUNS.finditer(statement):
        rest = statement[match.end() :]
        if _names_in(rest) & names.answer and (_BY_SHELL.search(rest) or _ONE_COMMAND.search(match.group())):
            return True
    return any(set(_IN_LITERAL.findall(match.group())) & names.answer for match in _QUOTED_COMMAND.finditer(statement))

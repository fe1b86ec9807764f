"""Shell by its syntax tree (tree-sitter's bash grammar): what commands can do, and where bytes flow through pipes, substitutions, variables and files.

Words are resolved first (quotes, escapes, assigned variables, string building), so that a command hidden in pieces is read as the command it becomes.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from functools import cache

import re2
import tree_sitter
import tree_sitter_bash

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.encodings import bounded_decompress, decode_base64, readable
from sigma_core.sandbox.observations import NO_LABELS, SENDABLE, Ability, Labels, Observations, Sink, Source, join, only
from sigma_core.sandbox.vocabulary import name_set

MAX_DEPTH = 60
MAX_TEXT = 65_536
MAX_LINE = 8_192

_INTERPRETERS = name_set(
    "sh bash zsh ksh dash ash fish python python2 python3 node deno bun perl ruby php osascript pwsh powershell lua tclsh iex"
)
_FETCHERS = name_set(
    "curl wget aria2c http https xh fetch lwp-request iwr irm invoke-webrequest invoke-restmethod lynx"
)
_READERS = name_set(
    "cat head tail less more tac nl strings sed awk grep egrep rg cut sort uniq xxd od base64 openssl jq tee bat dd gzip"
)
_WRAPPERS = name_set(
    "sudo doas nohup env exec time command builtin nice setsid stdbuf timeout then do xargs busybox caffeinate"
)
_HOST_COMMANDS = frozenset({"hostname", "whoami", "id", "ifconfig", "ipconfig", "system_profiler", "systeminfo"})
_SEND_DATA = ("-d", "--data", "--data-binary", "--data-raw", "--data-urlencode", "-F", "--form", "-T", "--upload-file", "--post-data", "--post-file", "--body-data", "--body-file", "--json", "-Body", "-InFile")  # fmt: skip
_HEADERS = ("-H", "--header", "-u", "--user", "-b", "--cookie", "-A", "--user-agent", "-e", "--referer", "-Headers")
_OUTPUT = ("-o", "--output", "-O", "--output-document", "-OutFile")
_FLAGGED = frozenset(
    [
        *_SEND_DATA,
        *_HEADERS,
        *_OUTPUT,
        "-X",
        "--request",
        "-m",
        "--max-time",
        "--connect-timeout",
        "-x",
        "--proxy",
        "-w",
        "--retry",
        "--cacert",
        "--cert",
        "--key",
        "-K",
        "--url",
        "-Uri",
        "-Method",
        "-ContentType",
    ]
)
_CODE_STREAM = name_set("sh bash zsh ksh dash ash fish")
_DEVICE = re2.compile(r"/dev/(?:tcp|udp)/")
_RC_WORD = re2.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_HOST_WORD = re2.compile(r"^(?:[\w-]+\.)+[a-z]{2,}(?:[:/]|$)|^\d+\.\d+\.\d+\.\d+(?:[:/]|$)")


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


@dataclass(frozen=True, slots=True)
class Word:
    """A resolved word: its text (unknown parts as they stand) and where its parts came from."""

    text: str
    labels: Labels = NO_LABELS
    built: bool = False


@dataclass(slots=True)
class Stream:
    """What a command writes to its output."""

    labels: Labels = NO_LABELS
    text: str | None = None


@dataclass
class _Script:
    out: Observations
    offsets: list[int] | None
    variables: dict[str, Word] = field(default_factory=dict)
    written: dict[str, Labels] = field(default_factory=dict)
    depth: int = 0

    # -- places -------------------------------------------------------------------------------------------------------

    def span(self, node: tree_sitter.Node) -> tuple[int, int]:
        if self.offsets is None:
            return node.start_byte, node.end_byte
        last = len(self.offsets) - 1
        return self.offsets[min(node.start_byte, last)], self.offsets[min(node.end_byte, last)]

    def can(self, ability: Ability, subject: str, node: tree_sitter.Node) -> None:
        self.out.can(ability, subject, *self.span(node))

    def flow(self, labels: Labels, sink: Sink, target: str, node: tree_sitter.Node) -> None:
        self.out.flow(labels, sink, target, *self.span(node))

    def hit(self, rule_id: str, subject: str, node: tree_sitter.Node) -> None:
        self.out.hit(rule_id, subject, *self.span(node))

    # -- words --------------------------------------------------------------------------------------------------------

    def word(self, node: tree_sitter.Node) -> Word:
        self.depth += 1
        try:
            return self._word(node) if self.depth <= MAX_DEPTH else Word("")
        finally:
            self.depth -= 1

    def _word(self, node: tree_sitter.Node) -> Word:
        kind = node.type
        text = _text(node)
        if kind in {"raw_string"}:
            return Word(text[1:-1])
        if kind == "ansi_c_string":
            try:
                return Word(codecs.decode(text[2:-1].encode("latin-1", "ignore"), "unicode_escape"), built=True)
            except UnicodeDecodeError:
                return Word(text[2:-1])
        if kind in {"string", "concatenation", "command_name", "translated_string"}:
            parts = [self.word(child) for child in node.children if child.type not in {'"', "$", '$"'}]
            joined = "".join(part.text for part in parts)[:MAX_TEXT]
            # Two quoted or bare pieces side by side with no blank between them are string building, not quoting.
            built = any(part.built for part in parts) or (
                kind == "concatenation"
                and all(child.type in {"raw_string", "string", "word"} for child in node.children)
                and _splits_a_word(node)
            )
            return Word(joined, join(*(part.labels for part in parts)), built)
        if kind in {"simple_expansion", "expansion"}:
            return self._expansion(node, text)
        if kind in {"command_substitution", "process_substitution"}:
            stream = self.statements(node)
            return Word(stream.text if stream.text is not None else "$()", stream.labels, stream.text is not None)
        if kind == "word":
            plain = text.replace("\\\n", "")
            if "\\" in plain:
                unescaped = plain.replace("\\", "")
                return Word(unescaped, built=unescaped.isalpha())
            return Word(plain)
        return Word(text)

    def _expansion(self, node: tree_sitter.Node, text: str) -> Word:
        name = next(
            (_text(child) for child in node.children if child.type in {"variable_name", "special_variable_name"}), ""
        )
        for child in node.children:
            if child.type in {"command_substitution", "concatenation", "string"} and node.type == "expansion":
                self.word(child)
        if name in {"IFS"}:
            return Word(" ", built=True)
        known = self.variables.get(name)
        if known is not None:
            return known
        if node.type == "expansion" and "@P" in text:
            self.hit("SIGMA-OBF-010", text[:80], node)
        if name and vocabulary.secret_variable(name):
            return Word(f"${name}", frozenset({(Source.SECRET_VARIABLE, name)}))
        return Word({"HOME": "~"}.get(name, f"${name}" if name else text))

    # -- statements ---------------------------------------------------------------------------------------------------

    def statements(self, node: tree_sitter.Node, stdin: Stream | None = None) -> Stream:
        """Read every statement below ``node``; the result is what the last one writes."""
        self.depth += 1
        result = Stream()
        try:
            if self.depth > MAX_DEPTH:
                return result
            for child in node.children:
                if child.is_named:
                    out = self.statement(child, stdin)
                    if out.labels or out.text is not None:
                        result = Stream(join(result.labels, out.labels), out.text)
        finally:
            self.depth -= 1
        return result

    def statement(self, node: tree_sitter.Node, stdin: Stream | None = None) -> Stream:
        kind = node.type
        if kind == "command":
            return self._command(node, stdin or Stream())
        if kind == "pipeline":
            stream = stdin or Stream()
            for child in node.children:
                if child.is_named and child.type != "comment":
                    stream = self.statement(child, stream)
            return stream
        if kind == "redirected_statement":
            return self._redirected(node, stdin)
        if kind == "variable_assignment":
            self._assign(node)
            return Stream()
        if kind == "declaration_command":
            for child in node.children:
                if child.type == "variable_assignment":
                    self._assign(child)
            return Stream()
        if kind in {"comment", "heredoc_body", "word", "number", "raw_string"}:
            return Stream()
        if kind in {"string", "concatenation", "command_substitution", "process_substitution"}:
            word = self.word(node)
            return Stream(word.labels, None)
        if kind in {"test_command", "variable_name", "simple_expansion", "expansion", "arithmetic_expansion"}:
            return self.statements(node) if kind == "test_command" else Stream()
        if kind == "for_statement":
            variable = node.child_by_field_name("variable")
            values = [self.word(child) for child in node.children_by_field_name("value")]
            if variable is not None and values:
                self.variables[_text(variable)] = Word(
                    values[0].text if len(values) == 1 else "$" + _text(variable),
                    join(*(_path_labels(value) for value in values), *(value.labels for value in values)),
                )
        return self.statements(node, stdin)

    def _assign(self, node: tree_sitter.Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None:
            return
        key = _text(name)
        if value is None:
            self.variables[key] = Word("")
            return
        word = self.word(value)
        before = self.variables.get(key)
        if b"+=" in (node.text or b"")[: len(key) + 3] and before is not None:
            word = Word((before.text + word.text)[:MAX_TEXT], join(before.labels, word.labels), True)
        self.variables[key] = Word(word.text, word.labels, built=word.built)
        if key in {"LD_PRELOAD", "PROMPT_COMMAND"}:
            self.can(Ability.PERSISTENCE, key, node)

    def _redirected(self, node: tree_sitter.Node, stdin: Stream | None) -> Stream:
        body = node.child_by_field_name("body")
        stream = stdin or Stream()
        here = None
        redirects = []
        for child in node.children:
            if child.type == "heredoc_redirect":
                here = next((part for part in child.children if part.type == "heredoc_body"), None)
                redirects += [part for part in child.children if part.type == "file_redirect"]
                # `cat <<EOF | sh`: the grammar hangs the rest of the pipeline below the redirect.
                tail = [part for part in child.children if part.type in {"pipeline", "command"}]
                if here is not None and tail:
                    rest = Stream(NO_LABELS, _text(here))
                    for part in tail:
                        rest = self.statement(part, rest)
            elif child.type == "file_redirect":
                redirects.append(child)
            elif child.type == "herestring_redirect" and child.named_children:
                word = self.word(child.named_children[-1])
                stream = Stream(word.labels, word.text)
        if here is not None:
            stream = Stream(stream.labels, _text(here))
        for redirect in redirects:
            operator = _text(redirect.children[0]) if redirect.children else ""
            if operator.startswith("<") and redirect.named_children:
                word = self.word(redirect.named_children[-1])
                stream = Stream(
                    join(stream.labels, word.labels, _path_labels(word)), stream.text if word.text == "$()" else None
                )
        out = self.statement(body, stream) if body is not None else stream
        for redirect in redirects:
            target = redirect.named_children[-1] if redirect.named_children else None
            if target is None or not (_is_output(redirect) or _DEVICE.search(_text(target))):
                continue
            path = self.word(target)
            if _DEVICE.search(path.text):
                self.hit("SIGMA-THREAT-004", path.text, node)
                self.can(Ability.NETWORK, path.text, node)
                self.flow(_sendable(out.labels), Sink.SEND, path.text, node)
            elif path.text not in {"/dev/null", "1", "2", "/dev/stderr", "/dev/stdout"}:
                self.write(path.text, out, node)
        return Stream() if any(True for _ in redirects if _is_output(_)) else out

    def write(self, path: str, content: Stream, node: tree_sitter.Node) -> None:
        """A file at ``path`` gets ``content``."""
        self.can(Ability.FILE_WRITE, path, node)
        self.written[path] = join(
            self.written.get(path, NO_LABELS),
            content.labels,
            frozenset({(Source.FILE, "script text")}) if content.text and _looks_like_code(content.text) else NO_LABELS,
        )
        agent = vocabulary.agent_file(path)
        if agent:
            self.can(Ability.AGENT_CONFIG, agent, node)
            self.hit(
                "SIGMA-THREAT-007" if path.startswith(("~", "/", "$", "..", ".")) else "SIGMA-THREAT-017", agent, node
            )
            self.flow(
                frozenset(label for label in content.labels if label[0] in {Source.REMOTE, Source.DECODED}),
                Sink.AGENT_FILE,
                agent,
                node,
            )
            if content.text:
                self.out.embed("agent-file", "markdown", content.text, *self.span(node))
        place = vocabulary.autostart_place(path)
        if place:
            self.can(Ability.PERSISTENCE, place, node)
            rule = (
                "SIGMA-THREAT-044"
                if vocabulary.acts_unasked(place)
                else "SIGMA-THREAT-016"
                if _only_path_line(content.text)
                else "SIGMA-THREAT-006"
            )
            self.hit(rule, place, node)
        if content.text and len(content.text) > 20 and _looks_like_code(content.text):
            self.out.embed("written-file", "guess", content.text, *self.span(node))

    # -- commands -----------------------------------------------------------------------------------------------------

    def _command(self, node: tree_sitter.Node, stdin: Stream) -> Stream:
        words: list[Word] = []
        for child in node.children:
            if child.type == "variable_assignment":
                self._assign(child)
            elif child.type == "herestring_redirect" and child.named_children:
                word = self.word(child.named_children[-1])
                stdin = Stream(word.labels, word.text)
            elif child.is_named and child.type not in {"comment", "file_redirect", "heredoc_redirect"}:
                words.append(self.word(child))
        if not words:
            return Stream()
        # A variable or string that holds a whole command line.
        if " " in words[0].text and words[0].built:
            self.out.embed("built-command", "shell", " ".join(word.text for word in words), *self.span(node))
            words = [Word(piece, words[0].labels, True) for piece in words[0].text.split()] + words[1:]
        while len(words) > 1 and _base(words[0].text) in _WRAPPERS:
            taken = _base(words[0].text)
            words = words[1:]
            while words and (
                words[0].text.startswith("-")
                or (taken in {"env", "sudo"} and "=" in words[0].text)
                or (taken == "timeout" and words[0].text[:1].isdigit())
            ):
                words = words[1:]
            if taken == "xargs" and words:
                words = [*words, Word(stdin.text or "", stdin.labels)]
        if not words:
            return Stream(_whole_environment("env", []))
        name = _base(words[0].text)
        if words[0].built and (name in _FETCHERS or name in _INTERPRETERS or name in {"eval", "base64", "nc"}):
            self.hit("SIGMA-OBF-010", name, node)
            self.out.embed("built-command", "shell", " ".join(_requote(word.text) for word in words), *self.span(node))
        return self._run(name, words, stdin, node)

    def _run(self, name: str, words: list[Word], stdin: Stream, node: tree_sitter.Node) -> Stream:
        arguments = words[1:]
        texts = [word.text for word in arguments]
        labels = join(*(word.labels for word in arguments))
        if name in _INTERPRETERS or name in {"eval", "source", "."}:
            return self._interpret(name, arguments, stdin, node)
        if name in _FETCHERS:
            return self._fetch(name, arguments, stdin, node)
        if name in {"nc", "ncat", "netcat", "socat", "telnet"}:
            return self._netcat(name, texts, stdin, node)
        if name in {"scp", "rsync", "sftp", "ftp", "rclone", "mail", "mailx", "sendmail", "mutt"}:
            remote = next((text for text in texts if ":" in text or "@" in text), "")
            self.can(Ability.NETWORK, remote or name, node)
            if remote:
                self.flow(
                    _sendable(join(stdin.labels, labels, *(_path_labels(word) for word in arguments))),
                    Sink.SEND,
                    remote,
                    node,
                )
            return Stream()
        if name in {"dig", "nslookup", "host", "ping"}:
            self.can(Ability.NETWORK, texts[-1] if texts else name, node)
            self.flow(_sendable(join(labels, stdin.labels)), Sink.NAME_LOOKUP, " ".join(texts)[:120], node)
            return Stream(frozenset({(Source.REMOTE, "dns")}))
        if name in {"echo", "printf"}:
            text = " ".join(text for text in texts if text not in {"-e", "-n", "-en", "-ne"})
            if name == "printf" or any(flag in texts for flag in ("-e", "-en", "-ne")):
                text = _unescape(text)
            return Stream(labels, text)
        if name in {"env", "printenv", "export", "set", "declare"} and not [
            text for text in texts if not text.startswith("-")
        ]:
            self.can(Ability.ENVIRONMENT, "*", node)
            return Stream(_whole_environment(name, texts))
        if name in _HOST_COMMANDS:
            return Stream(frozenset({(Source.HOST_DATA, name)}))
        if (
            name in {"pbpaste", "xclip", "xsel", "wl-paste", "screencapture", "scrot", "arecord", "ffmpeg"}
            and name != "ffmpeg"
        ):
            self.can(Ability.CLIPBOARD, name, node)
            return Stream(frozenset({(Source.PERSONAL, name)}))
        if name == "security" and texts[:1] and texts[0].startswith(("find-", "dump-")):
            self.can(Ability.SECRET_READ, "keychain", node)
            return Stream(frozenset({(Source.SECRET_FILE, "keychain")}))
        decoded = self._decode(name, texts, stdin, node)
        if decoded is not None:
            return decoded
        return self._other(name, arguments, texts, labels, stdin, node)

    def _interpret(self, name: str, arguments: list[Word], stdin: Stream, node: tree_sitter.Node) -> Stream:
        self.can(Ability.DYNAMIC_CODE if name == "eval" else Ability.PROCESS, name, node)
        dangerous = (Source.REMOTE, Source.DECODED)
        language = (
            "python"
            if name.startswith("python")
            else "javascript"
            if name in {"node", "deno", "bun"}
            else "shell"
            if name in _CODE_STREAM or name in {"eval", "source", "."}
            else "text"
        )
        flags = [word.text for word in arguments]
        code_at = next(
            (
                at + 1
                for at, text in enumerate(flags)
                if text in {"-c", "-e", "-lc", "-ic", "-r", "--eval", "-Command", "-command"} and at + 1 < len(flags)
            ),
            None,
        )
        if name in {"eval"}:
            self.flow(only(join(*(word.labels for word in arguments)), *dangerous), Sink.EXECUTE, name, node)
            text = " ".join(flags)
            if text and "$()" not in text:
                self.out.embed("evaluated", "shell", text, *self.span(node))
            return Stream()
        if code_at is not None:
            word = arguments[code_at]
            self.flow(only(word.labels, *dangerous), Sink.EXECUTE, name, node)
            if word.text and word.text != "$()":
                self.out.embed("command", language, word.text, *self.span(node))
            # Data piped into inline code is input, not code.
            return Stream(
                only(stdin.labels, Source.SECRET_FILE, Source.ENVIRONMENT, Source.REMOTE) if stdin.labels else NO_LABELS
            )
        script = next((word for word in arguments if not word.text.startswith("-")), None)
        if script is not None and script.text != "-":
            labels = join(script.labels, self.written.get(script.text, NO_LABELS))
            self.flow(only(labels, *dangerous), Sink.EXECUTE, f"{name} {script.text}", node)
            return Stream()
        if (
            script is None
            and name in {"python", "python3", "node", "php", "osascript"}
            and any(flag in {"--version", "-V", "-v", "-m"} for flag in flags)
        ):
            return Stream()
        self.flow(only(stdin.labels, *dangerous), Sink.EXECUTE, name, node)
        if stdin.text:
            step = "decoded" if any(source is Source.DECODED for source, _ in stdin.labels) else "piped"
            self.out.embed(step, language, stdin.text, *self.span(node))
        return Stream()

    def _fetch(self, name: str, arguments: list[Word], stdin: Stream, node: tree_sitter.Node) -> Stream:
        url, body, headers, output = "", NO_LABELS, NO_LABELS, ""
        url_labels = NO_LABELS
        at = 0
        sends = False
        while at < len(arguments):
            word = arguments[at]
            flag, value = word.text, arguments[at + 1] if at + 1 < len(arguments) else Word("")
            if "=" in flag and flag.startswith("--"):
                flag, _, rest = flag.partition("=")
                value = Word(rest, word.labels)
                at -= 1
            if flag in _SEND_DATA or (len(flag) > 2 and flag[:2] in {"-d", "-F", "-T"} and not flag.startswith("--")):
                if flag not in _SEND_DATA:
                    value, at = Word(flag[2:], word.labels), at - 1
                sends = True
                body = join(body, value.labels)
                if "@" in value.text or flag in {"-T", "--upload-file", "--post-file", "--body-file", "-InFile"}:
                    path = value.text.rpartition("@")[2].split(";")[0]
                    body = join(
                        body,
                        stdin.labels
                        if path == "-"
                        else join(
                            _path_labels(Word(path)),
                            self.written.get(path, NO_LABELS),
                            frozenset({(Source.FILE, path)}),
                        ),
                    )
                at += 2
            elif flag in _HEADERS:
                headers = join(headers, value.labels)
                at += 2
            elif flag in _OUTPUT and not (flag == "-O" and name == "curl"):
                output = value.text
                at += 2
            elif flag in {"--url", "-Uri"}:
                url, url_labels = value.text, value.labels
                at += 2
            elif flag in _FLAGGED and flag not in _OUTPUT:
                at += 2
            elif flag.startswith("-"):
                if (
                    flag.startswith("-")
                    and not flag.startswith("--")
                    and flag.endswith(("o", "O"))
                    and name == "curl"
                    and flag.endswith("o")
                ):
                    output = value.text
                    at += 1
                if name == "wget" and flag.startswith("-") and flag.endswith("O"):
                    output = value.text
                    at += 1
                at += 1
            else:
                if not url or (
                    not vocabulary.urls_in(url) and (vocabulary.urls_in(word.text) or _HOST_WORD.search(word.text))
                ):
                    url, url_labels = word.text, word.labels
                at += 1
        if not url and stdin.text and vocabulary.urls_in(stdin.text):
            url = vocabulary.urls_in(stdin.text)[0][2]
        self.can(Ability.NETWORK, url or "?", node)
        self.flow(_sendable(join(body, url_labels)), Sink.SEND, url, node)
        self.flow(_sendable(headers - body), Sink.SEND_HEADER, url, node)
        if sends:
            self.flow(frozenset({(Source.INPUT, name)}), Sink.SEND, url, node)
        self.flow(
            only(join(url_labels, *(word.labels for word in arguments if word.text == url)), Source.DECODED),
            Sink.SEND,
            url,
            node,
        )
        labels = frozenset({(Source.REMOTE, url or "?")})
        if output and output not in {"-", "/dev/stdout", "/dev/null"}:
            self.write(output, Stream(labels), node)
            self.written[output.rpartition("/")[2]] = labels
            return Stream()
        if (
            name in {"wget", "aria2c"}
            and output not in {"-", "/dev/stdout"}
            and not any("O-" in word.text or word.text == "-qO-" for word in arguments)
        ):
            self.written[url.rpartition("/")[2]] = labels
            self.written["./" + url.rpartition("/")[2]] = labels
            return Stream()
        if name == "curl" and any(
            word.text in {"-O", "--remote-name"}
            or (word.text.startswith("-") and not word.text.startswith("--") and "O" in word.text)
            for word in arguments
        ):
            self.written[url.rpartition("/")[2]] = labels
            self.written["./" + url.rpartition("/")[2]] = labels
        return Stream(labels)

    def _netcat(self, name: str, texts: list[str], stdin: Stream, node: tree_sitter.Node) -> Stream:
        joined = " ".join(texts)
        self.can(Ability.NETWORK, joined or name, node)
        shell_given = (
            any(text in {"-e", "-c", "--exec", "--sh-exec"} for text in texts)
            or "exec:" in joined.lower()
            or "system:" in joined.lower()
        )
        if shell_given and any(word in joined for word in ("sh", "cmd", "powershell", "python")):
            self.hit("SIGMA-THREAT-004", f"{name} {joined}"[:120], node)
        target = next((text for text in texts if not text.startswith("-")), "")
        self.flow(_sendable(stdin.labels), Sink.SEND, target, node)
        return Stream(frozenset({(Source.REMOTE, target or "?")}))

    def _decode(self, name: str, texts: list[str], stdin: Stream, node: tree_sitter.Node) -> Stream | None:
        decoded: bytes | None = None
        flags = {text for text in texts if text.startswith("-")}
        if name == "base64" and flags & {"-d", "-D", "--decode", "-di", "-id"}:
            decoded = decode_base64(stdin.text.strip()) if stdin.text else None
        elif name == "base32" and flags & {"-d", "--decode"}:
            decoded = None
        elif name == "xxd" and any("r" in flag for flag in flags):
            try:
                decoded = bytes.fromhex("".join((stdin.text or "").split()).replace("\\x", ""))
            except ValueError:
                decoded = None
        elif name == "rev":
            decoded = stdin.text.strip()[::-1].encode() if stdin.text else None
        elif name == "tr" and stdin.text and any("N-ZA-M" in text.upper() for text in texts):
            decoded = codecs.decode(stdin.text, "rot13").encode()
        elif name in {"gunzip", "zcat", "gzip", "bunzip2", "xzcat"} and (
            name != "gzip" or flags & {"-d", "-dc", "-cd"}
        ):
            unpacked = bounded_decompress(stdin.text.encode("latin-1", "ignore")) if stdin.text else None
            decoded = unpacked[1] if unpacked else None
        elif not (name == "openssl" and {"-d", "-base64"} & flags):
            return None
        labels = join(stdin.labels, frozenset({(Source.DECODED, name)}))
        if name == "tr" or (name == "rev" and decoded is None):
            labels = join(stdin.labels, frozenset({(Source.DECODED, name)}) if decoded else NO_LABELS)
        if decoded is None:
            return Stream(labels)
        text = readable(decoded)
        if text is not None:
            self.out.embed(name, "guess", text, *self.span(node))
        return Stream(labels, text if text is not None else decoded.decode("latin-1"))

    def _other(
        self,
        name: str,
        arguments: list[Word],
        texts: list[str],
        labels: Labels,
        stdin: Stream,
        node: tree_sitter.Node,
    ) -> Stream:
        reading = join(
            labels, *(_path_labels(word) for word in arguments), *(self.written.get(text, NO_LABELS) for text in texts)
        )
        if name == "crontab":
            self.can(Ability.PERSISTENCE, "crontab", node)
            if "-l" not in texts and "-h" not in texts:
                self.hit("SIGMA-THREAT-006", "crontab", node)
                if stdin.text:
                    self.out.embed("crontab", "shell", stdin.text, *self.span(node))
        elif name in {"launchctl", "systemctl", "schtasks", "update-rc.d", "chkconfig"}:
            if any(text in {"load", "bootstrap", "enable", "submit", "/create"} for text in texts):
                self.can(Ability.PERSISTENCE, name, node)
                self.hit("SIGMA-THREAT-016", name, node)
        elif name in {"chmod", "chown"} or (name == "open" and texts):
            return Stream()
        elif name in {"tar", "zip", "7z", "cp", "mv", "ditto", "rsync", "ln"}:
            target = (
                texts[-1]
                if name in {"cp", "mv", "ln", "ditto"} and texts
                else next((text for text in texts if text.endswith((".tar", ".tgz", ".gz", ".zip", ".7z"))), "")
            )
            content = Stream(only(reading, Source.SECRET_FILE, Source.REMOTE, Source.FILES))
            if any(source is Source.SECRET_FILE for source, _ in content.labels):
                self.can(
                    Ability.SECRET_READ,
                    next(origin for source, origin in sorted(content.labels) if source is Source.SECRET_FILE),
                    node,
                )
            if target:
                self.write(target, content, node)
            return Stream(content.labels)
        elif name == "tee" and texts:
            path = next((text for text in texts if not text.startswith("-")), "")
            if path:
                self.write(path, stdin, node)
            return stdin
        elif name in {"rm", "shred", "srm"}:
            self.can(Ability.FILE_WRITE, " ".join(texts)[:80], node)
            if _destroys(name, texts):
                self.hit("SIGMA-THREAT-010", " ".join([name, *texts])[:80], node)
        elif name == "find" and texts:
            broad = any(text in {"/", "~", "/home", "/Users"} or text.startswith("~/") for text in texts[:1])
            secret = vocabulary.secret_file(" ".join(texts))
            if secret and not secret.startswith(".env"):
                reading = join(reading, frozenset({(Source.SECRET_FILE, secret)}))
            return Stream(join(reading, frozenset({(Source.FILES, texts[0])}) if broad else NO_LABELS))
        elif name in {"git"} and texts[:2] == ["config", "--global"]:
            self.can(Ability.FILE_WRITE, "~/.gitconfig", node)
        elif name in {
            "npm",
            "pip",
            "pip3",
            "yarn",
            "pnpm",
            "brew",
            "apt",
            "apt-get",
            "npx",
            "uvx",
            "gem",
            "cargo",
            "go",
        }:
            self.can(Ability.PROCESS, name, node)
        else:
            command = (arguments and self.written.get(_base(name))) or self.written.get(name)
            ran = self.written.get((texts and name) or name) or command
            path_run = node.child_by_field_name("name")
            full = self.word(path_run).text if path_run is not None else name
            ran = self.written.get(full) or ran
            if ran:
                self.flow(only(ran, Source.REMOTE, Source.DECODED), Sink.EXECUTE, full, node)
            self.can(Ability.PROCESS, name, node)
        if name in _READERS:
            secrets = [label for label in sorted(reading) if label[0] is Source.SECRET_FILE]
            if secrets:
                self.can(Ability.SECRET_READ, secrets[0][1], node)
            files = (
                frozenset({(Source.FILE, texts[-1])})
                if texts and not texts[-1].startswith("-") and name == "cat" and not secrets
                else NO_LABELS
            )
            return Stream(
                join(stdin.labels, reading, files), stdin.text if name in {"tee", "cat"} and not texts else None
            )
        return Stream(
            join(only(stdin.labels, Source.SECRET_FILE, Source.ENVIRONMENT), only(reading, Source.SECRET_FILE))
        )


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _sendable(labels: Labels) -> Labels:
    return only(labels, *SENDABLE)


def _path_labels(word: Word) -> Labels:
    secret = vocabulary.secret_file(word.text)
    if not secret or secret.startswith("169.") or secret.startswith("metadata"):
        return NO_LABELS
    return frozenset({(Source.FILE if secret.startswith(".env") else Source.SECRET_FILE, secret)})


def _whole_environment(name: str, texts: list[str]) -> Labels:
    return NO_LABELS if name in {"set", "export", "declare"} and texts else frozenset({(Source.ENVIRONMENT, name)})


def _base(name: str) -> str:
    return name.rpartition("/")[2].lower().removesuffix(".exe")


def _is_output(node: tree_sitter.Node) -> bool:
    """Whether a redirect takes the standard output; ``2>`` takes only the messages."""
    descriptor = next((_text(child) for child in node.children if child.type == "file_descriptor"), "1")
    return descriptor == "1" and any(_text(child).startswith((">", "&>")) for child in node.children)


def _splits_a_word(node: tree_sitter.Node) -> bool:
    pieces = [_text(child) for child in node.children]
    plain = "".join(piece.strip("'\"") for piece in pieces)
    return bool(_RC_WORD.search(plain)) and any(piece[:1] in "'\"" for piece in pieces)


def _unescape(text: str) -> str:
    try:
        return codecs.decode(text.encode("latin-1", "ignore"), "unicode_escape") if "\\" in text else text
    except (UnicodeDecodeError, ValueError):
        return text


def _requote(text: str) -> str:
    return (
        text
        if text and not any(character in text for character in " '\"$;&|<>()`")
        else "'" + text.replace("'", "") + "'"
    )


_CODE = re2.compile(
    r"(?m)(?:^#!|\b(?:curl|wget|import|eval|exec|require|function|def|nohup|bash|python3?|node)\b|[|;&]{1,2}\s*\w+|\$\()"
)
_PATH_LINE = re2.compile(
    r"^\s*(?:#.*\n\s*)*(?:export\s+[A-Z_]+=|alias\s+\w+=|eval \"\$\(|source |\. |\[ -|complete |autoload|fpath|set -)"
)


def _looks_like_code(text: str) -> bool:
    return bool(_CODE.search(text[:4_000]))


def _only_path_line(text: str | None) -> bool:
    """Whether what goes into a start-up file is the usual PATH, variable, alias or completion line of an installer."""
    return (
        text is not None
        and bool(_PATH_LINE.search(text))
        and "curl" not in text
        and "nohup" not in text
        and "base64" not in text
    )


def _destroys(name: str, texts: list[str]) -> bool:
    recursive = name != "rm" or any(text.startswith("-") and ("r" in text.lower()) for text in texts)
    targets = [text.rstrip("*").rstrip("/") for text in texts if not text.startswith("-")]
    return recursive and any(
        target
        in {
            "",
            "~",
            "$HOME",
            "/home",
            "/Users",
            "/etc",
            "/usr",
            "/var",
            "/boot",
            "/bin",
            "/lib",
            "~/Documents",
            "~/Desktop",
            "/var/log",
            "/var/log/audit",
        }
        for target in targets
    )


def _shorten_lines(source: str) -> str:
    """``source`` with blanks of over-long lines turned into line ends, length kept: the grammar's time grows faster than a single statement's length."""
    if len(source) <= MAX_LINE or max(map(len, source.split("\n"))) <= MAX_LINE:
        return source
    lines = []
    for line in source.split("\n"):
        start = 0
        while len(line) - start > MAX_LINE:
            cut = line.rfind(" ", start, start + MAX_LINE)
            if cut <= start:
                break
            lines.append(line[start:cut])
            start = cut + 1
        lines.append(line[start:])
    return "\n".join(lines)


def read_shell(source: str) -> Observations:
    """Observations of shell ``source``; never raises on malformed input (the grammar recovers)."""
    source = _shorten_lines(source)
    data = source.encode("utf-8", "surrogatepass")
    offsets: list[int] | None = None
    if not source.isascii():
        offsets = []
        for index, character in enumerate(source):
            offsets += [index] * len(character.encode("utf-8", "surrogatepass"))
        offsets.append(len(source))
    observations = Observations()
    script = _Script(observations, offsets)
    script.statements(_parser().parse(data).root_node)
    return observations

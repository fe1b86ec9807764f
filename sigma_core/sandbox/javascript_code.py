"""JavaScript and TypeScript by their syntax tree (tree-sitter's JavaScript grammar): what a script can do, and where its values flow.

The same abstract values as for Python. TypeScript's types parse as errors that the grammar recovers from; the calls around them are still read.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote_to_bytes

import tree_sitter
import tree_sitter_javascript

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.encodings import decode_base64, readable
from sigma_core.sandbox.observations import NO_LABELS, SENDABLE, Ability, Labels, Observations, Sink, Source, join, only
from sigma_core.sandbox.vocabulary import name_set

WALKS = 2
MAX_DEPTH = 100
MAX_CONSTANT = 65_536


@dataclass(frozen=True, slots=True)
class Value:
    """``constant`` where the text is known, ``labels`` of where it came from, the dotted ``name`` it stands for; ``headers`` are
    the labels that an options object carries in its request headers."""

    constant: str | None = None
    labels: Labels = NO_LABELS
    name: str = ""
    parts: tuple[str, ...] = ()
    folded: bool = False
    headers: Labels = NO_LABELS


UNKNOWN = Value()
_FUNCTIONS = frozenset({"arrow_function", "function_expression", "function"})
_CHILD = ("child_process", "node:child_process", "execa", "shelljs", "zx", "cross-spawn")
_SHELL = name_set("exec execSync command execaCommand")
_PROCESS = name_set("spawn spawnSync execFile execFileSync fork execa execaSync sync")
_READS = name_set("readFileSync readFile createReadStream readTextFile")
_WRITES = name_set(
    "writeFileSync writeFile appendFileSync appendFile createWriteStream writeTextFile outputFile outputFileSync"
)
_SENDERS = name_set(
    "fetch axios got request superagent needle node-fetch undici.fetch undici.request globalThis.fetch window.fetch $fetch ky"
)
_SEND_METHODS = name_set("post put patch request get send write end sendBeacon emit delete")
_NET_NAMES = ("axios", "got", "http", "https", "node:http", "node:https", "net", "tls", "dgram", "request", "superagent", "needle", "undici", "ws", "WebSocket", "XMLHttpRequest", "nodemailer", "node-fetch", "ky", "socket")  # fmt: skip
_HOST = name_set("hostname userInfo networkInterfaces homedir")


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_javascript.language()))


@dataclass
class _Reader:
    out: Observations
    offsets: list[int] | None
    names: dict[str, Value] = field(default_factory=dict)
    functions: dict[str, list[str]] = field(default_factory=dict)
    returns: dict[str, Value] = field(default_factory=dict)
    written: dict[str, Labels] = field(default_factory=dict)
    function: str = ""
    emitting: bool = False
    depth: int = 0

    def span(self, node: tree_sitter.Node) -> tuple[int, int]:
        if self.offsets is None:
            return node.start_byte, node.end_byte
        last = len(self.offsets) - 1
        return self.offsets[min(node.start_byte, last)], self.offsets[min(node.end_byte, last)]

    def can(self, ability: Ability, subject: str, node: tree_sitter.Node) -> None:
        if self.emitting:
            self.out.can(ability, subject, *self.span(node))

    def flow(self, labels: Labels, sink: Sink, target: str, node: tree_sitter.Node) -> None:
        if self.emitting and labels:
            self.out.flow(labels, sink, target, *self.span(node))

    def hit(self, rule_id: str, subject: str, node: tree_sitter.Node) -> None:
        if self.emitting:
            self.out.hit(rule_id, subject, *self.span(node))

    def embed(self, step: str, language: str, text: str, node: tree_sitter.Node) -> None:
        if self.emitting and len(text) >= 4:
            self.out.embed(step, language, text, *self.span(node))

    def read(self, node: tree_sitter.Node | None) -> Value:
        if node is None:
            return UNKNOWN
        self.depth += 1
        try:
            return self._read(node) if self.depth <= MAX_DEPTH else UNKNOWN
        finally:
            self.depth -= 1

    def _read(self, node: tree_sitter.Node) -> Value:
        kind = node.type
        reader = getattr(self, f"_{kind}", None)
        if reader is not None:
            return reader(node)  # type: ignore[no-any-return]
        if kind in {
            "number",
            "true",
            "false",
            "null",
            "undefined",
            "comment",
            "regex",
            "this",
            "super",
            "property_identifier",
        }:
            return Value(constant=_text(node)) if kind == "number" else UNKNOWN
        if (
            kind
            in {
                "await_expression",
                "parenthesized_expression",
                "spread_element",
                "unary_expression",
                "non_null_expression",
                "as_expression",
                "yield_expression",
                "expression_statement",
                "arguments",
            }
            and node.named_child_count == 1
        ):
            return self.read(node.named_children[0])
        labels = [self.read(child).labels for child in node.named_children]
        return Value(labels=join(*labels))

    # -- names and literals -------------------------------------------------------------------------------------------

    def _identifier(self, node: tree_sitter.Node) -> Value:
        name = _text(node)
        return self.names.get(f"{self.function}:{name}") or self.names.get(f":{name}") or Value(name=name)

    def _string(self, node: tree_sitter.Node) -> Value:
        body = _text(node)[1:-1]
        return Value(constant=_unescape(body)[:MAX_CONSTANT])

    def _template_string(self, node: tree_sitter.Node) -> Value:
        pieces, labels = [], []
        for child in node.named_children:
            if child.type == "template_substitution":
                value = self.read(child.named_children[0]) if child.named_children else UNKNOWN
                labels.append(value.labels)
                pieces.append(value.constant if value.constant is not None else "{}")
            else:
                pieces.append(_text(child))
        return Value(constant="".join(pieces)[:MAX_CONSTANT] or _text(node)[1:-1], labels=join(*labels))

    def _binary_expression(self, node: tree_sitter.Node) -> Value:
        left, right = self.read(node.child_by_field_name("left")), self.read(node.child_by_field_name("right"))
        labels = join(left.labels, right.labels)
        operator = node.child_by_field_name("operator")
        if operator is not None and _text(operator) in {"||", "??"}:
            return Value(
                left.constant if left.constant is not None else right.constant, labels, left.name or right.name
            )
        if operator is None or _text(operator) != "+":
            return Value(labels=labels)
        if left.constant is None and right.constant is None:
            return Value(labels=labels)
        known = left.constant is not None and right.constant is not None
        value = Value(f"{left.constant or ''}{right.constant or ''}"[:MAX_CONSTANT], labels, folded=known)
        if (
            known
            and len(value.constant or "") >= 8
            and (node.parent is None or node.parent.type != "binary_expression")
        ):
            self.embed("concatenation", "text", value.constant or "", node)
        return value

    def _array(self, node: tree_sitter.Node) -> Value:
        values = [self.read(child) for child in node.named_children]
        return Value(
            labels=join(*(value.labels for value in values)),
            parts=tuple(value.constant or "" for value in values[:1_024]),
        )

    def _object(self, node: tree_sitter.Node) -> Value:
        labels: list[Labels] = []
        headers: list[Labels] = []
        url = None
        name = "object"
        for child in node.named_children:
            if child.type == "pair":
                key = _text(child.child_by_field_name("key")).strip("'\"")  # type: ignore[arg-type]
                value = self.read(child.child_by_field_name("value"))
                in_header = key.lower() in {"headers", "authorization", "auth", "x-api-key", "cookie"}
                (headers if in_header else labels).append(value.labels)
                headers.append(value.headers)
                if key == "method" and (value.constant or "").upper() in {"POST", "PUT", "PATCH"}:
                    name = "object:post"
                if key.lower() in {"hostname", "host", "url", "uri", "baseurl"} and value.constant:
                    url = value.constant
            else:
                labels.append(self.read(child).labels)
        return Value(
            constant=url,
            labels=join(*labels),
            name=name,
            headers=join(*headers),
        )

    def _member_expression(self, node: tree_sitter.Node) -> Value:
        return self._member(self.read(node.child_by_field_name("object")), node)

    def _member(self, holder: Value, node: tree_sitter.Node) -> Value:
        name = _text(node.child_by_field_name("property"))  # type: ignore[arg-type]
        if holder.name == "process.env":
            return self._variable(name, node)
        full = f"{holder.name}.{name}" if holder.name and not holder.name.startswith("object") else ""
        if full in {"process.env", "Deno.env", "Bun.env", "import.meta.env"}:
            self.can(Ability.ENVIRONMENT, "*", node)
            return Value(name="process.env", labels=frozenset({(Source.ENVIRONMENT, "process.env")}))
        if full == "document.cookie":
            return Value(labels=frozenset({(Source.PERSONAL, "document.cookie")}))
        kept = self.names.get(f".:{name}")
        if kept is not None and not full:
            return kept
        return Value(labels=holder.labels, name=full, constant=holder.constant if name in {"host", "href"} else None)

    def _subscript_expression(self, node: tree_sitter.Node) -> Value:
        holder = self.read(node.child_by_field_name("object"))
        index = self.read(node.child_by_field_name("index"))
        if holder.name == "process.env":
            return self._variable(index.constant or "?", node)
        if index.constant and index.constant.isdigit() and int(index.constant) < len(holder.parts):
            return Value(constant=holder.parts[int(index.constant)], labels=holder.labels)
        if index.constant and holder.name:
            if index.folded and index.constant in {"eval", "exec", "execSync", "spawn", "constructor"}:
                self.hit("SIGMA-OBF-009", f"{holder.name}.{index.constant}", node)
            base = "" if holder.name in {"globalThis", "global", "window", "self"} else f"{holder.name}."
            return Value(name=f"{base}{index.constant}", labels=holder.labels)
        return Value(labels=join(holder.labels, index.labels))

    def _variable(self, name: str, node: tree_sitter.Node) -> Value:
        self.can(Ability.ENVIRONMENT, name, node)
        return Value(
            labels=frozenset({(Source.SECRET_VARIABLE, name)}) if vocabulary.secret_variable(name) else NO_LABELS
        )

    # -- declarations -------------------------------------------------------------------------------------------------

    def _bind(self, target: tree_sitter.Node | None, value: Value) -> None:
        if target is None:
            return
        if target.type == "identifier":
            self.names[f"{self.function}:{_text(target)}"] = value
        elif target.type == "member_expression":
            name = target.child_by_field_name("property")
            if name is not None:
                full = _text(target)
                if full.endswith("exports"):
                    return
                self.names[f".:{_text(name)}"] = value
        elif target.type in {"object_pattern", "array_pattern"}:
            for child in target.named_children:
                if child.type == "shorthand_property_identifier_pattern":
                    taken = _text(child)
                    made = (
                        self._variable(taken, child)
                        if value.name == "process.env"
                        else Value(name=f"{value.name}.{taken}" if value.name else "", labels=value.labels)
                    )
                    self.names[f"{self.function}:{taken}"] = made
                elif child.type == "pair_pattern":
                    key, alias = child.child_by_field_name("key"), child.child_by_field_name("value")
                    if key is not None and alias is not None:
                        self._bind(
                            alias, Value(name=f"{value.name}.{_text(key)}" if value.name else "", labels=value.labels)
                        )
                else:
                    self._bind(child, Value(labels=value.labels))

    def _variable_declarator(self, node: tree_sitter.Node) -> Value:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("value")
        if (
            body is not None
            and body.type in {"arrow_function", "function_expression", "function"}
            and name is not None
            and name.type == "identifier"
        ):
            return self._define(_text(name), body)
        self._bind(name, self.read(body))
        return UNKNOWN

    def _assignment_expression(self, node: tree_sitter.Node) -> Value:
        value = self.read(node.child_by_field_name("right"))
        left = node.child_by_field_name("left")
        if left is not None and left.type == "subscript_expression":
            self.read(left)
        self._bind(left, value)
        return value

    def _augmented_assignment_expression(self, node: tree_sitter.Node) -> Value:
        left, right = node.child_by_field_name("left"), self.read(node.child_by_field_name("right"))
        before = self.read(left)
        constant = (
            before.constant + right.constant
            if before.constant is not None and right.constant is not None and len(before.constant) < MAX_CONSTANT
            else None
        )
        value = Value(constant, join(before.labels, right.labels), folded=True)
        if constant is not None and 8 <= len(constant) < 4_096:
            self.embed("concatenation", "text", constant, node)
        self._bind(left, value)
        return value

    def _define(self, name: str, node: tree_sitter.Node) -> Value:
        parameters = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
        listed = (
            [parameters]
            if parameters is not None and parameters.type == "identifier"
            else (parameters.named_children if parameters is not None else [])
        )
        names = [
            _text(
                child
                if child.type == "identifier"
                else (child.child_by_field_name("left") or child.child_by_field_name("pattern") or child)
            )
            for child in listed
        ]
        self.functions[name] = names
        outer, self.function = self.function, name
        body = node.child_by_field_name("body")
        value = self.read(body)
        if node.type == "arrow_function" and body is not None and body.type != "statement_block":
            self.returns[name] = value
        self.function = outer
        return Value(name=name)

    def _function_declaration(self, node: tree_sitter.Node) -> Value:
        name = node.child_by_field_name("name")
        return self._define(_text(name) if name is not None else "", node)

    _generator_function_declaration = _function_declaration
    _method_definition = _function_declaration

    def _return_statement(self, node: tree_sitter.Node) -> Value:
        value = self.read(node.named_children[0]) if node.named_children else UNKNOWN
        before = self.returns.get(self.function, UNKNOWN)
        self.returns[self.function] = Value(value.constant, join(before.labels, value.labels), value.name, value.parts)
        return UNKNOWN

    def _import_statement(self, node: tree_sitter.Node) -> Value:
        source = node.child_by_field_name("source")
        module = _text(source)[1:-1] if source is not None else ""
        for clause in node.named_children:
            if clause.type != "import_clause":
                continue
            for child in clause.named_children:
                if child.type == "identifier":
                    self.names[f":{_text(child)}"] = Value(name=module)
                elif child.type == "namespace_import" and child.named_children:
                    self.names[f":{_text(child.named_children[0])}"] = Value(name=module)
                elif child.type == "named_imports":
                    for item in child.named_children:
                        name, alias = item.child_by_field_name("name"), item.child_by_field_name("alias")
                        if name is not None:
                            self.names[f":{_text(alias if alias is not None else name)}"] = Value(
                                name=f"{module}.{_text(name)}"
                            )
        return UNKNOWN

    # -- calls --------------------------------------------------------------------------------------------------------

    def _new_expression(self, node: tree_sitter.Node) -> Value:
        constructor = node.child_by_field_name("constructor")
        arguments = [self.read(child) for child in _arguments(node)]
        name = self.read(constructor).name or (_text(constructor) if constructor is not None else "")
        first = arguments[0] if arguments else UNKNOWN
        if name == "Function":
            return self._evaluate("new Function", arguments[-1] if arguments else UNKNOWN, node)
        if name in {"WebSocket", "ws", "ws.WebSocket", "EventSource"}:
            self.can(Ability.NETWORK, first.constant or "?", node)
            return Value(name="socket", labels=frozenset({(Source.REMOTE, first.constant or "?")}))
        if name in {"Blob", "FormData", "URLSearchParams", "Uint8Array", "Buffer", "URL"}:
            return Value(labels=join(*(value.labels for value in arguments)), constant=first.constant)
        return Value(name=name, labels=join(*(value.labels for value in arguments)))

    def _call_expression(self, node: tree_sitter.Node) -> Value:
        callee = node.child_by_field_name("function")
        if callee is not None and callee.type == "member_expression":
            holder = self.read(callee.child_by_field_name("object"))
            target = self._member(holder, callee)
            method = _text(callee.child_by_field_name("property"))  # type: ignore[arg-type]
        else:
            holder, target = UNKNOWN, self.read(callee)
            method = target.name.rpartition(".")[2]
        # Functions among the arguments are read once, after the call, when it is known what they will be given.
        arguments = [UNKNOWN if child.type in _FUNCTIONS else self.read(child) for child in _arguments(node)]
        result = self._called(node, callee, target, holder, method, arguments)
        given = result.labels if any(source is Source.REMOTE for source, _ in result.labels) else holder.labels
        returned = [self._callback(child, given) for child in _arguments(node) if child.type in _FUNCTIONS]
        return (
            Value(
                result.constant,
                join(result.labels, *(value.labels for value in returned)),
                result.name,
                result.parts,
                result.folded,
            )
            if returned
            else result
        )

    def _called(
        self,
        node: tree_sitter.Node,
        callee: tree_sitter.Node | None,
        target: Value,
        holder: Value,
        method: str,
        arguments: list[Value],
    ) -> Value:
        name = target.name
        labels = join(*(value.labels for value in arguments))
        first = arguments[0] if arguments else UNKNOWN
        if name in {"require", "import"} or (callee is not None and callee.type == "import"):
            if first.constant:
                if first.folded:
                    self.hit("SIGMA-OBF-009", f"require {first.constant}", node)
                return Value(name=first.constant)
            self.can(Ability.DYNAMIC_CODE, "require", node)
            return UNKNOWN
        root = name.split(".")[0] if not name.startswith("node:") else name[5:].split(".")[0]
        if name in {
            "eval",
            "Function",
            "vm.runInThisContext",
            "vm.runInNewContext",
            "vm.runInContext",
            "globalThis.eval",
            "window.eval",
            "setTimeout",
            "setInterval",
        } or (root == "vm" and method.startswith("run")):
            if name in {"setTimeout", "setInterval"} and first.constant is None:
                return UNKNOWN
            return self._evaluate(name, arguments[-1] if name == "Function" and arguments else first, node)
        if root in _CHILD and (method in _SHELL or method in _PROCESS):
            return self._process(method, first, arguments, labels, node)
        if name in {"promisify", "util.promisify"}:
            return first
        if method in _READS and root not in {"FileReader"}:
            return self._file_read(first, labels, node)
        if method in _WRITES:
            return self._file_write(first, arguments, node)
        if name == "atob" or (
            name == "Buffer.from" and len(arguments) > 1 and arguments[1].constant in {"base64", "hex", "base64url"}
        ):
            return self._decode(name, first, arguments, node)
        if name in {"String.fromCharCode", "String.fromCodePoint"}:
            return self._characters(arguments, node)
        if name in {"unescape", "decodeURIComponent"} and first.constant:
            text = readable(_percent(first.constant)) or ""
            self.embed("percent", "text", text, node)
            return Value(
                constant=text or None,
                labels=join(first.labels, frozenset({(Source.DECODED, name)}) if "%" in first.constant else NO_LABELS),
                folded=True,
            )
        if root == "os" and method in _HOST:
            return Value(
                labels=frozenset({(Source.HOST_DATA, f"os.{method}")}) if method != "homedir" else NO_LABELS,
                constant="~" if method == "homedir" else None,
            )
        if (
            root in {"clipboardy", "clipboard"} and method.startswith("read")
        ) or name == "navigator.clipboard.readText":
            self.can(Ability.CLIPBOARD, name, node)
            return Value(labels=frozenset({(Source.PERSONAL, "clipboard")}))
        if method in {"resolve4", "resolveTxt", "lookup", "resolve"} and root in {"dns", "node:dns"}:
            self.flow(_sendable(labels), Sink.NAME_LOOKUP, first.constant or "", node)
            return Value(labels=frozenset({(Source.REMOTE, "dns")}))
        if (
            name in _SENDERS
            or (root in _NET_NAMES and method in _SEND_METHODS)
            or (holder.name in _NET_NAMES and method in _SEND_METHODS)
            or name == "navigator.sendBeacon"
        ):
            return self._send(name, method, first, arguments, holder, labels, node)
        if name in self.functions or method in self.functions:
            function = name if name in self.functions else method
            for parameter, value in zip(self.functions[function], arguments, strict=False):
                before = self.names.get(f"{function}:{parameter}", UNKNOWN)
                self.names[f"{function}:{parameter}"] = Value(
                    before.constant if before.constant is not None else value.constant,
                    join(before.labels, value.labels),
                    before.name or value.name,
                )
            returned = self.returns.get(function, UNKNOWN)
            return Value(
                returned.constant, join(returned.labels, labels if not returned.labels else NO_LABELS), returned.name
            )
        return self._pass(name, method, holder, arguments, labels, node)

    def _evaluate(self, name: str, code: Value, node: tree_sitter.Node) -> Value:
        self.can(Ability.DYNAMIC_CODE, name, node)
        if code.constant:
            self.embed("evaluated", "javascript", code.constant, node)
        self.flow(
            only(code.labels, Source.REMOTE, Source.DECODED),
            Sink.EXECUTE,
            name,
            node,
        )
        return Value(name="code", labels=code.labels)

    def _process(
        self, method: str, first: Value, arguments: list[Value], labels: Labels, node: tree_sitter.Node
    ) -> Value:
        words = arguments[1].parts if len(arguments) > 1 else ()
        self.can(Ability.SHELL if method in _SHELL else Ability.PROCESS, (first.constant or "?")[:80], node)
        command = first.constant or ""
        if method not in _SHELL and words:
            if len(words) > 1 and words[0] in {"-c", "-e", "/c", "-Command"}:
                language = "javascript" if "node" in command else "python" if "python" in command else "shell"
                self.embed("command", language, words[1], node)
            else:
                command = " ".join([command, *words])
        if command:
            self.embed("command", "shell", command, node)
        self.flow(
            only(labels, Source.REMOTE, Source.DECODED),
            Sink.EXECUTE,
            method,
            node,
        )
        sent = vocabulary.urls_in(command)
        if sent and ("curl" in command or "wget" in command):
            self.flow(_sendable(labels), Sink.SEND, sent[0][2], node)
        runs = {command, *command.split()[:1]} | (
            set(words[:1]) if command in {"sh", "bash", "node", "python", "python3", "chmod"} else set()
        )
        for key in sorted(runs & self.written.keys()):
            self.flow(
                only(self.written[key], Source.REMOTE, Source.DECODED),
                Sink.EXECUTE,
                f"{method} {key}",
                node,
            )
        secret = vocabulary.secret_file(command)
        return Value(
            labels=frozenset({(Source.SECRET_FILE, secret)})
            if secret and not secret.startswith(".env")
            else frozenset({(Source.ENVIRONMENT, "env")})
            if command.strip() in {"env", "printenv"}
            else NO_LABELS
        )

    def _file_read(self, path: Value, labels: Labels, node: tree_sitter.Node) -> Value:
        text = path.constant or ""
        secret = vocabulary.secret_file(text)
        if secret:
            self.can(Ability.SECRET_READ, secret, node)
            return Value(labels=frozenset({(Source.FILE if secret.startswith(".env") else Source.SECRET_FILE, secret)}))
        self.can(Ability.FILE_READ, text or "?", node)
        return Value(
            labels=join(
                only(labels, Source.FILES, Source.SECRET_FILE),
                self.written.get(text, NO_LABELS),
                frozenset({(Source.FILE, text or "?")}),
            )
        )

    def _file_write(self, path: Value, arguments: list[Value], node: tree_sitter.Node) -> Value:
        text = path.constant or ""
        content = arguments[1] if len(arguments) > 1 else UNKNOWN
        self.can(Ability.FILE_WRITE, text or "?", node)
        if text:
            self.written[text] = content.labels
        agent = vocabulary.agent_file(text)
        if agent:
            self.can(Ability.AGENT_CONFIG, agent, node)
            self.hit(
                "SIGMA-THREAT-007" if text.startswith(("~", "/", ".")) or "/." in text else "SIGMA-THREAT-017",
                agent,
                node,
            )
            if content.constant:
                self.embed("agent-file", "markdown", content.constant, node)
            self.flow(
                only(content.labels, Source.REMOTE, Source.DECODED),
                Sink.AGENT_FILE,
                agent,
                node,
            )
        place = vocabulary.autostart_place(text)
        if place:
            self.can(Ability.PERSISTENCE, place, node)
            self.hit("SIGMA-THREAT-044" if vocabulary.acts_unasked(place) else "SIGMA-THREAT-006", place, node)
        return UNKNOWN

    def _decode(self, name: str, first: Value, arguments: list[Value], node: tree_sitter.Node) -> Value:
        labels = join(first.labels, frozenset({(Source.DECODED, name)}))
        if first.constant is None:
            return Value(labels=labels)
        data: bytes | None
        if len(arguments) > 1 and arguments[1].constant == "hex":
            try:
                data = bytes.fromhex(first.constant)
            except ValueError:
                data = None
        else:
            data = decode_base64(first.constant)
        text = readable(data) if data else None
        if text:
            self.embed("decoded", "text", text, node)
        return Value(constant=text, labels=labels, folded=True)

    def _characters(self, arguments: list[Value], node: tree_sitter.Node) -> Value:
        codes = (
            [value.constant for value in arguments]
            if len(arguments) > 1
            else list(arguments[0].parts)
            if arguments
            else []
        )
        try:
            text = "".join(chr(int(code or "x", 0)) for code in codes)
        except (ValueError, OverflowError):
            return Value(labels=frozenset({(Source.DECODED, "fromCharCode")}))
        if len(text) >= 6:
            self.embed("character-codes", "text", text, node)
        return Value(constant=text or None, labels=frozenset({(Source.DECODED, "fromCharCode")}), folded=True)

    def _send(
        self,
        name: str,
        method: str,
        first: Value,
        arguments: list[Value],
        holder: Value,
        labels: Labels,
        node: tree_sitter.Node,
    ) -> Value:
        target = first.constant or next(
            (origin for source, origin in sorted(holder.labels) if source is Source.REMOTE), ""
        )
        headers = join(*(value.headers for value in arguments))
        self.can(Ability.NETWORK, target or "?", node)
        self.flow(only(first.labels, Source.DECODED), Sink.SEND, target, node)
        self.flow(_sendable(labels), Sink.SEND, target, node)
        self.flow(_sendable(headers) - _sendable(labels), Sink.SEND_HEADER, target, node)
        if method in {"post", "put", "patch", "sendBeacon"} or any(value.name == "object:post" for value in arguments):
            self.flow(frozenset({(Source.INPUT, method)}), Sink.SEND, target, node)
        return Value(labels=frozenset({(Source.REMOTE, target or "?")}), name="socket" if "connect" in method else "")

    def _callback(self, node: tree_sitter.Node, labels: Labels) -> Value:
        parameters = node.child_by_field_name("parameters") or node.child_by_field_name("parameter")
        if parameters is not None:
            for child in [parameters] if parameters.type == "identifier" else parameters.named_children:
                if child.type == "identifier":
                    self.names[f"{self.function}:{_text(child)}"] = Value(labels=labels)
                else:
                    self._bind(child, Value(labels=labels))
        return self.read(node.child_by_field_name("body"))

    def _pass(
        self,
        name: str,
        method: str,
        holder: Value,
        arguments: list[Value],
        labels: Labels,
        node: tree_sitter.Node,
    ) -> Value:
        first = arguments[0] if arguments else UNKNOWN
        if name in {"path.join", "path.resolve", "node:path.join", "join", "path.posix.join"}:
            return Value(constant="/".join(value.constant or "?" for value in arguments), labels=labels)
        if method == "join" and holder.parts:
            text = (first.constant or "").join(holder.parts) if first.constant is not None else ",".join(holder.parts)
            self.embed("concatenation", "text", text, node)
            return Value(constant=text, labels=holder.labels, folded=True)
        if method == "reverse" and holder.parts:
            return Value(parts=holder.parts[::-1], labels=holder.labels)
        if method == "split" and holder.constant is not None and first.constant is not None:
            return Value(
                parts=tuple(holder.constant.split(first.constant) if first.constant else holder.constant),
                labels=holder.labels,
            )
        if method in {"push", "append", "set", "concat", "write"} and labels:
            callee = node.child_by_field_name("function")
            owner = callee.child_by_field_name("object") if callee is not None else None
            if owner is not None and owner.type == "identifier":
                self._bind(owner, Value(labels=join(holder.labels, labels), name=holder.name))
        if method in {"toString", "trim", "replace", "toLowerCase", "slice", "substring"}:
            return Value(constant=holder.constant, labels=holder.labels, folded=holder.folded)
        return Value(labels=join(holder.labels, labels), name=name if name in _NET_NAMES else "")


def _arguments(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    listed = node.child_by_field_name("arguments")
    return [] if listed is None else [child for child in listed.named_children if child.type != "comment"]


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


def _unescape(text: str) -> str:
    if "\\" not in text or not text.isascii():
        return text
    try:
        return codecs.decode(text.encode("ascii"), "unicode_escape")
    except (UnicodeDecodeError, ValueError):
        return text


def _percent(text: str) -> bytes:
    return unquote_to_bytes(text)


def _sendable(labels: Labels) -> Labels:
    return only(labels, *SENDABLE)


def read_javascript(source: str) -> Observations:
    """Observations of JavaScript or TypeScript ``source``; never raises on malformed input (the grammar recovers)."""
    data = source.encode("utf-8", "surrogatepass")
    offsets: list[int] | None = None
    if not source.isascii():
        offsets = []
        for index, character in enumerate(source):
            offsets += [index] * len(character.encode("utf-8", "surrogatepass"))
        offsets.append(len(source))
    observations = Observations()
    reader = _Reader(observations, offsets)
    root = _parser().parse(data).root_node
    for walk in range(WALKS):
        reader.emitting = walk == WALKS - 1
        reader.function = ""
        reader.read(root)
    return observations

"""Calls: what is called, through whatever indirection, who reads what it does, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import tree_sitter

from sigma_core.sandbox.javascript.bindings import bind, define, parameters_of
from sigma_core.sandbox.javascript.decoding import decoding_of
from sigma_core.sandbox.javascript.evaluation import evaluation_of
from sigma_core.sandbox.javascript.expressions import element, member, one_of
from sigma_core.sandbox.javascript.files import file_access_of
from sigma_core.sandbox.javascript.network import network_of, socket
from sigma_core.sandbox.javascript.programs import fed, program_of, runs
from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.javascript.requests_carried import ROUTING, given_by_others
from sigma_core.sandbox.javascript.texts import text_call_of
from sigma_core.sandbox.javascript.values import FUNCTIONS, UNKNOWN, Call, Value, arguments_of
from sigma_core.sandbox.observations import NO_LABELS, Ability, Source, but, join
from sigma_core.sandbox.vocabulary import name_set

_HOST_FACTS = name_set("hostname userInfo networkInterfaces")
_REQUIRES = name_set("require import module.require process.mainModule.require module.constructor._load Module._load")
_KEYBOARDS = name_set("iohook uiohook-napi node-global-key-listener")
_SIGNING = name_set("sendTransaction signTransaction sendRawTransaction signAllTransactions sendAndConfirmTransaction")
_BRINGING = frozenset({Source.REMOTE, Source.SECRET_FILE, Source.FILE, Source.FILES, Source.PERSONAL})
_HANDING_ON = name_set("JSON.parse String decodeURIComponent unescape Buffer.from url.parse querystring.parse")
_COME_BACK = frozenset({"setInterval", "schedule"})
_LATER = frozenset({"setTimeout", "setImmediate"})
_SERVERS = name_set("net.createServer tls.createServer")
_BY_METHODS = name_set("Bun.connect Bun.listen")
"""Calls that take an object whose method ``data`` is given what arrives."""
_HANDS_ON = name_set("then forEach map")
_READERS: tuple[Callable[[Reader, Call], Value | None], ...] = (
    evaluation_of,
    program_of,
    fed,
    file_access_of,
    decoding_of,
    network_of,
)


def _call_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    callee = node.child_by_field_name("function")
    if callee is not None and callee.type == "await_expression" and callee.named_children:
        callee = callee.named_children[0]
    if callee is not None and callee.type == "member_expression":
        holder = reader.read(callee.child_by_field_name("object"))
        target = member(reader, holder, callee)
        method = reader.text(callee.child_by_field_name("property"))
    elif callee is not None and callee.type == "subscript_expression":
        holder = reader.read(callee.child_by_field_name("object"))
        index = reader.read(callee.child_by_field_name("index"))
        target = element(reader, holder, index, callee)
        method = index.constant or ""
    elif callee is not None and callee.type in FUNCTIONS:
        # A function that is called where it stands: `(async () => { … })()`.
        holder, target, method = UNKNOWN, _callback(reader, callee, NO_LABELS), ""
    elif callee is not None and callee.type == "import":
        holder, target, method = UNKNOWN, Value(name="import"), "import"
    else:
        holder, target = UNKNOWN, reader.read(callee)
        method = target.name.rpartition(".")[2]
    # Functions among the arguments are read once, after the call, when it is known what they will be given.
    given_nodes = arguments_of(node)
    arguments = [UNKNOWN if child.type in FUNCTIONS else reader.read(child) for child in given_nodes]
    call = Call(node, target.name, method, holder, arguments)
    result = _called(reader, call)
    # What a call brings is what its callbacks are given; a call that brings nothing hands its own object on.
    brings = any(
        source in _BRINGING for source, _ in result.labels - join(holder.labels, *(value.labels for value in arguments))
    )
    passed = result if brings else one_of(holder)
    others = given_by_others(call)
    first = (
        Value(name="socket" if target.name in _SERVERS else "", labels=join(passed.labels, others))
        if others
        else passed
        if method in _HANDS_ON
        else None
    )
    returned = []
    for child, value in zip(given_nodes, arguments, strict=True):
        if child.type in FUNCTIONS:
            reader.polls += method in _COME_BACK
            rest = join(passed.labels, others if method not in ROUTING else NO_LABELS)
            returned.append(_callback(reader, child, rest, first))
            reader.polls -= method in _COME_BACK
        elif value.name in reader.functions:
            if method in _LATER and value.name == reader.function:
                reader.come_back.add(value.name)
            _hand_over(reader, value.name, [passed])
        elif method in _HANDS_ON and runs(value.name):
            _called(
                reader, Call(node, value.name, value.name.rpartition(".")[2], UNKNOWN, [Value(labels=passed.labels)])
            )
    if not returned:
        return result
    return replace(result, labels=join(result.labels, *(value.labels for value in returned)))


def _called(reader: Reader, call: Call) -> Value:
    name, method = call.name, call.method
    if name in {"Reflect.get", "Reflect.apply"} and len(call.arguments) > 1:
        if name == "Reflect.get":
            return element(reader, call.first, call.argument(1), call.node)
        return _called(reader, _renamed(call, call.first.name, _spread(call.argument(2))))
    if method in {"call", "apply", "bind"} and call.holder.name and method not in (call.holder.fields or {}):
        return _indirect(reader, call)
    if name == "Object.getPrototypeOf" and any(child.type in FUNCTIONS for child in arguments_of(call.node)):
        return Value(name="Function.prototype")
    if name in _BY_METHODS and "data" in reader.functions:
        _hand_over(
            reader,
            "data",
            [Value(name="socket"), Value(labels=frozenset({(Source.REMOTE, call.first.constant or "?")}))],
        )
    if name in _REQUIRES or name.endswith(".mainModule.require"):
        return _required(reader, call)
    if method == "createRequire":
        return Value(name="require")
    if method == "promisify":
        return call.first
    for reads in _READERS:
        value = reads(reader, call)
        if value is not None:
            return value
    if call.root == "os":
        if method == "homedir":
            return Value(constant="~")
        if method in _HOST_FACTS:
            return Value(labels=frozenset({(Source.HOST_DATA, f"os.{method}")}))
    personal = _personal(reader, call)
    if personal is not None:
        return personal
    if method in _SIGNING:
        reader.can(Ability.WALLET, method, call.node)
    function = name if name in reader.functions else method
    if function in reader.functions:
        _hand_over(reader, function, call.arguments)
        returned = reader.returns.get(function, UNKNOWN)
        return replace(returned, labels=returned.labels or call.labels, parts=returned.parts)
    return _pass_on(reader, call)


def _renamed(call: Call, name: str, arguments: list[Value]) -> Call:
    return Call(call.node, name, name.rpartition(".")[2], UNKNOWN, arguments)


def _indirect(reader: Reader, call: Call) -> Value:
    """``f.call(this, a)``, ``f.apply(this, [a])``, ``f.bind(this)``."""
    if call.method == "bind":
        return call.holder
    if call.method == "call":
        return _called(reader, _renamed(call, call.holder.name, call.arguments[1:]))
    return _called(reader, _renamed(call, call.holder.name, _spread(call.argument(1))))


def _spread(listed: Value) -> list[Value]:
    """The elements of an array as arguments."""
    return [Value(part or None, listed.labels) for part in listed.parts] or [Value(labels=listed.labels)]


def _required(reader: Reader, call: Call) -> Value:
    module = call.first.constant
    if not module:
        reader.can(Ability.DYNAMIC_CODE, "require", call.node)
        return UNKNOWN
    if call.first.folded:
        reader.hit("SIGMA-OBF-009", f"require {module}", call.node)
    if module in _KEYBOARDS:
        return Value(name=module, labels=frozenset({(Source.PERSONAL, "keyboard")}))
    return Value(name=module.removeprefix("node:"))


def _personal(reader: Reader, call: Call) -> Value | None:
    """Clipboard, screen, keychain."""
    name, method = call.name, call.method
    if (call.root in {"clipboardy", "clipboard"} and method.startswith("read")) or name in {
        "navigator.clipboard.readText",
        "electron.clipboard.readText",
    }:
        reader.can(Ability.CLIPBOARD, name, call.node)
        return Value(labels=frozenset({(Source.PERSONAL, "clipboard")}))
    if call.root in {"screenshot-desktop", "node-screenshots"}:
        return Value(labels=frozenset({(Source.PERSONAL, "screen")}))
    if call.root == "keytar" and method.startswith(("getPassword", "find")):
        reader.can(Ability.SECRET_READ, "keychain", call.node)
        return Value(labels=frozenset({(Source.SECRET_FILE, "keychain")}))
    return None


def _hand_over(reader: Reader, function: str, arguments: list[Value]) -> None:
    """The parameters of ``function`` take ``arguments``."""
    for parameter, value in zip(reader.functions[function], arguments, strict=False):
        key = f"{function}:{parameter}"
        before = reader.names.get(key, UNKNOWN)
        known = next(
            (given for given in (before, value) if given.constant is not None), before if before.name else value
        )
        reader.names[key] = replace(known, labels=join(before.labels, value.labels))


def _callback(
    reader: Reader, node: tree_sitter.Node, given: frozenset[tuple[Source, str]], whole: Value | None = None
) -> Value:
    """Read the function ``node``; its parameters come from where ``given`` says, the first one is ``whole`` where that is known."""
    for at, child in enumerate(parameters_of(node)):
        bind(reader, child, whole if whole is not None and at == 0 else Value(labels=given))
    return reader.read(node.child_by_field_name("body"))


def _pass_on(reader: Reader, call: Call) -> Value:
    """A call of something unknown: what goes in may come out."""
    text = text_call_of(reader, call)
    if text is not None:
        return text
    if call.method in {"push", "append", "set", "concat", "write", "assign"} and call.labels:
        callee = call.node.child_by_field_name("function")
        owner = callee.child_by_field_name("object") if callee is not None else None
        if owner is not None and owner.type == "identifier":
            bind(reader, owner, replace(call.holder, labels=join(call.holder.labels, call.labels)))
    if call.method == "pipe" and call.holder.labels and call.first.name == "file" and call.first.constant:
        reader.written[call.first.constant] = call.holder.labels
    # What a request names may choose what an unknown function gives back; it is not what is given back.
    given = call.labels if call.name in _HANDING_ON else but(call.labels, Source.REQUEST)
    return Value(labels=join(call.holder.labels, given))


def _new_expression(reader: Reader, node: tree_sitter.Node) -> Value:
    constructor = node.child_by_field_name("constructor")
    if constructor is not None and constructor.type in FUNCTIONS:
        return define(reader, "", constructor)
    arguments = [reader.read(child) for child in arguments_of(node)]
    name = reader.read(constructor).name or reader.text(constructor)[:200]
    call = Call(node, f"new {name}", name, UNKNOWN, arguments)
    for reads in (evaluation_of, program_of):
        value = reads(reader, call)
        if value is not None:
            return value
    if name in {"WebSocket", "ws", "ws.WebSocket", "EventSource", "net.Socket"}:
        return socket(reader, call)
    if name in {"Blob", "FormData", "URLSearchParams", "Uint8Array", "Buffer", "URL", "Request"}:
        decoded = decoding_of(reader, replace(call, name="Buffer.from", method="from")) if name == "Buffer" else None
        return decoded or Value(call.first.constant, call.labels)
    return Value(name=name, labels=call.labels, fields=call.first.fields)


CALLS: dict[str, Callable[[Reader, tree_sitter.Node], Value]] = {
    "call_expression": _call_expression,
    "new_expression": _new_expression,
}

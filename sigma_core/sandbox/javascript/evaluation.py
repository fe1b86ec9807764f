"""Text that becomes code: ``eval``, ``Function``, ``vm``, timers with text, modules compiled from text, WebAssembly."""

from __future__ import annotations

import re2
import tree_sitter

from sigma_core.sandbox.javascript.reader import Reader
from sigma_core.sandbox.javascript.values import FUNCTIONS, UNKNOWN, Call, Value, arguments_of
from sigma_core.sandbox.observations import Ability, Sink, Source, only
from sigma_core.sandbox.vocabulary import name_set

_FIRST_IS_CODE = name_set("eval execScript vm.runInThisContext vm.runInNewContext vm.runInContext vm.compileFunction")
_LAST_IS_CODE = name_set("Function GeneratorFunction AsyncFunction Function.prototype.constructor")
_TIMERS = name_set("setTimeout setInterval setImmediate")
_NEW_CODE = frozenset({"new vm.Script", "new Script", "new Worker", "new worker_threads.Worker"})
_DATA_MODULE = re2.compile(r"^data:(?:text|application)/javascript")
_PACKER_PARAMETERS = 4


def evaluation_of(reader: Reader, call: Call) -> Value | None:
    """What a call evaluates, or None for a call that evaluates nothing."""
    name, method = call.name, call.method
    plain = name.removeprefix("new ")
    if plain in _FIRST_IS_CODE or (call.root == "vm" and method.startswith("run")):
        return _evaluate(reader, name, call.first, call)
    if plain in _LAST_IS_CODE or _constructs_function(reader, call):
        return _evaluate(reader, name or "constructor", call.arguments[-1] if call.arguments else UNKNOWN, call)
    if name in _TIMERS:
        return UNKNOWN if call.first.constant is None else _evaluate(reader, name, call.first, call)
    if name in _NEW_CODE:
        evaluates = "Worker" not in name or "eval" in (call.argument(1).fields or {})
        return _evaluate(reader, name, call.first, call) if evaluates else None
    if method == "_compile" and call.arguments:
        return _evaluate(reader, name or method, call.first, call)
    if call.root == "WebAssembly" and method in {"instantiate", "compile", "instantiateStreaming", "compileStreaming"}:
        return _evaluate(reader, name, Value(labels=call.labels), call)
    if name in {"import", "require"} and call.first.constant and _DATA_MODULE.search(call.first.constant):
        return _evaluate(reader, name, call.first, call)
    return None


def _constructs_function(reader: Reader, call: Call) -> bool:
    """``(() => {}).constructor('code')``, ``[].constructor.constructor('code')``: the constructor of a function is `Function`."""
    callee = call.node.child_by_field_name("function")
    owner = callee.child_by_field_name("object") if callee is not None else None
    while owner is not None and owner.type == "parenthesized_expression" and owner.named_children:
        owner = owner.named_children[0]
    if call.method != "constructor" or owner is None:
        return False
    return owner.type in FUNCTIONS or (
        owner.type == "member_expression" and reader.text(owner.child_by_field_name("property")) == "constructor"
    )


def _evaluate(reader: Reader, name: str, code: Value, call: Call) -> Value:
    reader.can(Ability.DYNAMIC_CODE, name, call.node)
    if code.constant:
        reader.embed("evaluated", "javascript", code.constant, call.node)
    if any(_unpacks(child) for child in arguments_of(call.node)):
        reader.hit("SIGMA-OBF-014", f"{name} of an unpacker", call.node)
    reader.flow(only(code.labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, name, call.node)
    if code.constant in {None, "{}"}:
        reader.flow(only(code.labels, Source.REQUEST), Sink.EXECUTE, name, call.node)
    return Value(name="code", labels=code.labels)


def _unpacks(node: tree_sitter.Node) -> bool:
    """``eval(function(p,a,c,k,e,d){…}(…))``: what packers write."""
    called = node.child_by_field_name("function") if node.type == "call_expression" else None
    while called is not None and called.type == "parenthesized_expression" and called.named_children:
        called = called.named_children[0]
    if called is None or called.type not in FUNCTIONS:
        return False
    parameters = called.child_by_field_name("parameters")
    return parameters is not None and parameters.named_child_count >= _PACKER_PARAMETERS


_ROTATION = re2.compile(r"\bpush['\"]?\]?\(\w{1,40}(?:\.|\[['\"])shift['\"]?\]?\(")
_ALWAYS = frozenset({"!![]", "true", "!0", "1"})


def rotates_strings(reader: Reader, node: tree_sitter.Node) -> bool:
    """Whether a loop turns an array of texts until a sum of numbers in it fits: the start-up of an obfuscator's string table."""
    condition = reader.text(node.child_by_field_name("condition")).strip("() ")
    if condition not in _ALWAYS:
        return False
    body = reader.text(node.child_by_field_name("body"))[:8_192]
    return "parseInt" in body and bool(_ROTATION.search(body))

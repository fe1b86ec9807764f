"""What a call means: the tables of libraries in their order, then methods of texts and collections, then whatever its parts bring along."""

from __future__ import annotations

import ast
import html
import json
import urllib.parse
from collections.abc import Callable
from dataclasses import replace

from sigma_core.sandbox.observations import NO_LABELS, Sink, Source, but, join, only
from sigma_core.sandbox.python import dynamic_code, files, network, peers, processes, surroundings
from sigma_core.sandbox.python.call_names import CONNECTIONS, KNOWN_NAMES, RUNNABLE
from sigma_core.sandbox.python.constants import fold_decoder, fold_method, formatted, shown
from sigma_core.sandbox.python.evaluation import Evaluator
from sigma_core.sandbox.python.paths import path_call
from sigma_core.sandbox.python.pure_values import NotPure, abstract, built_label, concrete
from sigma_core.sandbox.python.state import State
from sigma_core.sandbox.python.values import MAX_CONSTANT, UNKNOWN, Call, Constant, Value, either, element_of
from sigma_core.sandbox.vocabulary import name_set

_ABSORBING = name_set(
    "append extend update add insert setdefault appendleft put put_nowait push attach set_payload set_content add_attachment add_field add_header setopt write writestr add_file add_row send_keys"
)
"""Methods that put what they are given into their object."""
_BUILT = name_set("chr ord int hex bytes bytearray list tuple reversed sorted enumerate zip min max sum set str")
_SAME_ELEMENTS = name_set("list tuple set sorted reversed iter frozenset tqdm.tqdm collections.deque itertools.chain")
_STEERING = frozenset({"system", "instructions", "system_prompt", "system_instruction", "system_message"})
"""Parameters of the libraries of language models that take what steers the model."""
_READ_RESPONSES = name_set("text content json read decode readlines strip raw body data")
_PASSED = frozenset({"response", "file:read"})
_APPLYING = name_set(
    "map filter itertools.starmap concurrent.futures.ThreadPoolExecutor.map concurrent.futures.ThreadPoolExecutor.submit threading.Timer"
)
"""Calls that call their first argument with the others."""
_HANDING_ON = name_set(
    "json.loads bytes.fromhex shlex.split shlex.join urllib.parse.unquote urllib.parse.unquote_plus codecs.decode urllib.parse.urlparse urllib.parse.urlsplit urllib.parse.parse_qs urllib.parse.parse_qsl email.message_from_bytes email.message_from_string"
)
_ADDRESS_LABELS = name_set("socket ssl websocket websockets paramiko telnetlib")
_TYPED = frozenset(name.partition(".")[0] for name in KNOWN_NAMES if "." in name) - {"asyncio"}


def _path(_: State, call: Call) -> Value | None:
    return path_call(call)


_TABLES: tuple[Callable[[State, Call], Value | None], ...] = (
    dynamic_code.reflected,
    dynamic_code.evaluated,
    processes.ran,
    processes.fed,
    dynamic_code.decoded,
    peers.peered,
    network.sent,
    network.connected,
    network.received,
    network.looked_up,
    _path,
    surroundings.surrounding,
    files.opened,
    files.listed,
    files.copied,
    files.wrote,
    files.destroyed,
    surroundings.shell_of_socket,
)


def meaning(state: State, call: Call, evaluator: Evaluator) -> Value:
    """The value of a call that is not one of an own function; reports what it does."""
    for keyword in sorted(_STEERING & call.keywords.keys()):
        state.flow(only(call.keywords[keyword].labels, Source.REMOTE), Sink.AGENT_FILE, keyword, call.node)
    for table in _TABLES:
        value = table(state, call)
        if value is not None:
            return value
    value = _of_text(state, call) or _of_collection(state, call) or _built(state, call, evaluator)
    return value if value is not None else _brought_along(call)


def _of_text(state: State, call: Call) -> Value | None:
    """Methods of texts and bytes."""
    holder, method = call.holder, call.method
    labels = join(holder.labels, call.labels)
    if method == "join" and isinstance(holder.constant, str | bytes) and call.first.items is not None:
        pieces = [shown(item) for item in call.first.items]
        if sum(map(len, pieces)) + len(holder.constant) * len(pieces) > MAX_CONSTANT:
            return Value(labels=labels)
        known = all(item.constant is not None for item in call.first.items)
        joined: Constant = holder.text.join(pieces)
        if isinstance(holder.constant, bytes) and known:
            joined = holder.constant.join(item.constant for item in call.first.items if isinstance(item.constant, bytes))  # fmt: skip
        value = Value(joined, labels, folded=known and len(pieces) > 1)
        return state.put_together(value, call.node)
    if method in {"format", "format_map"} and isinstance(holder.constant, str):
        named = dict(call.keywords) if method == "format" else dict(call.first.fields or {})
        value = Value(formatted(holder.constant, list(call.arguments), named), labels, folded=True)
        return state.put_together(value, call.node)
    if method == "to_bytes" and isinstance(holder.constant, int) and holder.constant >= 0:
        little = call.argument(1, "byteorder").text == "little"
        return Value(holder.constant.to_bytes(8, "little" if little else "big").strip(b"\0"), labels, folded=True)
    if not isinstance(holder.constant, str | bytes) or holder.name not in {"", "pathlib.Path"}:
        return None
    if method == "decode" and call.first.text in {"rot13", "rot_13", "hex", "base64"}:
        decoded = fold_decoder("codecs.decode", holder.constant, call.first.text)
        return Value(decoded, holder.labels, folded=True)
    if method == "translate" and call.first.name == "translation" and isinstance(holder.constant, str):
        letters, others = (item.text for item in (call.first.items or (UNKNOWN, UNKNOWN))[:2])
        if len(letters) == len(others):
            return Value(holder.constant.translate(str.maketrans(letters, others)), labels, folded=True)
    if method in {"split", "rsplit", "splitlines"} and isinstance(holder.constant, str) and len(holder.constant) <= 4_096:  # fmt: skip
        separator = call.first.constant if isinstance(call.first.constant, str) and call.first.constant else None
        pieces = holder.constant.split(separator)[:512]
        return Value(labels=labels, name="list", items=tuple(Value(piece, labels) for piece in pieces))
    folded = fold_method(method, holder.constant, [argument.constant for argument in call.arguments])
    if folded is None:
        return None
    changed = method in {"replace", "swapcase", "hex"} or holder.folded
    value = Value(folded, labels, folded=changed)
    return state.put_together(value, call.node) if method == "replace" else value


def _of_collection(state: State, call: Call) -> Value | None:
    """Methods of lists, dictionaries and objects that take something in or give it out again."""
    holder, method, function = call.holder, call.method, call.node.func
    if method in _ABSORBING and isinstance(function, ast.Attribute):
        if call.labels:
            state.absorb(function, call.labels)
        if method == "append" and isinstance(function.value, ast.Name) and holder.items is not None and len(holder.items) < 256 and not state.loops:  # fmt: skip
            grown = replace(holder, labels=join(holder.labels, call.labels), items=(*holder.items, call.first))
            state.bind_name(function.value.id, grown)
        else:
            state.grow(function.value)
        return UNKNOWN
    if holder.fields is not None:
        if method in {"get", "pop"} and isinstance(call.first.constant, str | int):
            absent = call.argument(1) if len(call.arguments) > 1 else UNKNOWN
            return holder.fields.get(str(shown(call.first)), absent.labelled(holder.labels) if holder.open else absent)
        if method == "get" and holder.fields and not holder.open and call.arguments:
            # Whoever names the key chooses among what stands here.
            return either([*holder.fields.values(), *call.arguments[1:]]).labelled(holder.labels)
        if holder.open and method in {"items", "values", "keys"}:
            return Value(labels=holder.labels)
        if method == "items":
            pairs = tuple(Value(name="list", items=(Value(key), item)) for key, item in holder.fields.items())
            return Value(labels=holder.labels, name="list", items=pairs)
        if method == "values":
            return Value(labels=holder.labels, name="list", items=tuple(holder.fields.values()))
        if method == "keys":
            return Value(name="list", items=tuple(Value(key) for key in holder.fields))
        if method == "copy":
            return holder
    if holder.items is not None and method in {"copy", "pop"}:
        return holder if method == "copy" else element_of(holder)
    return None


def _built(state: State, call: Call, evaluator: Evaluator) -> Value | None:
    """Built-in functions on constants, and those that keep the elements of what they are given."""
    first = call.first
    if call.name in _APPLYING and first.name in RUNNABLE:
        given = join(*(element_of(argument).labels for argument in call.arguments[1:]))
        state.flow(only(given, Source.REMOTE, Source.DECODED), Sink.EXECUTE, first.name, call.node)
    if call.name in {"map", "filter"} or (call.name in _BUILT and call.arguments and not call.keywords):
        try:
            if call.name in {"map", "filter"}:
                result = evaluator.value(call.node) if call.name == "map" else None
            else:
                result = evaluator.builtin(call.name, [concrete(argument, state.steps) for argument in call.arguments])
        except NotPure:
            result = None
        if result is not None and not isinstance(result, range):
            value = abstract(result)
            labels = join(call.labels, built_label(value) if evaluator.built else NO_LABELS)
            return replace(value, labels=labels)
    if call.name in {"str", "repr", "bytes"} and call.arguments:
        return Value(first.constant, first.labels, "" if first.name not in _PASSED else first.name, first.folded, first.others)  # fmt: skip
    if call.name in _SAME_ELEMENTS and call.arguments:
        return replace(first, labels=join(first.labels, call.labels))
    if call.name == "next" and call.arguments:
        return element_of(first)
    if call.name == "enumerate" and call.arguments:
        return Value(labels=first.labels, name="list", items=(Value(name="list", items=(UNKNOWN, element_of(first))),))
    if call.name == "zip" and call.arguments:
        row = tuple(element_of(argument) for argument in call.arguments)
        return Value(labels=call.labels, name="list", items=(Value(name="list", items=row),))
    if call.name == "dict":
        fields = dict(first.fields or {}) | {key: value for key, value in call.keywords.items() if key != "**"}
        return (
            Value(labels=call.labels, name="dict", fields=fields) if len(fields) <= 512 else Value(labels=call.labels)
        )
    if call.name == "str.maketrans" and len(call.arguments) == 2:
        return Value(name="translation", items=call.arguments)
    if call.name in {"urllib.parse.unquote", "urllib.parse.unquote_plus", "html.unescape"} and first.text:
        plain = html.unescape(first.text) if call.name == "html.unescape" else urllib.parse.unquote(first.text)
        return Value(plain, first.labels, folded=plain != first.text)
    if call.name in {"json.dumps", "json.loads"}:
        return _json(state, call)
    if call.name in {"copy.copy", "copy.deepcopy", "typing.cast", "asyncio.run", "asyncio.wait_for", "asyncio.to_thread"} and call.arguments:  # fmt: skip
        return either(call.arguments) if call.name == "typing.cast" else first
    return None


def _json(state: State, call: Call) -> Value | None:
    try:
        if call.name == "json.dumps":
            return Value(json.dumps(concrete(call.first, state.steps))[:MAX_CONSTANT], call.labels)
        state.steps.take(1 + len(call.first.text) // 8)
        return replace(abstract(json.loads(call.first.text)), labels=call.labels) if call.first.text else None
    except (NotPure, ValueError, TypeError, RecursionError):
        return None


def _brought_along(call: Call) -> Value:
    """A call of something that is not known: its result comes from what it was given."""
    holder = call.holder
    if call.method in {"encrypt", "encrypt_and_digest"}:
        result = Value(labels=join(holder.labels, call.labels), name="encrypted")
        return result if call.method == "encrypt" else Value(labels=result.labels, name="list", items=(result, UNKNOWN))
    if holder.name in _PASSED or call.method in _READ_RESPONSES:
        name = holder.name if holder.name in _PASSED or holder.name == "personal" else ""
        return Value(labels=join(holder.labels, call.labels), name=name)
    constructed = call.name if call.name.partition(".")[0] in _TYPED else ""
    held = NO_LABELS if holder.name in CONNECTIONS or holder.name.partition(".")[0] in _TYPED else holder.labels
    if call.name.partition(".")[0] in _ADDRESS_LABELS:
        held = holder.labels
    # What a request names may choose what an unknown function gives back; it is not what is given back.
    given = call.labels if call.name in _HANDING_ON else but(call.labels, Source.REQUEST)
    return Value(
        holder.constant if constructed and call.method in {"cursor", "makefile", "accept", "__enter__"} else None,
        join(held, given),
        constructed,
    )

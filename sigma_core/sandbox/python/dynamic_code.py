"""Code that is reached or made at run time: names put together, text that is run, objects that run when they are loaded."""

from __future__ import annotations

from sigma_core.sandbox.observations import NO_LABELS, Ability, Sink, Source, join, only
from sigma_core.sandbox.python.call_names import (
    DECODERS,
    EVAL_CALLS,
    LOADERS,
    NATIVE_CODE,
    POWERFUL_MODULES,
    RUNNABLE,
)
from sigma_core.sandbox.python.constants import fold_decoder
from sigma_core.sandbox.python.state import State, canonical
from sigma_core.sandbox.python.values import UNKNOWN, Call, Value
from sigma_core.sandbox.vocabulary import name_set

NAMESPACES = name_set("globals locals vars __builtins__ builtins.__dict__ __builtins__.__dict__ sys.modules __dict__")
_IMPORTING = name_set("__import__ importlib.import_module importlib.__import__ imp.load_module pkgutil.resolve_name pydoc.locate")  # fmt: skip
_GETTING = name_set("getattr operator.attrgetter inspect.getattr_static object.__getattribute__ operator.methodcaller")
_RUNNABLE = RUNNABLE | {"__import__"}
_RUNNABLE_NAMES = frozenset(name.rpartition(".")[2] for name in _RUNNABLE) - {"run", "call", "runsource", "push", "spawn"}  # fmt: skip


def reflected(state: State, call: Call) -> Value | None:
    """``getattr``, ``__import__`` and their like: the name that they reach."""
    if call.name in _GETTING:
        holder, attribute = call.argument(0), call.argument(1)
        if call.name.startswith("operator."):
            return Value(name=f"{call.name} {call.first.text}", folded=call.first.folded)
        return _reached(state, holder, attribute, call)
    if call.name.startswith("operator.attrgetter "):
        return _reached(state, call.first, Value(call.name.partition(" ")[2], folded=call.holder.folded), call)
    if call.name in {"globals", "locals", "vars"}:
        return Value(name=f"{call.first.name}.__dict__" if call.first.name else call.name)
    if call.name in _IMPORTING:
        module = call.first
        if module.text:
            name = canonical(module.text)
            if module.folded and name.split(".")[0] in POWERFUL_MODULES:
                state.hit("SIGMA-OBF-009", f"import {name}", call.node)
            labels = state.written_modules.get(name.rpartition(".")[2], NO_LABELS)
            state.flow(only(labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, f"import {name}", call.node)
            return Value(name=name)
        state.can(Ability.DYNAMIC_CODE, call.name, call.node)
        return UNKNOWN
    if call.name == "setattr" and len(call.arguments) > 2:
        if call.arguments[1].text:
            state.bind_attribute(state.class_of(call.first), call.arguments[1].text, call.arguments[2])
        return UNKNOWN
    if call.method == "__subclasses__" and any(part in call.name for part in ("__base", "__mro__", "__class__")):
        state.hit("SIGMA-OBF-009", "__subclasses__", call.node)
        return UNKNOWN
    if call.method in {"get", "__getitem__", "pop"} and call.holder.name in NAMESPACES and call.first.text:
        return named(state, call.first, call)
    return None


def named(state: State, name: Value, call: Call | None = None, holder: str = "") -> Value:
    """What a namespace holds under a ``name`` that may have been put together."""
    reached = canonical(f"{holder}.{name.text}" if holder else name.text)
    if name.folded and call is not None and (reached in _RUNNABLE or reached in POWERFUL_MODULES):
        state.hit("SIGMA-OBF-009", reached, call.node)
    return Value(name=reached)


def _reached(state: State, holder: Value, attribute: Value, call: Call) -> Value:
    if attribute.text and holder.name:
        name = canonical(f"{holder.name}.{attribute.text}")
        own = state.method(state.class_of(holder), attribute.text)
        if attribute.folded and (name in _RUNNABLE or attribute.text in _RUNNABLE_NAMES):
            state.hit("SIGMA-OBF-009", name, call.node)
        return Value(name=own or name)
    if attribute.folded and attribute.text in {"system", "popen", "exec", "eval", "__import__"}:
        state.hit("SIGMA-OBF-009", attribute.text, call.node)
        return Value(name=f"os.{attribute.text}" if attribute.text in {"system", "popen"} else attribute.text)
    return Value(labels=holder.labels)


_STORES = ("pandas", "numpy", "torch", "yaml", "joblib", "shelve", "ickle", "dill", "jsonpickle")


def evaluated(state: State, call: Call) -> Value | None:
    """Text, code objects, objects and libraries that are run."""
    if call.name in EVAL_CALLS:
        return _evaluated(state, call)
    if call.name in LOADERS:
        labels = call.labels
        for text in (text for value in call.arguments for text in value.texts):
            labels = join(labels, only(state.written.get(text, frozenset()), Source.REMOTE, Source.DECODED))
        state.flow(only(labels, Source.REMOTE), Sink.EXECUTE, call.name, call.node)
        # Unpacking what was stored is ordinary; unpacking a text that the code itself carries is not.
        if call.first.texts or not call.name.partition(".")[0].endswith(_STORES):
            state.flow(only(labels, Source.DECODED), Sink.EXECUTE, call.name, call.node)
        return Value(labels=labels)
    if call.name == "yaml.load" and call.argument(1, "Loader").name in {"", "yaml.Loader", "yaml.UnsafeLoader"}:
        state.flow(only(call.labels, Source.REMOTE), Sink.EXECUTE, call.name, call.node)
        return Value(labels=call.labels)
    if call.name in NATIVE_CODE:
        state.can(Ability.DYNAMIC_CODE, call.name, call.node)
        state.flow(only(call.labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, call.name, call.node)
        return Value(labels=call.labels)
    return None


def _evaluated(state: State, call: Call) -> Value:
    code = call.argument(0, "source")
    if call.name == "types.CodeType":
        code = Value(labels=call.labels)
    state.can(Ability.DYNAMIC_CODE, call.name, call.node)
    for text in code.texts:
        step = "decoded" if code.comes_from(Source.DECODED) else "evaluated"
        state.embed(step, "python", text, call.node)
    executed = only(code.labels, Source.REMOTE, Source.DECODED, Source.FILE, Source.ENVIRONMENT)
    if call.name != "compile" and not code.texts:
        executed = join(executed, only(code.labels, Source.REQUEST))
    state.flow(executed, Sink.EXECUTE, call.name, call.node)
    result = Value(code.constant if call.name == "compile" else None, code.labels, "code", others=code.others)
    return _value_of(result, code.text) if call.name == "eval" else result


def _value_of(result: Value, expression: str) -> Value:
    """``eval('name')`` is the thing of that name."""
    reached = canonical(expression.strip())
    return Value(labels=result.labels, name=reached) if reached in _RUNNABLE or reached in POWERFUL_MODULES else result


def decoded(state: State, call: Call) -> Value | None:
    """What was encoded and is text or bytes again."""
    if call.name not in DECODERS:
        return None
    first = call.first
    labels = join(first.labels, call.holder.labels, frozenset({(Source.DECODED, call.name)}))
    if first.constant is None or isinstance(first.constant, int):
        return Value(labels=labels)
    constant = None
    if state.may_put_together():
        constant = fold_decoder(call.name, first.constant, call.argument(1, "encoding").text.lower())
    if constant is None:
        return Value(labels=labels)
    result = state.account(Value(constant, labels, folded=True))
    state.embed(call.method, "text", result.text, call.node)
    return result

"""Calls: which name they reach, and what they are given; own functions and classes are entered, everything else means what the tables say."""

from __future__ import annotations

import ast
from abc import ABC

from sigma_core.sandbox.observations import Labels, Source, join
from sigma_core.sandbox.python.call_meaning import meaning
from sigma_core.sandbox.python.call_names import KEY_LISTENERS, LOADERS
from sigma_core.sandbox.python.expressions import Expressions
from sigma_core.sandbox.python.requests_carried import handed_over
from sigma_core.sandbox.python.state import INSTANCE, canonical
from sigma_core.sandbox.python.values import UNKNOWN, Call, Value, element_of


class CallReading(Expressions, ABC):
    """Reads calls."""

    def _callee(self, node: ast.expr) -> tuple[str, Value, Value]:
        """The dotted name that a call reaches, the object that it is a method of, and the value that is called."""
        if not isinstance(node, ast.Attribute):
            value = self.read(node)
            return value.name or (node.id if isinstance(node, ast.Name) else ""), value, value
        self.work += 1
        holder = self.read(node.value)
        owner = self.class_of(holder)
        if owner or not holder.name:
            own = self.method(owner, node.attr)
            kept = self.attribute(owner, node.attr)
            if own or (kept is not None and kept.name):
                return own or (kept.name if kept is not None else ""), holder, Value(name=own)
            if not holder.name and node.attr in self.methods and holder.constant is None and not holder.labels:
                return self.methods[node.attr], holder, UNKNOWN
            return f".{node.attr}", holder, UNKNOWN
        if holder.name == "super":
            return f".{node.attr}", holder, UNKNOWN
        return canonical(f"{holder.name}.{node.attr}"), holder, UNKNOWN

    def read_call(self, node: ast.Call) -> Value:
        """The value of a call; reports what it does."""
        name, holder, called = self._callee(node.func)
        arguments: list[Value] = []
        for argument in node.args:
            value = self.read(argument)
            arguments += value.items[:64] if isinstance(argument, ast.Starred) and value.items is not None else [value]
        keywords: dict[str, Value] = {}
        for keyword in node.keywords:
            value = self.read(keyword.value)
            if keyword.arg is None:
                keywords = dict(value.fields or {"**": value}) | keywords
            else:
                keywords[keyword.arg] = value
        labels = join(*(value.labels for value in arguments), *(value.labels for value in keywords.values()))
        if name in self.classes:
            return self._instance(name, arguments, keywords, labels)
        if name.endswith(INSTANCE):
            name = self.method(self.class_of(called), "__call__")
        if name in self.functions:
            result = self.enter(name, arguments, keywords, self.class_of(holder))
            return result if result is not UNKNOWN else Value(labels=labels)
        name = canonical(name)
        if name == "functools.partial" and arguments:
            name, arguments = arguments[0].name, arguments[1:]
            if name in self.functions:
                self.enter(name, arguments, keywords, "")
                return Value(name=name)
        if name in {"super", "object"}:
            return Value(name="super")
        if name == "iter" and arguments and arguments[0].name in self.functions:
            return Value(labels=self.enter(arguments[0].name, (), {}, "").labels)
        self._callbacks(name, arguments, keywords)
        call = Call(name, name.rpartition(".")[2], holder, tuple(arguments), keywords, labels, node)
        evaluator, _ = self.evaluator()
        result = meaning(self, call, evaluator)
        if name in {"compile", "functools.partial"} or name in LOADERS:
            return result
        return result if called.name != "code" else Value(labels=join(result.labels, called.labels))

    def _instance(self, name: str, arguments: list[Value], keywords: dict[str, Value], labels: Labels) -> Value:
        made = self.method(name, "__init__")
        if made:
            self.enter(made, arguments, keywords, name)
        else:
            for key, value in keywords.items():
                self.bind_attribute(name, key, value)
        return Value(labels=labels, name=name + INSTANCE)

    def _callbacks(self, name: str, arguments: list[Value], keywords: dict[str, Value]) -> None:
        """Own functions that are handed to somebody else's call are called with what goes along with them."""
        listened: tuple[Value, ...] = ()
        if name in KEY_LISTENERS:
            listened = (Value(labels=frozenset({(Source.PERSONAL, name)})),)
        for at, value in enumerate([*arguments, *keywords.values()]):
            if value.name not in self.functions:
                continue
            given = listened
            if not given and at < len(arguments):
                given = tuple(arguments[at + 1 :])
                if name.rpartition(".")[2] in {"map", "filter", "imap", "imap_unordered"}:
                    given = tuple(element_of(item) for item in given)
                elif name.endswith("Timer") and given and given[0].items is not None:
                    given = given[0].items
            if not given and handed_over(name, self.imported):
                given = (Value(labels=frozenset({(Source.REQUEST, "message")})),) * len(
                    self.functions[value.name].parameters
                )
            if name == "asyncio.start_server":
                given = (Value(name="socket.reader", labels=frozenset({(Source.REQUEST, name)})), UNKNOWN)
            if "args" in keywords and keywords["args"].items is not None:
                given = keywords["args"].items
            if given:
                self.enter(value.name, given, {}, "")

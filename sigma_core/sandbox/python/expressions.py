"""Expressions: one abstract value for each, read once."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sigma_core.sandbox.observations import NO_LABELS, Ability, Source, but, join
from sigma_core.sandbox.python import dynamic_code
from sigma_core.sandbox.python.call_names import CONNECTIONS, RUNNABLE
from sigma_core.sandbox.python.constants import GAP, filled, fold_operation, joined, shown, sliced
from sigma_core.sandbox.python.evaluation import Evaluator
from sigma_core.sandbox.python.name_conditions import secrets_tested
from sigma_core.sandbox.python.paths import PATH, divided, path_attribute
from sigma_core.sandbox.python.pure_values import NotPure, abstract, built_label, concrete
from sigma_core.sandbox.python.requests_carried import carried, of_caller
from sigma_core.sandbox.python.state import State, canonical
from sigma_core.sandbox.python.surroundings import ENVIRONMENT, variable
from sigma_core.sandbox.python.values import (
    MAX_CONSTANT,
    MAX_ITEMS,
    MAX_JOINED_ITEMS,
    MAX_TEXTS,
    UNKNOWN,
    Call,
    Value,
    either,
    element_of,
)

MAX_DEPTH = 80
_Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


class Expressions(State, ABC):
    """Reads expressions in the scope that the statements are in."""

    depth = 0

    @abstractmethod
    def read_call(self, node: ast.Call) -> Value:
        """The value of a call."""

    @abstractmethod
    def enter(self, function: str, arguments: Sequence[Value], keywords: Mapping[str, Value], receiver: str) -> Value:
        """Read an own function with what it is given; its result."""

    @abstractmethod
    def define_lambda(self, node: ast.Lambda) -> Value:
        """The own function that a lambda makes."""

    def read(self, node: ast.expr) -> Value:
        """The value of an expression; what is nested too deep is unknown."""
        self.work += 1
        if self.depth >= MAX_DEPTH:
            self.cut = True
            return UNKNOWN
        self.depth += 1
        try:
            return self._read(node)
        finally:
            self.depth -= 1

    def _read(self, node: ast.expr) -> Value:
        reader = _READERS.get(type(node))
        if reader is not None:
            return reader(self, node)
        labels = [self.read(child).labels for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        return Value(labels=join(*labels))

    def _name(self, node: ast.Name) -> Value:
        return self.look(node.id)

    def _inner(self, node: ast.Await | ast.Starred) -> Value:
        return self.read(node.value)

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.read(node.operand)
        if isinstance(node.op, ast.USub) and isinstance(value.constant, int):
            return replace(value, constant=-value.constant)
        return value if not isinstance(node.op, ast.Not) else Value(labels=value.labels)

    def _bound_on_the_way(self, node: ast.NamedExpr) -> Value:
        value = self.read(node.value)
        self.bind_name(node.target.id, value)
        return value

    def _conditional(self, node: ast.IfExp) -> Value:
        self.read(node.test)
        return either([self.read(node.body), self.read(node.orelse)])

    def _alternatives(self, node: ast.BoolOp) -> Value:
        return either([self.read(value) for value in node.values])

    def _yielded(self, node: ast.Yield | ast.YieldFrom) -> Value:
        value = self.read(node.value) if node.value is not None else UNKNOWN
        if self.stack:
            one = isinstance(node, ast.Yield)
            self.stack[-1].returned.append(replace(value, items=(value,)) if one else value)
        return Value(labels=value.labels)

    # -- collections --------------------------------------------------------------------------------------------------

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set) -> Value:
        items: list[Value] = []
        for element in node.elts:
            value = self.read(element)
            if isinstance(element, ast.Starred):
                items += value.items if value.items is not None else [Value(labels=value.labels)]
            else:
                items.append(value)
        return Value(labels=join(*(item.labels for item in items)), name="list", items=tuple(items[:MAX_ITEMS]))

    def _dictionary(self, node: ast.Dict) -> Value:
        fields: dict[str, Value] = {}
        labels = NO_LABELS
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            key = self.read(key_node) if key_node is not None else UNKNOWN
            value = self.read(value_node)
            labels = join(labels, key.labels, value.labels)
            if key_node is None:
                fields |= value.fields or {}
            elif key.constant is not None and len(fields) < MAX_ITEMS:
                fields[shown(key)] = value
        return Value(labels=labels, name="dict", fields=fields)

    def _comprehension(self, node: _Comprehension) -> Value:
        if not isinstance(node, ast.DictComp):
            computed = self.computed(node)
            if computed is not None:
                return computed
        self.loops += 1
        tested = NO_LABELS
        for generator in node.generators:
            self.bind(generator.target, element_of(self.read(generator.iter)))
            for test in generator.ifs:
                self.read(test)
                for name, labels in secrets_tested(test, self.look):
                    self.bind_name(name, self.look(name).labelled(labels))
        if isinstance(node, ast.DictComp):
            key, value = self.read(node.key), self.read(node.value)
            self.loops -= 1
            return Value(labels=join(tested, key.labels, value.labels), name="dict")
        value = self.read(node.elt)
        self.loops -= 1
        return Value(labels=value.labels, name="list", items=(value,) if value.texts or value.name or value.items else None)  # fmt: skip

    # -- pure computations --------------------------------------------------------------------------------------------

    def evaluator(self) -> tuple[Evaluator, list[Value]]:
        """An evaluator of pure computations in this scope, and the values that it looks up."""
        used: list[Value] = []

        def lookup(name: str) -> Any:
            value = self.look(name)
            used.append(value)
            return concrete(value, self.steps)

        def function(name: str) -> ast.FunctionDef | None:
            known = self.functions.get(name)
            return known.node if known is not None and isinstance(known.node, ast.FunctionDef) else None

        return Evaluator(lookup, self.dotted, function, self.steps), used

    def dotted(self, node: ast.expr) -> str:
        """The name that a chain of attributes stands for, where its root is an import or own definition."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        root = self.look(node.id)
        if not root.name or root.constant is not None or root.name in {"list", "dict"}:
            return ""
        return ".".join([root.name, *reversed(parts)])

    def computed(self, node: ast.expr) -> Value | None:
        """The value of a pure computation, or None."""
        evaluator, used = self.evaluator()
        try:
            value = abstract(evaluator.value(node))
        except NotPure:
            return None
        labels = join(*(value.labels for value in used))
        return replace(value, labels=join(labels, built_label(value) if evaluator.built else NO_LABELS))

    # -- names --------------------------------------------------------------------------------------------------------

    def bind(self, target: ast.expr, value: Value) -> None:
        """Let what stands left of an ``=`` hold ``value``."""
        if isinstance(target, ast.Name):
            self.bind_name(target.id, value)
        elif isinstance(target, ast.Attribute):
            self._bind_attribute(target, value)
        elif isinstance(target, ast.Subscript):
            self._bind_entry(target, value)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value)
        elif isinstance(target, ast.Tuple | ast.List):
            if value.items is not None and len(value.items) == len(target.elts):
                for element, item in zip(target.elts, value.items, strict=True):
                    self.bind(element, item)
            else:
                each = element_of(value) if value.items is not None else Value(labels=value.labels)
                for element in target.elts:
                    self.bind(element, each)

    def _bind_attribute(self, target: ast.Attribute, value: Value) -> None:
        if isinstance(target.value, ast.Name):
            holder = self.look(target.value.id)
            owner = self.class_of(holder)
            self.bind_attribute(owner, target.attr, value)
            if holder.name == "sys" and target.attr == "stdin" and value.comes_from(Source.REMOTE):
                self.hit("SIGMA-THREAT-004", "socket as input of the program", target)
            elif value.name in RUNNABLE and not owner and holder.name and not value.name.endswith(f".{target.attr}"):
                self.hit("SIGMA-OBF-009", f"{holder.name}.{target.attr} is {value.name}", target)
            if value.labels and not owner:
                self.absorb(target.value, value.labels)
        else:
            self.bind_attribute("", target.attr, value)

    def _bind_entry(self, target: ast.Subscript, value: Value) -> None:
        # Never read here: what a target holds was read where it was bound, and reading twice doubles with every level.
        if isinstance(target.value, ast.Name):
            holder = self.look(target.value.id)
            key = target.slice.value if isinstance(target.slice, ast.Constant) else None
            if isinstance(target.slice, ast.Name):
                key = self.look(target.slice.id).text or None
            if holder.fields is not None and isinstance(key, str) and len(holder.fields) < 256:
                fields = {**holder.fields, key: value}
                self.rebind(target.value.id, replace(holder, labels=join(holder.labels, value.labels), fields=fields))  # fmt: skip
            elif holder.name != "os.environ":
                if value.labels:
                    self.absorb(target.value, value.labels)
                self.grow(target.value)
        elif isinstance(target.value, ast.Attribute) and value.labels:
            self.absorb(target.value, value.labels)

    def _attribute(self, node: ast.Attribute) -> Value:
        holder = self.read(node.value)
        if labels := carried(node, holder):
            return Value(labels=labels)
        owner = self.class_of(holder)
        if owner or not holder.name:
            own = self.method(owner, node.attr)
            if own in self.properties:
                return self.enter(own, [], {}, owner)
            if own:
                return Value(name=own)
            kept = self.attribute(owner, node.attr)
            if kept is not None:
                return kept if owner else kept.labelled(holder.labels)
            if owner:
                return Value(labels=join(holder.labels, of_caller(node.attr, owner, self.functions)))
        if holder.name == PATH:
            part = path_attribute(holder, node.attr)
            if part is not None:
                return part
        name = canonical(f"{holder.name}.{node.attr}") if holder.name else ""
        if name in {"os.environ", "os.environb"}:
            self.can(Ability.ENVIRONMENT, "*", node)
            return Value(name="os.environ", labels=ENVIRONMENT)
        if name == "sys.argv":
            return Value(name=name, labels=frozenset({(Source.INPUT, "argument")}))
        if name == "sys.executable":
            return Value("python3", name=name)
        if holder.name in {"response", "file:read", "personal", "file:write", "archive", "buffer"}:
            return Value(labels=holder.labels, name=holder.name if node.attr not in {"name", "status_code"} else "", constant=holder.constant if node.attr in {"name", "buffer", "file"} else None)  # fmt: skip
        if holder.name == "process":
            return Value(holder.constant if node.attr == "stdin" else None, holder.labels, "process.stdin" if node.attr == "stdin" else "response")  # fmt: skip
        if node.attr == "headers" and holder.name in CONNECTIONS:
            return Value(name=name)
        if node.attr == "__class__" or name.endswith("__dict__"):
            return Value(labels=holder.labels, name=name)
        return Value(labels=holder.labels, name=name)

    def _subscript(self, node: ast.Subscript) -> Value:
        holder = self.read(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = tuple(None if bound is None else _number(self.read(bound)) for bound in (node.slice.lower, node.slice.upper, node.slice.step))  # fmt: skip
            return sliced(holder, node.slice, (bounds[0], bounds[1], bounds[2]))
        index = self.read(node.slice)
        chosen = but(index.labels, Source.REQUEST)
        if holder.name == "os.environ":
            return variable(self, index, node)
        if index.text and (holder.name in dynamic_code.NAMESPACES or holder.name.endswith(".__dict__")):
            return self._namespace_entry(holder, index, node)
        if holder.fields is not None and index.constant is not None:
            entry = holder.fields.get(shown(index))
            return entry if entry is not None else Value(labels=holder.labels)
        if isinstance(index.constant, int):
            if holder.items is not None and -len(holder.items) <= index.constant < len(holder.items):
                return holder.items[index.constant]
            if isinstance(holder.constant, str) and -len(holder.constant) <= index.constant < len(holder.constant):
                return Value(holder.constant[index.constant], holder.labels, folded=True)
            if isinstance(holder.constant, bytes) and -len(holder.constant) <= index.constant < len(holder.constant):
                return Value(holder.constant[index.constant], holder.labels)
        if holder.name == PATH or holder.name.startswith("listing"):
            return element_of(holder) if holder.name.startswith("listing") else holder
        if holder.items is not None or holder.fields is not None:
            every = holder.items if holder.items is not None else tuple((holder.fields or {}).values())
            return either(every[:MAX_TEXTS]).labelled(join(holder.labels, chosen))
        kept = holder.name if holder.name in {"response", "sys.argv"} else ""
        return Value(labels=join(holder.labels, chosen), name=kept)

    def _namespace_entry(self, holder: Value, index: Value, node: ast.Subscript) -> Value:
        call = Call("[]", "[]", holder, (), {}, NO_LABELS, ast.copy_location(ast.Call(node.value, [], []), node))
        if holder.name.endswith(".__dict__") and holder.name not in dynamic_code.NAMESPACES:
            return dynamic_code.named(self, index, call, holder.name.removesuffix(".__dict__"))
        if holder.name in {"globals", "locals", "vars"}:
            held = self.look(index.text)
            if held is not UNKNOWN:
                return held
        return dynamic_code.named(self, index, call)

    # -- operators ----------------------------------------------------------------------------------------------------

    def _operation(self, node: ast.BinOp) -> Value:
        # A sum of many pieces leans to the left: walked down, not recursed into.
        chain = [node]
        while isinstance(chain[-1].left, ast.BinOp):
            chain.append(chain[-1].left)
        value = self.read(chain[-1].left)
        for link in reversed(chain):
            self.work += 1
            value = self._operated(link, value, self.read(link.right))
        return self.put_together(value, node) if isinstance(node.op, ast.Add) else value

    def _operated(self, node: ast.BinOp, left: Value, right: Value) -> Value:
        labels = join(left.labels, right.labels)
        if isinstance(node.op, ast.Add):
            return joined(left, right)
        if isinstance(node.op, ast.Div) and (PATH in {left.name, right.name} or right.texts):
            return divided(left, right)
        if isinstance(node.op, ast.Mod) and isinstance(left.constant, str | bytes):
            return Value(filled(left.text, right), labels, folded=right.constant is not None)
        if isinstance(node.op, ast.Mult) and left.items is not None and isinstance(right.constant, int):
            return replace(
                left, items=left.items * max(0, min(right.constant, MAX_JOINED_ITEMS // max(1, len(left.items))))
            )
        if isinstance(node.op, ast.BitOr) and left.fields is not None and right.fields is not None:
            return Value(labels=labels, name="dict", fields={**left.fields, **right.fields})
        if left.constant is not None and right.constant is not None:
            constant = fold_operation(node.op, left.constant, right.constant)
            return Value(constant, labels, folded=isinstance(constant, str | bytes))
        return Value(labels=labels)

    def _formatted(self, node: ast.JoinedStr) -> Value:
        pieces: list[tuple[str, ...]] = []
        labels = NO_LABELS
        all_known = True
        for part in node.values:
            if isinstance(part, ast.Constant):
                pieces.append((str(part.value),))
                continue
            value = self.read(part.value) if isinstance(part, ast.FormattedValue) else self.read(part)
            labels = join(labels, value.labels)
            all_known &= value.constant is not None
            pieces.append(value.texts or (shown(value) if value.constant is not None else GAP,))
        longest = max((len(texts) for texts in pieces), default=0)
        texts = dict.fromkeys("".join(texts[min(at, len(texts) - 1)] for texts in pieces)[:MAX_CONSTANT] for at in range(longest))  # fmt: skip
        first, *others = texts or ("",)
        value = Value(first, labels, folded=all_known and len(pieces) > 1, others=tuple(others))
        return self.put_together(value, node)


def _constant(_: Expressions, node: ast.Constant) -> Value:
    if isinstance(node.value, str | bytes):
        return Value(node.value[:MAX_CONSTANT])
    if isinstance(node.value, bool) or node.value is None:
        return Value(name=str(node.value)) if node.value is not None else UNKNOWN
    if isinstance(node.value, int) and abs(node.value) < 2**63:
        return Value(node.value)
    return UNKNOWN


def _number(value: Value) -> int | None:
    return value.constant if isinstance(value.constant, int) else None


_READERS: dict[type[ast.expr], Callable[[Expressions, Any], Value]] = {
    ast.Constant: _constant,
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Call: lambda reader, node: reader.read_call(node),
    ast.BinOp: Expressions._operation,
    ast.JoinedStr: Expressions._formatted,
    ast.Subscript: Expressions._subscript,
    ast.Await: Expressions._inner,
    ast.Starred: Expressions._inner,
    ast.UnaryOp: Expressions._unary,
    ast.NamedExpr: Expressions._bound_on_the_way,
    ast.Lambda: lambda reader, node: reader.define_lambda(node),
    ast.IfExp: Expressions._conditional,
    ast.BoolOp: Expressions._alternatives,
    ast.ListComp: Expressions._comprehension,
    ast.SetComp: Expressions._comprehension,
    ast.GeneratorExp: Expressions._comprehension,
    ast.DictComp: Expressions._comprehension,
    ast.List: Expressions._sequence,
    ast.Tuple: Expressions._sequence,
    ast.Set: Expressions._sequence,
    ast.Dict: Expressions._dictionary,
    ast.Yield: Expressions._yielded,
    ast.YieldFrom: Expressions._yielded,
}

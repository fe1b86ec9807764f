"""The state of one reading of a script, and how its syntax is walked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import tree_sitter

from sigma_core.sandbox.javascript.values import MAX_PARTS, UNKNOWN, Value
from sigma_core.sandbox.observations import Ability, Labels, Observations, Sink, Source, join, only

MAX_DEPTH = 100
MAX_ENCLOSING = 8

_SILENT = frozenset(
    "true false null undefined comment regex this super property_identifier type_annotation type_arguments type_parameters "
    "interface_declaration type_alias_declaration predefined_type type_identifier accessibility_modifier function_signature "
    "implements_clause abstract_method_signature".split()
)
_TRANSPARENT = frozenset(
    "await_expression parenthesized_expression spread_element unary_expression yield_expression expression_statement arguments".split()
)
_FIRST = frozenset({"non_null_expression", "as_expression", "satisfies_expression", "instantiation_expression"})


@dataclass
class Reader:
    """``expressions`` maps a kind of syntax to the function that reads it. A script is walked twice: the second walk, which
    reports, knows the names that the first one met. ``polls`` counts the loops and timers around that come back by themselves, ``come_back`` are functions that have themselves called again later."""

    out: Observations
    data: bytes
    offsets: list[int] | None
    work_left: int
    expressions: Mapping[str, Callable[[Reader, tree_sitter.Node], Value]]
    names: dict[str, Value] = field(default_factory=dict)
    functions: dict[str, list[str]] = field(default_factory=dict)
    returns: dict[str, Value] = field(default_factory=dict)
    written: dict[str, Labels] = field(default_factory=dict)
    enclosing: list[str] = field(default_factory=list)
    postponed: list[tuple[tree_sitter.Node, list[str]]] = field(default_factory=list)
    emitting: bool = False
    depth: int = 0
    polls: int = 0
    come_back: set[str] = field(default_factory=set)

    def walk(self, root: tree_sitter.Node, *, emitting: bool) -> None:
        """Read everything below ``root``. What is nested too deep for one pass is read for itself, apart from what is around it."""
        self.emitting, self.postponed = emitting, [(root, [])]
        while self.postponed:
            node, self.enclosing = self.postponed.pop()
            self.depth = 0
            self.read(node)

    def text(self, node: tree_sitter.Node | None) -> str:
        """The source text of ``node``; empty for none."""
        return "" if node is None else self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")

    # -- reports ------------------------------------------------------------------------------------------------------

    def span(self, node: tree_sitter.Node) -> tuple[int, int]:
        """Character offsets of ``node``."""
        if self.offsets is None:
            return node.start_byte, node.end_byte
        last = len(self.offsets) - 1
        return self.offsets[min(node.start_byte, last)], self.offsets[min(node.end_byte, last)]

    def can(self, ability: Ability, subject: str, node: tree_sitter.Node) -> None:
        """Report a capability."""
        if self.emitting:
            self.out.can(ability, subject, *self.span(node))

    def flow(self, labels: Labels, sink: Sink, target: str, node: tree_sitter.Node) -> None:
        """Report that a value with ``labels`` reached ``sink``."""
        if self.emitting and labels:
            self.out.flow(labels, sink, target, *self.span(node))
            if sink is Sink.EXECUTE and self.polls:
                self.out.flow(only(labels, Source.REMOTE), Sink.EXECUTE_IN_LOOP, target, *self.span(node))

    def hit(self, rule_id: str, subject: str, node: tree_sitter.Node) -> None:
        """Report a structural rule's match."""
        if self.emitting:
            self.out.hit(rule_id, subject, *self.span(node))

    def embed(self, step: str, language: str, text: str, node: tree_sitter.Node) -> None:
        """Report text to be read again."""
        if self.emitting and len(text) >= 4:
            self.out.embed(step, language, text, *self.span(node))

    # -- names --------------------------------------------------------------------------------------------------------

    @property
    def function(self) -> str:
        """The function that is being read; empty outside functions."""
        return self.enclosing[-1] if self.enclosing else ""

    def lookup(self, name: str) -> Value | None:
        """What ``name`` stands for here, from the inside out."""
        for function in self.enclosing[: -MAX_ENCLOSING - 1 : -1]:
            value = self.names.get(f"{function}:{name}")
            if value is not None:
                return value
        return self.names.get(f":{name}")

    def name(self, name: str, value: Value) -> None:
        """From here on ``name`` stands for ``value`` in this function."""
        self.names[f"{self.function}:{name}"] = value

    # -- the walk -----------------------------------------------------------------------------------------------------

    def read(self, node: tree_sitter.Node | None) -> Value:
        """The value of ``node``; what is in it is reported on the way."""
        if node is None:
            return UNKNOWN
        if self.depth >= MAX_DEPTH:
            self.postponed.append((node, self.enclosing[-MAX_ENCLOSING:]))
            return UNKNOWN
        self.depth += 1
        value = self._read(node)
        self.depth -= 1
        return self._within_budget(value)

    def _within_budget(self, value: Value) -> Value:
        """``value``, without its text once the work for this script is used up: texts that grow by repetition end here."""
        size = (len(value.constant) if value.constant else 0) + len(value.parts)
        if size <= 256:
            return value
        if self.work_left < size:
            self.out.bound("text built at run time")
            return replace(value, constant=None, parts=())
        self.work_left -= size
        return value

    def _read(self, node: tree_sitter.Node) -> Value:
        kind = node.type
        expression = self.expressions.get(kind)
        if expression is not None:
            return expression(self, node)
        if kind == "number":
            return Value(constant=self.text(node))
        if kind in _SILENT:
            return UNKNOWN
        children = node.named_children
        if children and (kind in _FIRST or (kind in _TRANSPARENT and len(children) == 1)):
            return self.read(children[0])
        if kind == "type_assertion" and children:
            return self.read(children[-1])
        return Value(labels=join(*[self.read(child).labels for child in children][:MAX_PARTS]))

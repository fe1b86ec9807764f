"""What an analysis of one module knows while it reads: names and what they hold, own functions, written files; and how it reports."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace

from sigma_core.sandbox.observations import NO_LABELS, Ability, Labels, Observations, Sink, Source, join, only
from sigma_core.sandbox.python.call_names import ASSUMED_MODULES, BUILTINS, CANONICAL, KNOWN_NAMES
from sigma_core.sandbox.python.pure_values import Steps, steps_for
from sigma_core.sandbox.python.values import MAX_CONSTANT, MAX_PATH, UNKNOWN, Value, either

INSTANCE = "()"
"""Ends the name of an own class's objects."""
MIN_FOLDED = 8
MAX_BASES = 16
FOLDED_BYTES = 32
"""How many times the size of the module its text may be put together in one walk: a text that grows piece by piece is copied with every piece."""
_CLEARED = frozenset({"file:read", "file:write"})


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the module. ``owner`` is the name of its class, or empty; ``polls`` says that it has itself called again later."""

    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    parameters: tuple[str, ...]
    owner: str
    polls: bool


@dataclass(slots=True)
class Activation:
    """A function that is being read: what it has returned so far."""

    name: str
    returned: list[Value] = field(default_factory=list)


class State:
    """Names, functions and reports of one module. Places are offsets of characters in its source, none beyond ``end``."""

    def __init__(self, source: str, observations: Observations, end: int) -> None:
        self.out = observations
        self.emitting = False
        self.work = 0
        self.steps = Steps(0)
        self.cut = False
        self.reads_clipboard = False
        self._folded: dict[ast.AST | tuple[str, str], tuple[str, ast.AST]] = {}
        self._length = len(source)
        self._end = end
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self.before: dict[str, dict[str, Value]] = {}
        self.begin_walk()

    def begin_walk(self) -> None:
        """Forget what the module's names hold; what they held at the end of the last walk stays as `before`."""
        self.work += self.steps.spent
        self.steps = Steps(steps_for(self._length))
        self._foldable = FOLDED_BYTES * self._length + MAX_CONSTANT
        self.scopes: dict[str, dict[str, Value]] = {"": {}}
        self.attributes: dict[tuple[str, str], Value] = {}
        self.functions: dict[str, Function] = {}
        self.classes: dict[str, tuple[str, ...]] = {}
        self.methods: dict[str, str] = {}
        self.properties: set[str] = set()
        self.globals: set[tuple[str, str]] = set()
        self.written: dict[str, Labels] = {}
        self.written_modules: dict[str, Labels] = {}
        self.contents: dict[str, str] = {}
        self.star_modules: list[str] = []
        self.imported: set[str] = set()
        self.sockets = False
        self.stack: list[Activation] = []
        self.scope = ""
        self.conditional = 0
        self.loops = 0
        self.polls = 0

    # -- reports ------------------------------------------------------------------------------------------------------

    def _offset(self, line: int, column: int) -> int:
        if not 1 <= line <= len(self._lines):
            return self._starts[-1] - 1
        text = self._lines[line - 1]
        if not text.isascii():
            column = len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore"))
        return self._starts[line - 1] + min(column, len(text))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where ``node`` starts and ends."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end_line = getattr(node, "end_lineno", None) or line
        end_column = getattr(node, "end_col_offset", None) or column
        start = min(self._offset(line, column), self._end)
        return start, max(start, min(self._offset(end_line, end_column), self._end))

    def can(self, ability: Ability, subject: str, node: ast.AST) -> None:
        """Report a capability."""
        if self.emitting:
            self.out.can(ability, subject, *self.span(node))

    def flow(self, labels: Labels, sink: Sink, target: str, node: ast.AST) -> None:
        """Report that a value with ``labels`` reached ``sink``."""
        if self.emitting and labels:
            self.out.flow(labels, sink, target, *self.span(node))
            if sink is Sink.EXECUTE and self.polls and " " not in target:
                self.out.flow(only(labels, Source.REMOTE), Sink.EXECUTE_IN_LOOP, target, *self.span(node))

    def hit(self, rule_id: str, subject: str, node: ast.AST) -> None:
        """Report a structural rule's match."""
        if self.emitting:
            self.out.hit(rule_id, subject, *self.span(node))

    def embed(self, step: str, language: str, text: str, node: ast.AST) -> None:
        """Report text to be read again."""
        if self.emitting and len(text) >= 4:
            self.out.embed(step, language, text, *self.span(node))

    def may_put_together(self) -> bool:
        """Whether more text may be put together in this walk."""
        return self._foldable > 0

    def account(self, value: Value) -> Value:
        """Count a text that was put together; the value without it where that is more than the size of the module allows."""
        size = len(value.constant) if isinstance(value.constant, str | bytes) else 0
        self._foldable -= size
        self.work += size // 1_024
        return value if self._foldable >= 0 else replace(value, constant=None, others=())

    def put_together(self, value: Value, node: ast.AST, name: str = "") -> Value:
        """Note a text that the code builds; the last form that an expression, or a ``name`` that grows, takes is reported. The value as `account` leaves it."""
        value = self.account(value)
        size = len(value.constant) if isinstance(value.constant, str | bytes) else 0
        if self.emitting and value.folded and size >= MIN_FOLDED:
            self._folded[(self.scope, name) if name else node] = (value.text, node)
        return value

    def report_folded(self) -> None:
        """Report the texts that the code builds."""
        for text, node in self._folded.values():
            self.embed("concatenation", "text", text, node)

    # -- names --------------------------------------------------------------------------------------------------------

    def look(self, name: str) -> Value:
        """What a name holds here."""
        scope = self.scope
        while True:
            value = self.scopes.get(scope, _EMPTY).get(name)
            if value is None or self.loops:
                earlier = self.before.get(scope, _EMPTY).get(name)
                if earlier is not None:
                    value = earlier if value is None else value.labelled(earlier.labels)
            if value is not None:
                return value
            if not scope:
                return self._free(name)
            scope = scope.rpartition("/")[0]

    def _free(self, name: str) -> Value:
        for module in self.star_modules:
            reached = canonical(f"{module}.{name}")
            if reached in KNOWN_NAMES:
                return Value(name=reached)
        if name == "__file__":
            return Value("__file__")
        return Value(name=canonical(name)) if name in BUILTINS or name in ASSUMED_MODULES else UNKNOWN

    def bind_name(self, name: str, value: Value) -> None:
        """Let ``name`` hold ``value``; where that may not have happened, it may also still hold what it did."""
        scope = "" if (self.scope, name) in self.globals else self.scope
        holder = self.scopes.setdefault(scope, {})
        if self.conditional and (held := holder.get(name)) is not None and held is not value:
            value = _or_still(value, held)
        holder[name] = value

    def absorb(self, target: ast.expr, labels: Labels) -> None:
        """Let the object that ``target`` (or whose method ``target``) is hold ``labels`` too, wherever its name was bound."""
        while isinstance(target, ast.Attribute) and not (
            isinstance(target.value, ast.Name) and target.value.id in {"self", "cls"}
        ):
            target = target.value
        if isinstance(target, ast.Attribute):
            held = self.attribute(self.owner(), target.attr) or UNKNOWN
            self.attributes[self.owner(), target.attr] = self.attributes["", target.attr] = held.labelled(labels)
        elif isinstance(target, ast.Name):
            holder = self._home(target.id)
            holder[target.id] = holder.get(target.id, UNKNOWN).labelled(labels)

    def grow(self, target: ast.expr) -> None:
        """Let the collection that ``target`` names hold more than is known of it."""
        if isinstance(target, ast.Name):
            held = self.look(target.id)
            if (held.items is not None or held.fields is not None) and not held.open:
                self.rebind(target.id, replace(held, open=True))

    def rebind(self, name: str, value: Value) -> None:
        """Let an object that was changed be known as ``value``, wherever its name was bound."""
        self._home(name)[name] = value

    def _home(self, name: str) -> dict[str, Value]:
        scope = self.scope
        while scope and name not in self.scopes.get(scope, _EMPTY):
            scope = scope.rpartition("/")[0]
        if name not in self.scopes.get(scope, _EMPTY):
            scope = self.scope
        return self.scopes.setdefault(scope, {})

    def bind_attribute(self, owner: str, attribute: str, value: Value) -> None:
        """Let the attribute of an own class's objects hold ``value``; without ``owner``, that of any object."""
        for key in {(owner, attribute), ("", attribute)}:
            held = self.attributes.get(key)
            self.attributes[key] = value if held is None else _or_still(value, held)

    def attribute(self, owner: str, name: str) -> Value | None:
        """What the attribute of an own class's objects (or of any) holds."""
        for _ in range(MAX_BASES):
            if not owner:
                break
            value = self.attributes.get((owner, name)) or self.before.get(f".{owner}", _EMPTY).get(name)
            if value is not None:
                return value
            owner = next(iter(self.classes.get(owner, ())), "")
        return self.attributes.get(("", name)) or self.before.get(".", _EMPTY).get(name)

    def owner(self) -> str:
        """The own class whose method is being read, or empty."""
        return self.class_of(self.look("self"))

    def class_of(self, value: Value) -> str:
        """The own class that a value is, or is an instance of; empty for anything else."""
        name = value.name.removesuffix(INSTANCE)
        return name if name in self.classes else ""

    def method(self, owner: str, name: str) -> str:
        """The own function that a method of an own class is, or empty."""
        for _ in range(MAX_BASES if owner else 0):
            if f"{owner}/{name}" in self.functions:
                return f"{owner}/{name}"
            owner = next(iter(self.classes.get(owner, ())), "")
        return ""

    def end_walk(self) -> None:
        """Keep what names and attributes hold for the next walk."""
        self.before = self.scopes
        for (owner, name), value in self.attributes.items():
            self.before.setdefault(f".{owner}", {})[name] = value

    # -- files that the code writes -----------------------------------------------------------------------------------

    def remember(self, path: str, labels: Labels) -> None:
        """Keep what was written where, so that running or sending that file later is seen."""
        if path:
            key = path[:MAX_PATH]
            self.written[key] = join(self.written.get(key, NO_LABELS), labels)
            if key.endswith(".py"):
                module = key.rpartition("/")[2].removesuffix(".py")
                self.written_modules[module] = join(self.written_modules.get(module, NO_LABELS), labels)

    def labels_at(self, path: str) -> Labels:
        """What was written to ``path``, or unpacked into a folder above it."""
        labels = self.written.get(path, NO_LABELS)
        for _ in range(_MAX_FOLDERS):
            path, slash, _ = path.rpartition("/")
            if not slash:
                break
            labels = join(labels, self.written.get(path, NO_LABELS))
        return labels

    def remember_content(self, path: str, text: str) -> None:
        """Keep the known text that was written to ``path``."""
        if path and text:
            self.contents[path[:MAX_PATH]] = (self.contents.get(path[:MAX_PATH], "") + text)[:MAX_CONSTANT]


_MAX_FOLDERS = 8
_EMPTY: dict[str, Value] = {}


def _or_still(value: Value, held: Value) -> Value:
    """What a name holds after a binding that may not have been made: the new value, and what the old one brought along."""
    if value.comes_from(Source.SECRET_VARIABLE):
        # Branches that choose a key choose its service with it: pairs across branches do not happen.
        held = replace(held, labels=frozenset(label for label in held.labels if label[0] is not Source.SECRET_VARIABLE))
    if value.name in _CLEARED or held.name in _CLEARED:
        return value.labelled(held.labels)
    if value.constant is None and not value.labels and not value.name:
        return held
    merged = either([value, held])
    return merged if merged.items is not None or value.items is None else value.labelled(held.labels)


def canonical(name: str) -> str:
    """The one name of a thing that has several."""
    name = name.removeprefix("builtins.").removeprefix("__builtins__.")
    if name in CANONICAL:
        return CANONICAL[name]
    head, dot, rest = name.partition(".")
    return f"{CANONICAL[head]}.{rest}" if dot and head in CANONICAL else name

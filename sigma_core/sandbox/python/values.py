"""What is known of the value of an expression, and of a call."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sigma_core.sandbox.observations import NO_LABELS, Label, Labels, Source, join

MAX_CONSTANT = 65_536
MAX_PATH = 4_096
MAX_TEXTS = 16
"""Texts that one value is taken to hold at most; a loop over more than these is followed by its first ones."""
MAX_ITEMS = 16_384
MAX_JOINED_ITEMS = 1_024
"""Elements of a sequence that is put together from others."""

_MAX_LOOKED_AT = 64

Constant = str | bytes | int


def utf8(data: bytes) -> str:
    """Bytes as the text that they most likely are; what is not UTF-8 is carried as latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Value:
    """``constant`` where it can be known (of a path: its text, of a file: its path); ``others`` are further texts that it may be.

    ``name`` is the dotted name of the module, function or type that it stands for or is an instance of; own definitions have names that begin with ``/``. ``folded``
    says that the constant was put together. ``items`` are the elements of a sequence, ``fields`` the entries of a dictionary, where known;
    ``open`` says that it may hold more than these.
    """

    constant: Constant | None = None
    labels: Labels = NO_LABELS
    name: str = ""
    folded: bool = False
    others: tuple[str, ...] = ()
    items: tuple[Value, ...] | None = None
    fields: Mapping[str, Value] | None = field(default=None, hash=False)
    open: bool = False

    @property
    def text(self) -> str:
        """The constant as text, or empty."""
        if isinstance(self.constant, str):
            return self.constant
        return utf8(self.constant) if isinstance(self.constant, bytes) else ""

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts that the value may be; none where nothing is known."""
        if self.constant is None or isinstance(self.constant, int):
            return self.others
        return (self.text, *self.others)

    @property
    def paths(self) -> tuple[str, ...]:
        """The texts, each cut to what a path can be."""
        return tuple(text[:MAX_PATH] for text in self.texts)

    def labelled(self, labels: Iterable[Label]) -> Value:
        """The value with ``labels`` added."""
        added = frozenset(labels)
        return self if added <= self.labels else replace(self, labels=join(self.labels, added))

    def comes_from(self, *sources: Source) -> bool:
        """Whether any label is of ``sources``."""
        return any(source in sources for source, _ in self.labels)


UNKNOWN = Value()


def text_value(texts: Iterable[str], labels: Labels = NO_LABELS, name: str = "", *, folded: bool = False) -> Value:
    """A value that is one of ``texts``."""
    known = tuple(dict.fromkeys(text[:MAX_CONSTANT] for text in texts))[:MAX_TEXTS]
    return Value(known[0] if known else None, labels, name, folded, known[1:])


def either(values: Iterable[Value]) -> Value:
    """A value that is one of ``values``: all labels, all texts, the first name."""
    known = [value for value in values if value is not UNKNOWN]
    if not known:
        return UNKNOWN
    if len(known) == 1:
        return known[0]
    first = next((value for value in known if value.constant is not None), known[0])
    texts = tuple(dict.fromkeys(text for value in known for text in value.texts))
    shape = next((value for value in known if value.items is not None or value.fields is not None), UNKNOWN)
    widths = {len(value.items) for value in known if value.items is not None}
    items = shape.items
    if items is not None and len(widths) == 1 and len(items) <= 4 and len(known) <= 64:
        items = tuple(either(value.items[at] for value in known if value.items is not None) for at in range(len(items)))
    return Value(
        first.constant,
        join(*(value.labels for value in known)),
        next((value.name for value in known if value.name), ""),
        first.folded,
        tuple(text for text in texts if text != first.text)[: MAX_TEXTS - 1],
        items,
        shape.fields,
        any(value.open for value in known),
    )


def element_of(value: Value) -> Value:
    """What a loop over ``value`` is given."""
    if value.open and not value.items:
        return Value(labels=value.labels)
    if value.items is not None:
        return either(item.labelled(value.labels) for item in value.items[:_MAX_LOOKED_AT]) if value.items else UNKNOWN
    if value.fields is not None:
        return text_value(value.fields, value.labels)
    if value.name.startswith(("listing", "pathlib.Path")):
        return replace(value, name=value.name.partition(" ")[2] or value.name)
    return Value(labels=value.labels, name=value.name if value.name in {"response", "file:read"} else "")


@dataclass(frozen=True, slots=True)
class Call:
    """A call whose parts have been read: the dotted ``name`` that it reaches, its last part ``method``, and the ``holder`` that it is a method of."""

    name: str
    method: str
    holder: Value
    arguments: tuple[Value, ...]
    keywords: Mapping[str, Value]
    labels: Labels
    node: ast.Call

    def argument(self, at: int, *keywords: str) -> Value:
        """The argument at a position or by one of its names."""
        if at < len(self.arguments):
            return self.arguments[at]
        return next((self.keywords[keyword] for keyword in keywords if keyword in self.keywords), UNKNOWN)

    @property
    def first(self) -> Value:
        """The first argument, or what stands for it by name."""
        return self.argument(0, "url", "path", "file", "filename")

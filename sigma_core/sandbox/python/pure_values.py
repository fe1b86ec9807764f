"""Values of pure computations: what takes part in them, and what they may cost."""

from __future__ import annotations

from typing import Any

from sigma_core.sandbox.observations import NO_LABELS, Labels, Source
from sigma_core.sandbox.python.values import MAX_CONSTANT, MAX_ITEMS, UNKNOWN, Value

MAX_STEPS = 300_000
"""Steps that one walk over a module may take at most; one step is one node, element, or some bytes of a copy."""
_MAX_INTEGER = 2**63
_MAX_DEPTH = 3


class NotPure(Exception):
    """The computation holds something that is not evaluated here, or its bound is used up."""


class Steps:
    """What is left of a file's steps."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.spent = 0

    def take(self, count: int = 1) -> None:
        """Account for ``count`` steps; raises NotPure where too few are left."""
        if self.left < count:
            raise NotPure
        self.left -= count
        self.spent += count


def steps_for(size: int) -> int:
    """Steps of evaluation that one walk over a module of ``size`` characters may take."""
    return min(MAX_STEPS, 1_000 + 16 * size)


def concrete(value: Value, steps: Steps, depth: int = 0) -> Any:
    """The Python value that an abstract one certainly is. Raises NotPure."""
    if value.open or value.name == "personal" or value.name.startswith("file:"):
        raise NotPure
    if value.constant is not None and not value.others:
        return value.constant
    if value.items is not None and depth < _MAX_DEPTH:
        steps.take(len(value.items))
        return [concrete(item, steps, depth + 1) for item in value.items]
    if value.fields is not None and depth < _MAX_DEPTH:
        steps.take(len(value.fields))
        return {key: concrete(item, steps, depth + 1) for key, item in value.fields.items()}
    raise NotPure


def abstract(value: Any, depth: int = 0) -> Value:
    """The abstract value of a computed one."""
    if isinstance(value, bytearray):
        value = bytes(value)
    if isinstance(value, str | bytes):
        return Value(value[:MAX_CONSTANT], folded=True)
    if isinstance(value, int) and not isinstance(value, bool):
        return Value(value) if abs(value) < _MAX_INTEGER else UNKNOWN
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        return Value(name="dict", fields={str(key): abstract(item, depth + 1) for key, item in value.items()})
    if isinstance(value, list | tuple) and depth < _MAX_DEPTH:
        return Value(name="list", items=tuple(abstract(item, depth + 1) for item in value[:MAX_ITEMS]), folded=True)
    return UNKNOWN


def built_label(value: Value) -> Labels:
    """The label of a text, or of its pieces, that was computed from characters."""
    return frozenset({(Source.DECODED, "characters")}) if len(value.text) >= 4 or value.items else NO_LABELS

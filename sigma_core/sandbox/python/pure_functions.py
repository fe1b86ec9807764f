"""The functions and methods that may take part in a pure computation. None of them can reach anything but its arguments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sigma_core.sandbox.python.constants import fold_decoder, fold_method
from sigma_core.sandbox.python.pure_values import NotPure, Steps
from sigma_core.sandbox.python.values import MAX_CONSTANT

_MAX_RANGE = 65_536
_MAX_DIGITS = 32
_UNFOLDING = 4_096


class PureFunctions:
    """Applies functions within ``steps``; ``built`` says whether characters or bytes were computed."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.built = False

    def iterate(self, value: Any) -> Iterator[Any]:
        """The elements of a value, each a step. Raises NotPure."""
        if not isinstance(value, str | bytes | bytearray | list | tuple | dict | range):
            raise NotPure
        for item in value:
            self.steps.take()
            yield item

    def builtin(self, name: str, arguments: list[Any]) -> Any:
        """A built-in function on known arguments. Raises NotPure."""
        self.steps.take()
        first = arguments[0] if arguments else None
        if name == "chr" and isinstance(first, int) and 0 <= first < 0x110000:
            self.built = True
            return chr(first)
        if name == "ord" and isinstance(first, str | bytes) and len(first) == 1:
            return ord(first)
        if name == "len" and isinstance(first, str | bytes | bytearray | list | dict | range):
            return len(first)
        if name == "range" and 1 <= len(arguments) <= 3 and all(isinstance(argument, int) and abs(argument) < 2**40 for argument in arguments):  # fmt: skip
            if len(arguments) == 3 and arguments[2] == 0:
                raise NotPure
            steps = range(*arguments)
            if len(steps) > _MAX_RANGE:
                raise NotPure
            return steps
        if name in {"bytes", "bytearray"}:
            return self._bytes(name, arguments)
        if name == "int" and isinstance(first, str | int) and (len(arguments) == 1 or arguments[1] in {2, 8, 10, 16}):
            return self._integer(first, arguments[1:])
        if name == "str" and isinstance(first, str | int) and len(arguments) == 1:
            return str(first)
        if name in {"list", "tuple", "reversed", "sorted"}:
            items = list(self.iterate(first)) if arguments else []
            if name == "sorted" and not (all(isinstance(item, int) for item in items) or all(isinstance(item, str) for item in items)):  # fmt: skip
                raise NotPure
            return items[::-1] if name == "reversed" else sorted(items) if name == "sorted" else items
        if name == "enumerate" and arguments:
            return [[at, item] for at, item in enumerate(self.iterate(first))]
        if name == "zip" and arguments:
            longest = max((len(argument) for argument in arguments if not isinstance(argument, _Cycle | int)), default=0)  # fmt: skip
            self.steps.take(longest * len(arguments))
            columns = [argument.first(longest) if isinstance(argument, _Cycle) else list(self.iterate(argument)) for argument in arguments]  # fmt: skip
            return [list(row) for row in zip(*columns, strict=False)]
        if name in {"hex", "abs", "bool"} and isinstance(first, int):
            return hex(first) if name == "hex" else abs(first) if name == "abs" else bool(first)
        if name in {"min", "max", "sum"} and arguments:
            numbers = list(self.iterate(first)) if len(arguments) == 1 else arguments
            if numbers and all(isinstance(number, int) for number in numbers):
                return min(numbers) if name == "min" else max(numbers) if name == "max" else sum(numbers)
        raise NotPure

    def _bytes(self, name: str, arguments: list[Any]) -> Any:
        self.built = True
        if not arguments:
            return bytearray() if name == "bytearray" else b""
        first = arguments[0]
        if isinstance(first, str):
            data = first.encode("utf-8", "surrogatepass")
        elif isinstance(first, bytes | bytearray):
            data = bytes(first)
        elif isinstance(first, int):
            if not 0 <= first <= MAX_CONSTANT:
                raise NotPure
            data = bytes(first)
        else:
            numbers = list(self.iterate(first))
            if not all(isinstance(number, int) and 0 <= number < 256 for number in numbers):
                raise NotPure
            data = bytes(numbers)
        self.steps.take(1 + len(data) // 64)
        return bytearray(data) if name == "bytearray" else data

    @staticmethod
    def _integer(first: str | int, base: list[Any]) -> int:
        try:
            return int(first[:_MAX_DIGITS], *base) if isinstance(first, str) else first
        except (ValueError, TypeError):
            raise NotPure from None

    def library(self, name: str, arguments: list[Any]) -> Any:
        """A decoder, or ``itertools.cycle``. Raises NotPure."""
        first = arguments[0] if arguments else None
        if name == "itertools.cycle":
            return _Cycle(list(self.iterate(first)))
        if isinstance(first, str | bytes | bytearray):
            encoding = str(arguments[1]) if len(arguments) > 1 else ""
            # A decompressor may unfold a little to a lot.
            self.steps.take(_UNFOLDING if name.endswith("decompress") else 1 + len(first) // 8)
            decoded = fold_decoder(name, bytes(first) if isinstance(first, bytearray) else first, encoding)
            if decoded is not None:
                self.built = True
                return decoded
        raise NotPure

    def method(self, method: str, holder: Any, arguments: list[Any]) -> Any:
        """A method of a text, list or dictionary. Raises NotPure."""
        if method in {"append", "extend"} and isinstance(holder, list | bytearray) and len(arguments) == 1:
            added = [arguments[0]] if method == "append" else list(self.iterate(arguments[0]))
            if len(holder) + len(added) > MAX_CONSTANT:
                raise NotPure
            if isinstance(holder, bytearray) and not all(isinstance(item, int) and 0 <= item < 256 for item in added):
                raise NotPure
            holder.extend(added)
            return 0
        if method == "join" and isinstance(holder, str) and len(arguments) == 1:
            pieces = list(self.iterate(arguments[0]))
            if not all(isinstance(piece, str) for piece in pieces):
                raise NotPure
            self._take_joined(holder, pieces)
            return holder.join(pieces)
        if method == "join" and isinstance(holder, bytes) and len(arguments) == 1:
            parts = list(self.iterate(arguments[0]))
            if not all(isinstance(part, bytes) for part in parts):
                raise NotPure
            self._take_joined(holder, parts)
            return holder.join(parts)
        if method in {"find", "index"} and isinstance(holder, str) and len(arguments) == 1 and isinstance(arguments[0], str):  # fmt: skip
            self.steps.take(1 + len(holder) // 16)
            return holder.find(arguments[0])
        if method == "split" and isinstance(holder, str) and all(isinstance(argument, str) and argument for argument in arguments[:1]):  # fmt: skip
            self.steps.take(1 + len(holder) // 8)
            return holder.split(*arguments[:1])
        if method == "get" and isinstance(holder, dict) and arguments:
            return holder.get(arguments[0], *arguments[1:2])
        if method == "items" and isinstance(holder, dict):
            self.steps.take(len(holder))
            return [list(item) for item in holder.items()]
        if isinstance(holder, bytearray):
            holder = bytes(holder)
        if isinstance(holder, str | bytes):
            self.steps.take(1 + len(holder) // 16)
            result = fold_method(method, holder, arguments)
            if result is not None:
                return result
        raise NotPure

    def _take_joined(self, between: str | bytes, pieces: Sequence[str | bytes]) -> None:
        size = len(between) * len(pieces) + sum(map(len, pieces))
        if size > MAX_CONSTANT:
            raise NotPure
        self.steps.take(1 + size // 64)


class _Cycle:
    """``itertools.cycle`` over ``items``."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def first(self, count: int) -> list[Any]:
        if not self._items:
            return []
        return [self._items[at % len(self._items)] for at in range(count)]

"""A window judged in the context of its package: is this suspected passage like the rest of it?

The margin of a window alone cannot tell a skill that is about credentials from one in which a single passage speaks of
them. Here the most suspected windows of a package are judged again, by how far each stands out: from the margins of all
windows, by features that stand nowhere else in the package, and by hosts and code that no other sentence names.

The table of weights is `train_context`'s (``context.json``). Integers only. Beside one document's windows a package
takes some 2 MB.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import isqrt
from typing import Final

import numpy as np
import re2

from sigma_core.canonical import sha256_hex
from sigma_core.sandbox.sentences import Sentence
from sigma_core.sandbox.wording import Model, Window
from sigma_core.sandbox.wording.windows import DIMENSIONS, WINDOW_SENTENCES, hosts_in, tokens_of, windows_in

FEATURES: Final = (
    "margin", "harm", "distance", "mean", "spread", "windows", "novel", "tokens",
    "hosts", "hostsOnlyHere", "code", "codeOnlyHere",
)  # fmt: skip
"""What is known of a window in its package, in order:

- ``margin`` of the window, and its ``harm``: the same of the weights above 0 only;
- ``distance`` of the margin from the ``mean`` margin of the package's windows, in 256ths of their ``spread``;
- ``windows``: 256 times the binary logarithm of their number;
- ``novel``: of the window's features those that no window apart from it has, in 1,024ths;
- ``tokens`` in it; ``hosts`` and pieces of inline ``code`` that it names, and those that nothing else names."""

SUSPECTED: Final = 12
"""Windows of a package that are judged in context: those with the highest margins that do not overlap."""
WEIGHT_UNIT: Final = 1 << 16
_MOST_NAMED = 5
_LEAST_SPREAD = 32
_NAME_BINS = 1 << 16
_CODE = re2.compile(r"`([^`\n]{2,120})`")
_SHAPING = ("context.py", "context.json")


@dataclass(frozen=True, slots=True)
class Suspect:
    """A window of document number ``document``, what it says, and what `FEATURES` names."""

    document: int
    window: Window
    said: Sequence[Sentence]
    features: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """The table: a weight for each of `FEATURES` in 65,536ths, the bias that moves the threshold to margin 0, and the SHA-256 hex of
    all that shapes an answer."""

    weights: Sequence[int]
    bias: int
    revision: str

    def margin(self, suspect: Suspect) -> int:
        """How a window is worded and how it stands out, together."""
        return sum(map(int.__mul__, self.weights, suspect.features)) // WEIGHT_UNIT + self.bias


@cache
def load_context() -> Context:
    """The table that ships, read once. Raises ValueError where it was trained on other features."""
    shaping = [resources.files(__package__).joinpath(name).read_bytes() for name in _SHAPING]
    document = json.loads(shaping[-1])
    if set(document["weights"]) != set(FEATURES):
        raise ValueError("context.json weighs other features than context.py reads; train again")
    weights = [document["weights"][name] for name in FEATURES]
    return Context(weights, document["bias"], sha256_hex(b"".join(shaping)))


class Survey:
    """One package as it is read, document after document: in how many windows each feature stands and in how many
    sentences each name, the number, sum and sum of squares of all margins, and the most suspected windows."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._documents = self._count = self._total = self._squares = 0
        self._seen = np.zeros(DIMENSIONS, np.int32)
        self._names = np.zeros(_NAME_BINS, np.int32)
        self._suspected: list[_Suspected] = []

    def add(self, sentences: Sequence[Sentence]) -> None:
        """Read the next document."""
        windows: list[Window] = []
        for run in self._model.runs(sentences):
            self._seen += np.bincount(run.indices, minlength=DIMENSIONS)
            windows += self._model.weighed(run)
        for sentence in sentences:
            for name in _hosts(sentence) | _code(sentence):
                self._names[name] += 1
        self._count += len(windows)
        self._total += sum(window.margin for window in windows)
        self._squares += sum(window.margin**2 for window in windows)
        found = [_Suspected(self._documents, window, sentences) for window in _apart(windows)]
        self._suspected = sorted([*self._suspected, *found], key=_Suspected.rank)[:SUSPECTED]
        self._documents += 1

    def copy(self) -> Survey:
        """The same, which reads on by itself."""
        made = Survey(self._model)
        made.__dict__.update(self.__dict__)
        made._seen, made._names = self._seen.copy(), self._names.copy()
        return made

    def suspects(self) -> list[Suspect]:
        """The most suspected windows of all documents that do not overlap, the highest margin first."""
        return [
            Suspect(
                found.document,
                found.window,
                found.said,
                (found.window.margin, *self._worded(found), *self._named(found.said)),
            )
            for found in self._suspected
        ]

    def _worded(self, found: _Suspected) -> tuple[int, ...]:
        """From ``harm`` to ``tokens``."""
        around = windows_in(found.around, self._model.classes)
        own = around.places.index((found.offset, found.offset + len(found.said) - 1))
        features = around.indices[around.starts[own] : around.starts[own + 1]]
        overlapping = np.zeros(DIMENSIONS, np.int32)
        for number, (first, last) in enumerate(around.places):
            if last >= found.offset and first < found.offset + len(found.said):
                overlapping[around.indices[around.starts[number] : around.starts[number + 1]]] += 1
        novel = int((self._seen[features] <= overlapping[features]).sum())
        mean = self._total // self._count
        spread = isqrt(max(self._squares // self._count - mean * mean, 0)) + _LEAST_SPREAD
        return (
            int(around.margins(np.maximum(self._model.weights, 0))[own]),
            (found.window.margin - mean) * 256 // spread,
            mean,
            spread,
            binary_logarithm(self._count),
            novel * 1_024 // len(features),
            sum(len(tokens_of(sentence.text)) for sentence in found.said),
        )

    def _named(self, said: Sequence[Sentence]) -> Iterator[int]:
        """From ``hosts`` to ``codeOnlyHere``."""
        for naming in (_hosts, _code):
            here = Counter(name for sentence in said for name in naming(sentence))
            yield min(len(here), _MOST_NAMED)
            yield min(sum(int(self._names[name]) <= times for name, times in here.items()), _MOST_NAMED)


class _Suspected:
    """A window with the sentences ``around`` it whose windows may overlap it; it begins at number ``offset`` of them."""

    __slots__ = ("around", "document", "offset", "window")

    def __init__(self, document: int, window: Window, sentences: Sequence[Sentence]) -> None:
        start = max(window.first - WINDOW_SENTENCES + 1, 0)
        self.document, self.window, self.offset = document, window, window.first - start
        self.around = sentences[start : window.last + WINDOW_SENTENCES]

    @property
    def said(self) -> Sequence[Sentence]:
        return self.around[self.offset : self.offset + self.window.last - self.window.first + 1]

    def rank(self) -> tuple[int, int, int, int]:
        return -self.window.margin, self.document, self.window.first, self.window.last


def _apart(windows: Sequence[Window]) -> Iterator[Window]:
    """Up to `SUSPECTED` windows with the highest margins, none of which overlap."""
    taken: set[int] = set()
    found = 0
    for window in sorted(windows, key=lambda window: (-window.margin, window.first, window.last)):
        span = range(window.first, window.last + 1)
        if found < SUSPECTED and taken.isdisjoint(span):
            taken.update(span)
            found += 1
            yield window


def _hosts(sentence: Sentence) -> set[int]:
    return {_bin(host) for host in hosts_in(sentence.text)} if "." in sentence.text else set()


def _code(sentence: Sentence) -> set[int]:
    return {_bin("`" + found.group(1)) for found in _CODE.finditer(sentence.text)} if "`" in sentence.text else set()


def _bin(name: str) -> int:
    return zlib.crc32(name.encode()) % _NAME_BINS


def binary_logarithm(number: int) -> int:
    """256 times the binary logarithm of ``number`` + 1, straight between powers of two."""
    whole = (number + 1).bit_length() - 1
    return 256 * whole + 256 * (number + 1) // (1 << whole) - 256

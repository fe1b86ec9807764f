"""How instructions that harm are worded: an integer linear model over windows of up to three sentences.

It has no rule and knows no threat by name; it has seen how some thousands of instructions that harm are worded, and how
honest skills are. ``model.json`` holds the weights (`train` makes it and writes into it what it was measured to do).
Integers only, so every machine gives the same margins.

A margin of 0, which 28 in a thousand honest published skills reached in cross-validation, makes a fact
(SIGMA-WORD-001). The family ``text_statistics`` suspects what comes near it.
"""

from __future__ import annotations

import base64
import json
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from sigma_core.canonical import sha256_hex
from sigma_core.sandbox.sentences import Sentence
from sigma_core.sandbox.wording.windows import (
    DIMENSIONS,
    WINDOW_SENTENCES,
    Classes,
    Weights,
    Windows,
    features_of,
    tokens_of,
    windows_in,
)

_AT_ONCE = 100
_HEAVIEST_WORDS = 5
_LONGEST_WORD = 40
_MARKS = ".,:;!?()[]{}<>\"'`*_#|"
_SHAPING = ("__init__.py", "windows.py", "model.json")


@dataclass(frozen=True, slots=True)
class Window:
    """A window's margin, and its first and last sentence."""

    margin: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Model:
    """Weights by feature, classes of words, the bias that moves the threshold to margin 0, and the SHA-256 hex of all that
    shapes an answer."""

    weights: Weights
    classes: Classes
    bias: int
    revision: str

    def windows(self, sentences: Sequence[Sentence]) -> list[Window]:
        """Every window of ``sentences``, in order of place. Memory is that of `_AT_ONCE` sentences."""
        return [window for windows in self.runs(sentences) for window in self.weighed(windows)]

    def runs(self, sentences: Sequence[Sentence]) -> Iterator[Windows]:
        """Every window of ``sentences`` once, in order of place, those that begin in `_AT_ONCE` sentences at a time."""
        for start in range(0, len(sentences), _AT_ONCE):
            windows = windows_in(sentences[start : start + _AT_ONCE + WINDOW_SENTENCES - 1], self.classes)
            kept = bisect_left(windows.places, (_AT_ONCE, 0))
            places = [(start + first, start + last) for first, last in windows.places[:kept]]
            yield Windows(places, windows.indices[: windows.starts[kept]], windows.starts[: kept + 1])

    def weighed(self, windows: Windows) -> list[Window]:
        """The margin of each window."""
        margins = (windows.margins(self.weights) + self.bias).tolist()
        return [Window(margin, first, last) for margin, (first, last) in zip(margins, windows.places, strict=True)]

    def harmful_windows(self, sentences: Sequence[Sentence]) -> Iterator[Window]:
        """The windows that are facts, none of which overlap: the strongest of each run."""
        taken: set[int] = set()
        harmful = [window for window in self.windows(sentences) if window.margin >= 0]
        for window in sorted(harmful, key=lambda window: (-window.margin, window.first, window.last)):
            span = range(window.first, window.last + 1)
            if taken.isdisjoint(span):
                taken.update(span)
                yield window

    def heaviest(self, sentences: Sequence[Sentence]) -> list[str]:
        """The words of ``sentences`` that weigh most, heaviest first: as they stand there, and what is named as its class."""
        written: dict[str, str] = {}
        for sentence in sentences:
            for word in sentence.text.split():
                for token in tokens_of(word):
                    written.setdefault(
                        token, token if token.startswith("<") else word.strip(_MARKS).lower()[:_LONGEST_WORD]
                    )
        heaviest = sorted(written, key=lambda token: (-self._weight_of(token), token))
        return list(dict.fromkeys(written[token] for token in heaviest))[:_HEAVIEST_WORDS]

    def _weight_of(self, token: str) -> int:
        return int(self.weights[features_of([[token]], self.classes)[0]].sum(dtype=np.int64))


class _PackedClasses(Mapping[str, Sequence[int]]):
    """Words and the row of classes of each, in a third of what tuples take."""

    def __init__(self, words: Sequence[str], rows: npt.NDArray[np.int16]) -> None:
        self._row_of = {word: row for row, word in enumerate(words)}
        self._rows = rows

    def __getitem__(self, word: str) -> Sequence[int]:
        row: list[int] = self._rows[self._row_of[word]].tolist()
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self._row_of)

    def __len__(self) -> int:
        return len(self._row_of)


@cache
def load_model() -> Model:
    """The model that ships, read once. Raises ValueError where ``windows.py`` hashes to another number of dimensions than it was trained with."""
    shaping = [resources.files(__package__).joinpath(name).read_bytes() for name in _SHAPING]
    document = json.loads(shaping[-1])
    weights = np.frombuffer(zlib.decompress(base64.b64decode(document["weights"])), np.int8)
    if len(weights) != DIMENSIONS:
        raise ValueError(f"model.json has {len(weights)} weights, windows.py hashes to {DIMENSIONS}; train again")
    words = zlib.decompress(base64.b64decode(document["classes"]["words"])).decode().split("\n")
    clusterings = [np.frombuffer(zlib.decompress(base64.b64decode(ids)), np.int16) for ids in document["classes"]["of"]]
    classes = _PackedClasses(words, np.stack(clusterings, axis=1))
    return Model(weights, classes, document["bias"], sha256_hex(b"".join(shaping)))

"""Text to features: sentences, the windows of up to three of them that an instruction fills, and hashed words, classes of words and pairs.

Training and inference share this file, so a change here means training again. What would let a model learn who is
named instead of what is asked for is left out: numbers, hosts, addresses, and the words by which makers of test packages
give a label away.

A feature counts once a window, however often it stands there. Integers only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import re2

from sigma_core.sandbox.markdown import split_markdown
from sigma_core.sandbox.sentences import Sentence, prose_of

DOCUMENT_SUFFIXES: Final = (".md", ".markdown", ".mdx", ".txt", ".rst")
DIMENSIONS: Final = 1 << 18
WINDOW_SENTENCES: Final = 3
WINDOW_TOKENS: Final = 70
LEAST_TOKENS: Final = 10
MORE_FEATURES: Final = 100
"""Added to the number of a window's features, so that a few words cannot outweigh a whole instruction."""
_REACH = 2
"""Tokens up to which two words are a pair."""
_MAX_SENTENCE_CHARACTERS = 2_000
_REMEMBERED_CHARACTERS = 40
_NONE = 0
_PAIR, _CLASS_PAIR, _CLASS = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D

_TOKEN = re2.compile(
    r"(?P<address>(?:https?|hxxps?|ftp)://[^\s)>\"'`\]]+)"
    r"|(?P<file>\.?\b[A-Za-z0-9_-]+\.(?:md|json|ya?ml|env|py|sh|js|ts|toml|txt|csv|zip|pem|key|cfg|ini|log|db|sqlite|exe|dmg|pkg)\b|\B\.env\b)"
    r"|(?P<host>\b(?:[a-z0-9-]+\.)+[a-z]{2,12}\b(?:/[^\s)>\"'`\]]*)?)"
    r"|(?P<blob>[A-Za-z0-9+/=_-]{40,})"
    r"|(?P<ip>\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b)"
    r"|(?P<home>(?:~|\$HOME)/[A-Za-z0-9._/-]*)"
    r"|(?P<variable>\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b)"
    r"|(?P<flag>\B--?[A-Za-z][A-Za-z0-9-]*)"
    r"|(?P<word>[A-Za-z]+(?:'[a-z]+)?)"
    r"|(?P<sign>&&|\|\||>>|\$\(|[|@<>`*%$€])"
)
_SECRET_NAME = re2.compile(r"(?i)key|token|secret|passw|cred|private|auth|cookie")
_FILES_OF_AGENTS = frozenset(
    {
        "agents.md", "claude.md", "gemini.md", "heartbeat.md", "identity.md", "mcp.json", "memory.md", "package.json",
        "readme.md", "settings.json", "skill.md", "soul.md", "tools.md", "user.md", ".env",
    }
)  # fmt: skip
_ABOUT_PACKAGES = frozenset(
    {"benign", "evil", "fixture", "malicious", "malware", "owasp", "mitre", "cve", "ghsa", "scanner", "poc"}
)
"""Words by which makers of test packages give their label away; they carry no evidence about a package in the wild."""
_ENDINGS = (("ies", "y"), ("ied", "y"), ("ing", ""), ("es", ""), ("ed", ""), ("ly", ""), ("s", ""))

Weights = npt.NDArray[np.signedinteger[Any]]
"""A weight for each feature, in whatever integers hold it; sums are of 64 bits."""
Classes = Mapping[str, Sequence[int]]
"""Word (its stem) to its class in each clustering of words by the company that they keep; −1 where it has none."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a text, in order of place: first and last sentence of each, and its distinct features
    ``indices[starts[n]:starts[n + 1]]``."""

    places: Sequence[tuple[int, int]]
    indices: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]

    def margins(self, weights: Weights) -> npt.NDArray[np.int64]:
        """Of each window the sum of its features' weights over the root of their number and `MORE_FEATURES`, times 256,
        rounded down."""
        sums = np.concatenate(([0], np.cumsum(weights[self.indices], dtype=np.int64)))
        totals = sums[self.starts[1:]] - sums[self.starts[:-1]]
        margins: npt.NDArray[np.int64] = (
            totals * 65_536 // integer_roots((np.diff(self.starts) + MORE_FEATURES) * 65_536)
        )
        return margins


def sentences_in(text: str) -> list[Sentence]:
    """The sentences of a document: its prose, comments, tables and short listings, as the sandbox reads them."""
    return prose_of(split_markdown(text), text)


def stem(word: str) -> str:
    """A word without the ending that number, tense or manner give it."""
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)] + instead
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def tokens_of(sentence: str) -> list[str]:
    """The tokens of one sentence: stems, and classes in angle brackets for what is named rather than said."""
    tokens: list[str] = []
    for chunk in sentence[:_MAX_SENTENCE_CHARACTERS].split():
        tokens += _read_chunk(chunk) if len(chunk) <= _REMEMBERED_CHARACTERS else _read_chunk.__wrapped__(chunk)
    return tokens


@lru_cache(maxsize=1 << 14)
def _read_chunk(chunk: str) -> tuple[str, ...]:
    return tuple(
        token for match in _TOKEN.finditer(chunk) for token in _read_token(match.lastgroup or "", match.group())
    )


def hosts_in(sentence: str) -> list[str]:
    """The hosts that a sentence names, lower case, told from files as `tokens_of` does."""
    return [host for chunk in sentence.split() if "." in chunk for host in _hosts_of(chunk[:_MAX_SENTENCE_CHARACTERS])]


def _hosts_of(chunk: str) -> Iterator[str]:
    for match in _TOKEN.finditer(chunk):
        if match.lastgroup in {"address", "host"}:
            yield match.group().lower().partition("://")[2 if "://" in match.group() else 0].partition("/")[0]


def _read_token(kind: str, text: str) -> tuple[str, ...]:
    lower = text.lower()
    if kind == "word":
        return () if lower in _ABOUT_PACKAGES else (stem(lower),)
    if kind == "file":
        return (lower if lower in _FILES_OF_AGENTS else f"<file.{lower.rpartition('.')[2]}>",)
    if kind == "variable":
        return ("<secret-variable>" if _SECRET_NAME.search(text) else "<variable>",)
    if kind == "home":
        return ("<home>", *(part for part in lower.split("/")[1:3] if part))
    if kind in {"sign", "flag"}:
        return (lower,)
    return (f"<{kind}>",)


def windows_in(sentences: Sequence[Sentence], classes: Classes) -> Windows:
    """Every window of a text with its features: words, their classes, and the pairs of either within `_REACH` tokens of a sentence."""
    tokens = [tokens_of(sentence.text) for sentence in sentences]
    places = list(_places(sentences, [len(words) for words in tokens]))
    hashed, starts = features_of(tokens, classes)
    first, last = np.array(places, np.int64).reshape(-1, 2).T
    lengths = starts[last + 1] - starts[first]
    # Every window's stretch of features, one after the other; sorted within each window, doubles dropped.
    ends = np.cumsum(lengths)
    stretch = np.repeat(starts[first] - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)
    keys = np.sort(np.repeat(np.arange(len(places)), lengths) * DIMENSIONS + hashed[stretch])
    keys = keys[np.diff(keys, prepend=-1) > 0]
    bounds = np.searchsorted(keys, np.arange(len(places) + 1) * DIMENSIONS)
    return Windows(places, (keys % DIMENSIONS).astype(np.int32), bounds.astype(np.int64))


def _places(sentences: Sequence[Sentence], sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of up to `WINDOW_SENTENCES` sentences with at most `WINDOW_TOKENS` tokens, which stay within a paragraph, list or
    cell. A single sentence is a window however long it is."""
    for first in range(len(sentences)):
        size = 0
        for last in range(first, min(first + WINDOW_SENTENCES, len(sentences))):
            if last > first and (sentences[last].apart or size + sizes[last] > WINDOW_TOKENS):
                break
            size += sizes[last]
            if size >= LEAST_TOKENS and sizes[last]:
                yield first, last


def features_of(
    sentences: Sequence[Sequence[str]], classes: Classes
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Hashed features of tokens, and where those of each sentence start: one entry more than there are sentences."""
    tokens = [token for sentence in sentences for token in sentence]
    owner = np.repeat(np.arange(len(sentences), dtype=np.int64), [len(sentence) for sentence in sentences])
    series = _hashes(tokens, classes)
    found: list[npt.NDArray[Any]] = []
    owners: list[npt.NDArray[Any]] = []
    for number, hashes in enumerate(series):
        factor = _CLASS_PAIR if number else _PAIR
        there = hashes != _NONE
        found.append(hashes[there])
        owners.append(owner[there])
        for distance in range(1, _REACH + 1):
            first, second = hashes[:-distance], hashes[distance:]
            paired = there[:-distance] & there[distance:] & (owner[:-distance] == owner[distance:])
            found.append(_mixed(first[paired], second[paired], factor + distance))
            owners.append(owner[:-distance][paired])
    belongs = np.concatenate(owners)
    order = np.argsort(belongs, kind="stable")
    hashed = (np.concatenate(found) & np.uint64(DIMENSIONS - 1)).astype(np.int64)[order]
    return hashed, np.searchsorted(belongs[order], np.arange(len(sentences) + 1)).astype(np.int64)


def _hashes(tokens: Sequence[str], classes: Classes) -> npt.NDArray[np.uint64]:
    """A row of the tokens' own hashes, then one of their classes' for each clustering. What stands in angle brackets is its
    own class; `_NONE` where a word has none."""
    distinct = dict.fromkeys(tokens)
    number_of = {token: number for number, token in enumerate(distinct)}
    own = np.array([zlib.crc32(token.encode()) for token in distinct], np.uint64)
    without = (-1,) * len(next(iter(classes.values()), ()))
    known = np.array([classes.get(token, without) for token in distinct], np.int64).reshape(len(own), len(without)).T
    named = np.array([token.startswith("<") for token in distinct], bool)
    clusterings = np.arange(len(without), dtype=np.uint64)[:, None] + np.uint64(1)
    hashed = _mixed(known.astype(np.uint64), np.broadcast_to(clusterings, known.shape), _CLASS)
    of_class = np.where(known >= 0, hashed, np.where(named, own, np.uint64(_NONE)))
    places = np.array([number_of[token] for token in tokens], np.intp)
    rows: npt.NDArray[np.uint64] = np.vstack((own, of_class))[:, places]
    return rows


def _mixed(first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64], salt: int) -> npt.NDArray[np.uint64]:
    """One hash of two, which depends on their order. Unsigned integers wrap, so nothing is lost."""
    mixed: npt.NDArray[np.uint64] = first * np.uint64(2_654_435_761) + second * np.uint64(40_503) + np.uint64(salt)
    return (mixed ^ (mixed >> np.uint64(15))) * np.uint64(2_246_822_519) >> np.uint64(7)


def integer_roots(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The integer square roots of integers below 2⁵⁰. A double's root of such a number is off by less than one."""
    roots: npt.NDArray[np.int64] = np.sqrt(values.astype(np.float64)).astype(np.int64)
    roots -= roots * roots > values
    roots += (roots + 1) * (roots + 1) <= values
    return np.maximum(roots, 1)

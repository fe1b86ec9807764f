"""The bank's texts, and the packages and files that a variant makes of them.

A text is a template: ``‹one¦other›`` stands for one of its alternatives, ``«slot»`` for a made-up word that is the same wherever
the slot stands again. The variant (64 hex digits) decides both, so that no hash and no phrase tells a canary again. Members begin
with a line ``=== path``.

Hosts are names that were made up here and that nobody is known to hold, addresses are of the range that is set aside for benchmarks
(RFC 2544); nothing in a canary is ever run or fetched.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

import re2

from sigma_core.canonical import sha256_hex, sha256_of
from sigma_core.policy import Policy
from sigma_core.submissions.intake import read_archive_bytes
from sigma_core.submissions.member_names import TakenNames
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files

PACKAGES, FILES = "packages", "files"

_MEMBER = re2.compile(r"(?m)^=== (.+)\n")
_CHOICE = re2.compile(r"‹([^›]*)›")
_SLOT = re2.compile(r"«([A-Za-z]+)([0-9]*)»")
_QUALITIES = (
    "amber brisk calm clever daily early fair gentle handy keen light lively mellow neat open plain quick quiet ready steady "
    "still sunny swift tidy warm whole"
).split()
_THINGS = (
    "anchor basket beacon bridge candle compass copper cradle ember feather garden harbor kettle ladder lantern lark ledger maple "
    "meadow needle orchard paddle pebble quartz ribbon river saddle sparrow spindle thistle timber tulip valley willow window"
).split()
_DEEDS = (
    "adjust arrange balance blend carry collect compose digest filter follow gather inspect lookup measure notice outline prepare "
    "present publish recall record refresh render resolve revise settle sketch stream survey update"
).split()
_ENDINGS = ("app", "cloud", "dev", "io", "net", "online", "site", "tools")
_MOST_PLACES = 16
"""Paths that are tried for a planted file before its package counts as one that has no room."""


class Draws:
    """An endless line of numbers from one seed: SHA-256 over seed and position."""

    def __init__(self, *seed: str) -> None:
        self._seed, self._position = "/".join(seed), 0

    def below(self, end: int) -> int:
        """The next number from 0 to ``end`` − 1; for the small ranges here its bias is below 2^-200."""
        self._position += 1
        return int(sha256_hex(f"sigma-canary-variant-v1/{self._seed}/{self._position}".encode()), 16) % end

    def one_of(self, choices: tuple[str, ...] | list[str]) -> str:
        """One of ``choices``."""
        return choices[self.below(len(choices))]


def items(shelf: str) -> tuple[str, ...]:
    """Identifiers of the texts of `PACKAGES` or `FILES`, sorted."""
    return tuple(_texts(shelf))


@cache
def bank_sha256() -> str:
    """SHA-256 hex over all texts: the version of the bank."""
    return sha256_of(
        {
            shelf: {item: sha256_hex(text.encode()) for item, text in _texts(shelf).items()}
            for shelf in (PACKAGES, FILES)
        }
    )


def canary_package(item: str, variant: str, policy: Policy) -> Package:
    """The package that ``variant`` makes of a text, as intake reads it. Raises KeyError for an item that the bank does not have."""
    members = dict(_members(PACKAGES, item, variant))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in members.items():
            archive.writestr(path, content)
    name = f"{Draws('archive', variant).one_of(_QUALITIES)}-{Draws('archive', item, variant).one_of(_THINGS)}.zip"
    return read_archive_bytes(buffer.getvalue(), name, policy)


def package_tree_hash(item: str, variant: str) -> str:
    """The tree hash of `canary_package`, without intake. Raises KeyError."""
    files = sorted_files(PackageFile.of(path, content) for path, content in _members(PACKAGES, item, variant))
    return Package(files, {}, ProductType.SKILL, "").tree_hash


def planted_file(item: str, variant: str, taken: TakenNames) -> PackageFile | None:
    """The file that ``variant`` makes of a text, under a path that goes with those ``taken``; None where none does.

    Raises KeyError for an item that the bank does not have.
    """
    for place in range(_MOST_PLACES):
        (path, content), *_ = _members(FILES, item, f"{variant}/{place}")
        if taken.has_room_for(path):
            return PackageFile.of(path, content)
    return None


@cache
def _texts(shelf: str) -> Mapping[str, str]:
    folder = resources.files(__package__).joinpath(shelf)
    return {
        entry.name.removesuffix(".txt"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".txt")
    }


def _members(shelf: str, item: str, variant: str) -> Iterator[tuple[str, bytes]]:
    draws = Draws(item, variant)
    words: dict[str, str] = {}

    def choice(found: re2.Match) -> str:
        return draws.one_of(found.group(1).split("¦"))

    def slot(found: re2.Match) -> str:
        name = found.group()
        if name not in words:
            words[name] = _word(found.group(1), draws, words)
        return words[name]

    text = _SLOT.sub(slot, _CHOICE.sub(choice, _texts(shelf)[item]))
    marks = list(_MEMBER.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        yield mark.group(1), text[mark.end() : following.start() if following else len(text)].encode()


def _word(kind: str, draws: Draws, taken: Mapping[str, str]) -> str:
    """A new word for a slot. ``name`` and ``Name`` are one name, written as an identifier and as a title."""
    match kind:
        case "name":
            shapes = (_QUALITIES, _THINGS, _DEEDS), (_DEEDS, _THINGS), (_THINGS, _DEEDS), (_QUALITIES, _THINGS)
            return "-".join(draws.one_of(words) for words in shapes[draws.below(len(shapes))])
        case "Name":
            return taken["«name»"].replace("-", " ").capitalize()
        case "host":
            return f"{draws.one_of(_QUALITIES)}{draws.one_of(_THINGS)}{draws.one_of(_DEEDS)}.{draws.one_of(_ENDINGS)}"
        case "address":
            return f"198.{18 + draws.below(2)}.{draws.below(256)}.{1 + draws.below(254)}"
        case "port":
            return str(2_000 + draws.below(40_000))
        case "num":
            return str(5 + draws.below(40))
        case "size":
            return str(180 + draws.below(200))
        case "id":
            used = set(taken.values())
            return next(word for word in iter(lambda: draws.one_of(_DEEDS + _THINGS), None) if word not in used)
    raise KeyError(kind)

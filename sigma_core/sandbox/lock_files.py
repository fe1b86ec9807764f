"""Lock files of npm, yarn, pnpm, poetry, uv and pipenv, as far as it matters where packages come from and whether their bytes are fixed.

JSON is parsed; the other formats are written by machines, one value a line, and are scanned so: a lock file that a person bent out of shape gives fewer entries, never a fault.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from sigma_core.sandbox.popular_names import Registry

MAX_ENTRIES = 4_000
_MAX_DEPTH = 40


@dataclass(frozen=True, slots=True)
class Locked:
    """One locked package. ``url`` is where it is fetched (empty: the registry's own place), ``fixed`` whether a hash fixes its bytes; ``renamed_to`` another name that the address carries."""

    name: str
    version: str
    url: str
    fixed: bool
    start: int
    end: int
    renamed_to: str = ""


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock file's registry, the manifest that it belongs to, and its packages; ``direct`` names what the project itself asks for, where the format says so."""

    registry: Registry
    manifest: str
    packages: tuple[Locked, ...]
    direct: frozenset[str] | None = None


def read_lock_file(path: str, text: str) -> LockFile | None:
    """The lock file at ``path``, or None for any other file and for one that cannot be read."""
    folder, _, name = path.rpartition("/")
    reader = _READERS.get(name.lower())
    if reader is None:
        return None
    registry, manifest, read = reader
    found = read(text)
    if found is None:
        return None
    packages, direct = found
    return LockFile(registry, f"{folder}/{manifest}" if folder else manifest, tuple(packages[:MAX_ENTRIES]), direct)


def is_lock_file(path: str) -> bool:
    """Whether a file is named like a lock file."""
    return path.rpartition("/")[2].lower() in _READERS


_Found = tuple[list[Locked], frozenset[str] | None]


def _loads(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class _Places:
    """Where keys stand in a text: searched forwards only, so that all searches together are linear."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._from = 0

    def of(self, needle: str) -> tuple[int, int]:
        at = self._text.find(needle, self._from)
        if at < 0:
            return self._from, self._from
        self._from = at + len(needle)
        return at, self._from


_TARBALL_NAME = re2.compile(r"^https?://[^/]+/((?:@[\w.~-]+(?:/|%2[fF]))?[\w.~-]+)/-/")


def _npm(text: str) -> _Found | None:
    document = _loads(text)
    if document is None:
        return None
    places = _Places(text)
    packages = _mapping(document.get("packages"))
    if packages:
        root = _mapping(packages.get(""))
        direct = frozenset(
            name
            for group in ("dependencies", "devDependencies", "optionalDependencies")
            for name in _mapping(root.get(group))
        )
        entries = [
            (key.rpartition("node_modules/")[2], key, entry)
            for key, entry in packages.items()
            if "node_modules/" in key
        ]
        return [_npm_entry(name, key, _mapping(entry), places) for name, key, entry in entries[:MAX_ENTRIES]], direct
    listed: list[Locked] = []
    _npm_nested(document, listed, places, 0)
    return listed, None


def _npm_nested(document: dict[str, Any], listed: list[Locked], places: _Places, depth: int) -> None:
    for name, entry in _mapping(document.get("dependencies")).items():
        if len(listed) < MAX_ENTRIES and isinstance(entry, dict):
            listed.append(_npm_entry(name, name, entry, places))
            if depth < _MAX_DEPTH:
                _npm_nested(entry, listed, places, depth + 1)


def _npm_entry(name: str, key: str, entry: dict[str, Any], places: _Places) -> Locked:
    start, end = places.of(f'"{key}"')
    url = entry.get("resolved")
    url = url if isinstance(url, str) else ""
    carried = _TARBALL_NAME.match(url)
    other = carried[1].replace("%2f", "/").replace("%2F", "/") if carried else ""
    alias = entry.get("name") or str(entry.get("version", "")).startswith("npm:")
    local = (
        bool(entry.get("link") or entry.get("inBundle") or entry.get("bundled")) or url.startswith("file:") or not url
    )
    return Locked(
        name,
        str(entry.get("version", "")),
        "" if local else url,
        local or bool(entry.get("integrity")) or "#" in url,
        start,
        end,
        other if other and other.lower() != name.lower() and not alias else "",
    )


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


_YARN_ENTRY = re2.compile(r'(?m)^"?((?:@[\w.~-]+/)?[\w.~-]+)@([^\n]*):[ ]*$')
_YARN_VERSION = re2.compile(r'(?m)^ {2}version:?[ ]"?([^"\n]+)"?[ ]*$')
_YARN_RESOLVED = re2.compile(r'(?m)^ {2}(?:resolved|resolution:)[ ]"([^"\n]+)"[ ]*$')
_YARN_FIXED = re2.compile(r"(?m)^ {2}(?:integrity[ ]|checksum:)")


def _blocks(text: str, heading: Any) -> Iterator[tuple[Any, str]]:
    """Each match of ``heading`` with the text up to the next one."""
    matches = list(heading.finditer(text))[:MAX_ENTRIES]
    for match, following in itertools.zip_longest(matches, matches[1:]):
        yield match, text[match.end() : following.start() if following is not None else len(text)]


def _yarn(text: str) -> _Found:
    listed = []
    for match, block in _blocks(text, _YARN_ENTRY):
        version, resolved = _YARN_VERSION.search(block), _YARN_RESOLVED.search(block)
        url = resolved[1] if resolved and "://" in resolved[1] else ""
        carried = _TARBALL_NAME.match(url)
        other = carried[1].replace("%2f", "/").replace("%2F", "/") if carried else ""
        local = any(mark in match[2] for mark in ("@workspace:", "workspace:", "file:", "link:", "portal:", "patch:"))
        fixed = local or bool(_YARN_FIXED.search(block)) or "#" in url
        renamed = other if other and other.lower() != match[1].lower() and "npm:" not in match[2] else ""
        listed.append(Locked(match[1], version[1] if version else "", url, fixed, match.start(), match.end(), renamed))
    return listed, None


_PNPM_ENTRY = re2.compile(r"(?m)^ {2}['\"]?/?((?:@[\w.~-]+/)?[\w.~-]+)[@/](\d[^'\":(\n]*)[^\n]{0,300}:[ ]*$")
_PNPM_TARBALL = re2.compile(r"\btarball:[ ]*['\"]?([^,'\"}\s]+)")


def _pnpm(text: str) -> _Found:
    packages = text[max(0, text.find("\npackages:")) :]
    offset = len(text) - len(packages)
    snapshots = packages.find("\nsnapshots:")
    listed = []
    for match, block in _blocks(packages[: snapshots if snapshots >= 0 else len(packages)], _PNPM_ENTRY):
        tarball = _PNPM_TARBALL.search(block)
        fixed = "integrity:" in block or "commit:" in block
        listed.append(
            Locked(
                match[1], match[2], tarball[1] if tarball else "", fixed, offset + match.start(), offset + match.end()
            )
        )
    return listed, None


_TOML_ENTRY = re2.compile(r"(?m)^\[\[package\]\][ \t]*$")
_TOML_NAME = re2.compile(r'(?m)^name[ ]?=[ ]?"([^"\n]+)"')
_TOML_VERSION = re2.compile(r'(?m)^version[ ]?=[ ]?"([^"\n]+)"')
_TOML_ADDRESS = re2.compile(r'\b(?:url|registry|git)[ ]?=[ ]?"((?:git\+|https?:|ssh:|git:)[^"\n]+)"')
_TOML_LOCAL = re2.compile(
    r'(?m)^source[ ]?=[ ]?\{[ ]?(?:editable|virtual|directory|path)\b|^type[ ]?=[ ]?"(?:directory|file)"'
)
_OWN_INDEX = ("https://pypi.org/", "https://files.pythonhosted.org/")


def _toml(text: str) -> _Found:
    listed = []
    for match, block in _blocks(text, _TOML_ENTRY):
        name, version = _TOML_NAME.search(block), _TOML_VERSION.search(block)
        if name is None:
            continue
        addresses = [found[1] for found in _TOML_ADDRESS.finditer(block)]
        # The first address outside the public index counts: one foreign wheel is enough.
        foreign = next((url for url in addresses if not url.startswith(_OWN_INDEX)), addresses[0] if addresses else "")
        fixed = (
            "sha256:" in block
            or "sha512:" in block
            or bool(_TOML_LOCAL.search(block))
            or "git" in foreign[:4]
            or "resolved_reference" in block
        )
        listed.append(
            Locked(
                name[1],
                version[1] if version else "",
                foreign,
                fixed,
                match.end() + name.start(),
                match.end() + name.end(),
            )
        )
    return listed, None


def _pipenv(text: str) -> _Found | None:
    document = _loads(text)
    if document is None:
        return None
    places = _Places(text)
    sources = _mapping(document.get("_meta")).get("sources")
    urls = (
        {str(source.get("name")): str(source.get("url", "")) for source in sources if isinstance(source, dict)}
        if isinstance(sources, list)
        else {}
    )
    default = next(iter(urls.values()), "")
    listed = []
    for group in ("default", "develop"):
        for name, raw in _mapping(document.get(group)).items():
            entry = _mapping(raw)
            start, end = places.of(f'"{name}"')
            url = str(entry.get("git") or entry.get("file") or urls.get(str(entry.get("index")), default))
            fixed = bool(entry.get("hashes")) or "git" in entry or "path" in entry
            listed.append(Locked(name, str(entry.get("version", "")).removeprefix("=="), url, fixed, start, end))
    return listed, None


_READERS = {
    "package-lock.json": (Registry.NPM, "package.json", _npm),
    "npm-shrinkwrap.json": (Registry.NPM, "package.json", _npm),
    "yarn.lock": (Registry.NPM, "package.json", _yarn),
    "pnpm-lock.yaml": (Registry.NPM, "package.json", _pnpm),
    "poetry.lock": (Registry.PYPI, "pyproject.toml", _toml),
    "uv.lock": (Registry.PYPI, "pyproject.toml", _toml),
    "pipfile.lock": (Registry.PYPI, "Pipfile", _pipenv),
}

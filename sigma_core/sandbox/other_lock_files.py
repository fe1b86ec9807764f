"""Lock files of cargo, go, bundler and composer."""

from __future__ import annotations

import re2

from sigma_core.sandbox.lock_entries import (
    MAX_ENTRIES,
    Found,
    Locked,
    Places,
    Unreadable,
    blocks,
    hex_digests,
    json_object,
    mapping,
    text_of,
)
from sigma_core.sandbox.python_lock_files import TOML_ENTRY, TOML_NAME, TOML_VERSION, odd_entries

_CARGO_SOURCE = re2.compile(r'(?m)^source[ ]?=[ ]?"([^"\n]+)"')
_CARGO_CHECKSUM = re2.compile(r'(?m)^checksum[ ]?=[ ]?"([0-9a-f]{64})"')
_CARGO_OLD_CHECKSUM = re2.compile(r'(?m)^"checksum ([^ "\n]+) ([^ "\n]+) [^"\n]*"[ ]?=[ ]?"([0-9a-f]{64})"')
_CRATES_IO = ("registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/")


def cargo(text: str) -> Found:
    """``[[package]]`` tables; a package without a source is part of the project. Version 1 keeps its checksums in ``[metadata]``."""
    found = Found()
    old = {(match[1], match[2]): match[3] for match in _CARGO_OLD_CHECKSUM.finditer(text)}
    headings = 0
    for match, block in blocks(text, TOML_ENTRY):
        headings += 1
        name, version = TOML_NAME.search(block), TOML_VERSION.search(block)
        if name is None or version is None:
            found.unread += 1
            continue
        source, checksum = _CARGO_SOURCE.search(block), _CARGO_CHECKSUM.search(block)
        place = source[1] if source else ""
        url = "" if place in _CRATES_IO else place.removeprefix("registry+").removeprefix("sparse+")
        digest = checksum[1] if checksum else old.get((name[1], version[1]), "")
        found.packages.append(
            Locked(
                name[1],
                version[1],
                url,
                not place or bool(digest) or place.startswith("git+"),
                match.end() + name.start(),
                match.end() + name.end(),
                hashes=hex_digests([digest]),
                local=not place,
            )
        )
    found.unread += odd_entries(text, headings)
    return found


_GO_LINE = re2.compile(r"(?m)^[^\n]*\S[^\n]*$")
_GO_ENTRY = re2.compile(r"^([\w.~/!+-]+) (v[^\s/]+)(/go\.mod)? h1:[A-Za-z0-9+/]{43}=[ \r]*$")


def go_sum(text: str) -> Found:
    """One line a module. Its ``h1`` is a hash over a listing of files, not of a file: it fixes the bytes, and is no digest of ours."""
    found = Found()
    for match in _GO_LINE.finditer(text):
        entry = _GO_ENTRY.match(match.group())
        if entry is None:
            found.unread += 1
        elif entry[3] is None:
            found.packages.append(Locked(entry[1], entry[2], "", True, match.start(), match.end()))
        if len(found.packages) > MAX_ENTRIES:
            break
    return found


_GEM_SECTION = re2.compile(r"(?m)^([A-Z][A-Z ]*)[ \r]*$")
_GEM_OWN_SECTIONS = frozenset(
    {"GEM", "PATH", "GIT", "PLUGIN SOURCE", "PLATFORMS", "DEPENDENCIES", "CHECKSUMS", "RUBY VERSION", "BUNDLED WITH"}
)
_GEM_MARGIN = re2.compile(r"(?m)^\S[^\n]*$")
_GEM_REMOTE = re2.compile(r"(?m)^ {2}remote: (\S+)")
_GEM_REVISION = re2.compile(r"(?m)^ {2}revision: [0-9a-f]{40}\b")
_GEM_ENTRY = re2.compile(r"(?m)^ {4}([^\s(]+)([^\n]*)$")
_GEM_VERSION = re2.compile(r"^ \(([^()\s-]+)(?:-[^()\s]+)?\)[ \r]*$")
_GEM_CHECKSUM = re2.compile(r"(?m)^ {2}([^\s(]+) \(([^()\s]+)\) sha256=([0-9a-f]{64})")


def bundler(text: str) -> Found:
    """The ``specs`` of GEM, GIT and PATH sections; ``name (1.0-x86_64-linux)`` is version 1.0 for a platform."""
    sections = list(blocks(text, _GEM_SECTION))
    names = {match[1].strip() for match, _ in sections}
    if "DEPENDENCIES" not in names:
        raise Unreadable("no DEPENDENCIES")
    found = Found()
    found.unread += sum(1 for match in _GEM_MARGIN.finditer(text) if match.group().strip() not in _GEM_OWN_SECTIONS)
    digests: dict[tuple[str, str], list[str]] = {}
    for match in _GEM_CHECKSUM.finditer(text):
        digests.setdefault((match[1], match[2].partition("-")[0]), []).append(match[3])
    for section, block in sections:
        kind = section[1].strip()
        if kind not in {"GEM", "GIT", "PATH", "PLUGIN SOURCE"}:
            continue
        remotes = [remote[1] for remote in _GEM_REMOTE.finditer(block)]
        url = next((remote for remote in remotes if "rubygems.org" not in remote), remotes[0] if remotes else "")
        pinned = bool(_GEM_REVISION.search(block))
        for match, _ in blocks(block, _GEM_ENTRY):
            version = _GEM_VERSION.match(match[2])
            if version is None:
                found.unread += 1
                continue
            hashes = hex_digests(digests.get((match[1], version[1]), ()))
            start = section.end() + match.start(1)
            found.packages.append(
                Locked(
                    match[1],
                    version[1],
                    "" if kind == "PATH" else url,
                    kind == "PATH" or pinned or bool(hashes),
                    start,
                    start + len(match[1]),
                    hashes=hashes,
                    local=kind == "PATH",
                )
            )
    return found


_COMMIT = re2.compile(r"^[0-9a-f]{40}$")
_HOSTED = ("https://api.github.com/repos/", "https://gitlab.com/api/", "https://bitbucket.org/")


def composer(text: str) -> Found:
    """``packages`` and ``packages-dev``. Packagist has archives made by the code hosts: a commit fixes them, a SHA-1 does not."""
    document = json_object(text)
    if not isinstance(document.get("packages"), list):
        raise Unreadable("no packages")
    places = Places(text)
    found = Found()
    for group, scope in (("packages", "required"), ("packages-dev", "excluded")):
        entries = document.get(group)
        for raw in entries if isinstance(entries, list) else ():
            entry = mapping(raw)
            name, version = text_of(entry.get("name")), text_of(entry.get("version"))
            if not name or not version:
                found.unread += 1
                continue
            start, end = places.of(f'"name": "{name}"')
            dist = mapping(entry.get("dist")) or mapping(entry.get("source"))
            url, kind = text_of(dist.get("url")), dist.get("type")
            commit = bool(_COMMIT.match(text_of(dist.get("reference"))))
            own = kind == "path" or (commit and url.startswith(_HOSTED))
            found.packages.append(
                Locked(name, version, "" if own else url, own or commit, start, end, scope=scope, local=kind == "path")
            )
            if len(found.packages) > MAX_ENTRIES:
                return found
    return found

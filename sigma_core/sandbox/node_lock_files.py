"""Lock files of npm (package-lock.json 1 to 3), yarn (1 and berry) and pnpm (5 to 9)."""

from __future__ import annotations

from typing import Any

import re2

from sigma_core.sandbox.lock_entries import (
    MAX_ENTRIES,
    Found,
    Locked,
    Places,
    Unreadable,
    blocks,
    integrity_digests,
    json_object,
    mapping,
    text_of,
)

_MAX_DEPTH = 40
_TARBALL_NAME = re2.compile(r"^https?://[^/]+/((?:@[\w.~-]+(?:/|%2[fF]))?[\w.~-]+)/-/")
_NAME = r"(?:@[\w.~-]+/)?[\w.~-]+"


def npm(text: str) -> Found:
    """``packages`` (2 and 3), or the nested ``dependencies`` of 1."""
    document = json_object(text)
    places = Places(text)
    packages = mapping(document.get("packages"))
    found = Found()
    if packages:
        root = mapping(packages.get(""))
        found.direct = frozenset(
            name
            for group in ("dependencies", "devDependencies", "optionalDependencies")
            for name in mapping(root.get(group))
        )
        for key, entry in packages.items():
            name = key.rpartition("node_modules/")[2]
            if "node_modules/" in key and name:
                _npm_entry(found, name, key, entry, places)
            if len(found.packages) > MAX_ENTRIES:
                break
        return found
    if not any(key in document for key in ("packages", "dependencies", "lockfileVersion")):
        raise Unreadable("neither packages nor dependencies")
    _npm_nested(document, found, places, 0)
    return found


def _npm_nested(document: dict[str, Any], found: Found, places: Places, depth: int) -> None:
    for name, entry in mapping(document.get("dependencies")).items():
        if len(found.packages) > MAX_ENTRIES:
            return
        _npm_entry(found, name, name, entry, places)
        if isinstance(entry, dict) and entry.get("dependencies"):
            if depth < _MAX_DEPTH:
                _npm_nested(entry, found, places, depth + 1)
            else:
                found.unread += 1


def _npm_entry(found: Found, name: str, key: str, entry: Any, places: Places) -> None:
    start, end = places.of(f'"{key}"')
    if not isinstance(entry, dict):
        found.unread += 1
        return
    url, version, integrity = (text_of(entry.get(field)) for field in ("resolved", "version", "integrity"))
    local = entry.get("link") is True or url.startswith("file:") or version.startswith("file:")
    if not local and not version:
        found.unread += 1
        return
    bundled = bool(entry.get("inBundle") or entry.get("bundled"))
    kept = local or bundled or not url
    alias = entry.get("name") or version.startswith("npm:")
    found.packages.append(
        Locked(
            name,
            version,
            "" if kept else url,
            kept or bool(integrity) or "#" in url,
            start,
            end,
            "" if alias else _other_name(url, name),
            integrity_digests(integrity),
            "excluded" if entry.get("dev") is True else "optional" if entry.get("optional") is True else "required",
            local,
        )
    )


def _other_name(url: str, name: str) -> str:
    """The name in a registry's address, where it is another than ``name``."""
    carried = _TARBALL_NAME.match(url)
    other = carried[1].replace("%2f", "/").replace("%2F", "/") if carried else ""
    return other if other.lower() != name.lower() else ""


_YARN_HEADING = re2.compile(r"(?m)^[^\s#:][^\n]*$")
_YARN_ENTRY = re2.compile(rf'^(?:\? )?"?({_NAME})@([^\n]*?):?[ \r]*$')
_YARN_VERSION = re2.compile(r'(?m)^ {2}version:?[ ]"?([^"\s]+)"?[ \r]*$')
_YARN_RESOLVED = re2.compile(r'(?m)^ {2}(?:resolved|resolution:)[ ]"([^"\n]+)"[ \r]*$')
_YARN_INTEGRITY = re2.compile(r"(?m)^ {2}integrity[ ]([^\n]+)$")
_YARN_CHECKSUM = re2.compile(r"(?m)^ {2}checksum:")
_LOCAL_MARKS = ("workspace:", "file:", "link:", "portal:", "patch:")


def yarn(text: str) -> Found:
    """Each heading at the margin with the indented lines below it (berry writes very long ones as ``? key``).

    A checksum of berry is that of yarn's own archive, not of the registry's file."""
    found = Found()
    for match, block in blocks(text, _YARN_HEADING):
        heading = match.group()
        if heading.strip() == "__metadata:":
            continue
        entry, version, resolved = (
            _YARN_ENTRY.match(heading),
            _YARN_VERSION.search(block),
            _YARN_RESOLVED.search(block),
        )
        if entry is None or version is None:
            found.unread += 1
            continue
        url = resolved[1] if resolved and "://" in resolved[1] else ""
        local = any(mark in entry[2] for mark in _LOCAL_MARKS)
        integrity = _YARN_INTEGRITY.search(block)
        found.packages.append(
            Locked(
                entry[1],
                version[1],
                url,
                local or integrity is not None or bool(_YARN_CHECKSUM.search(block)) or "#" in url,
                match.start(),
                match.end(),
                "" if "npm:" in entry[2] else _other_name(url, entry[1]),
                integrity_digests(integrity[1]) if integrity else (),
                local=local,
            )
        )
    return found


_PNPM_VERSION = re2.compile(r"(?m)^(?:lockfileVersion|shrinkwrapVersion):")
_PNPM_PACKAGES = re2.compile(r"(?m)^packages:[ \r]*$")
_PNPM_EMPTY = re2.compile(r"(?m)^packages:[ ]*\{\}[ \r]*$")
_PNPM_SECTION = re2.compile(r"(?m)^\S")
_PNPM_HEADING = re2.compile(r"(?m)^ {2}[^\s#][^\n]*$")
_PNPM_KEY = re2.compile(r"^ {2}(?:'([^']+)'|\"([^\"]+)\"|([^'\"\s][^\n]*?)):[ \r]*$")
_PNPM_NAMED = re2.compile(rf"^/?({_NAME})[@/]([^\n]+)$")
_PNPM_HOSTED = re2.compile(r"^(?:github\.com|gitlab\.com|bitbucket\.org|codeload\.github\.com)/")
_PNPM_TARBALL = re2.compile(r"\btarball:[ ]*['\"]?([^,'\"}\s]+)")
_PNPM_INTEGRITY = re2.compile(r"\bintegrity:[ ]*['\"]?([^,'\"}\s]+)")
_PNPM_FIELD = re2.compile(r"(?m)^ {4}(name|version|dev|optional):[ ]*['\"]?([^'\"\s]+)")


def pnpm(text: str) -> Found:
    """The section ``packages``: keys ``/name/1.0.0`` (5), ``/name@1.0.0(peer)`` (6) and ``name@1.0.0`` (9)."""
    if not _PNPM_VERSION.search(text):
        raise Unreadable("no lockfileVersion")
    section = _PNPM_PACKAGES.search(text)
    if section is None:
        if "\npackages" in text and not _PNPM_EMPTY.search(text):
            raise Unreadable("packages are not written one a line")
        return Found()
    offset = section.end()
    following = _PNPM_SECTION.search(text, offset)
    packages = text[offset : following.start() if following else len(text)]
    found = Found()
    for match, block in blocks(packages, _PNPM_HEADING):
        key = _PNPM_KEY.match(match.group())
        if key is None:
            found.unread += 1
            continue
        entry = _pnpm_entry(key[1] or key[2] or key[3], block, offset + match.start(), offset + match.end())
        if entry is None:
            found.unread += 1
        else:
            found.packages.append(entry)
    return found


def _pnpm_entry(key: str, block: str, start: int, end: int) -> Locked | None:
    key = key.partition("(")[0]
    fields = {match[1]: match[2] for match in _PNPM_FIELD.finditer(block)}
    tarball, integrity = _PNPM_TARBALL.search(block), _PNPM_INTEGRITY.search(block)
    named = _PNPM_NAMED.match(key)
    url, local = tarball[1] if tarball else "", False
    if key.startswith(("file:", "link:")) or _PNPM_HOSTED.match(key) or named is None:
        # A key that is a place: the name stands below it.
        name, version = fields.get("name", ""), fields.get("version", "")
        local = key.startswith(("file:", "link:"))
        url = url or ("" if local else f"https://{key.removeprefix('https://')}")
    else:
        name, version = named[1], named[2].partition("_")[0]
        if not version[:1].isdigit():
            local = version.startswith(("file:", "link:"))
            url, version = url or ("" if local else version), fields.get("version", "")
    if not name or not (version or local):
        return None
    return Locked(
        name,
        version,
        url,
        local or integrity is not None or "commit:" in block,
        start,
        end,
        "",
        integrity_digests(integrity[1]) if integrity else (),
        "excluded" if fields.get("dev") == "true" else "optional" if fields.get("optional") == "true" else "required",
        local,
    )

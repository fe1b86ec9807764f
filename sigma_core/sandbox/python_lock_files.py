"""Lock files of uv, poetry and pipenv."""

from __future__ import annotations

import re2

from sigma_core.sandbox.lock_entries import Found, Locked, Places, blocks, hex_digests, json_object, mapping, text_of

TOML_ENTRY = re2.compile(r"(?m)^\[\[package\]\][ \t\r]*$")
TOML_NAME = re2.compile(r'(?m)^name[ ]?=[ ]?"([^"\n]+)"')
TOML_VERSION = re2.compile(r'(?m)^version[ ]?=[ ]?"([^"\n]+)"')
_TOML_ODD_ENTRY = re2.compile(r"(?m)^[ \t]*(?:\[[ \t]*\[[ \t]*['\"]?package['\"]?[ \t]*\]|['\"]?package['\"]?[ \t]*=)")
_ADDRESS = re2.compile(r'\b(?:url|registry|git)[ ]?=[ ]?"((?:git\+|https?:|ssh:|git:)[^"\n]+)"')
_LOCAL = re2.compile(
    r'(?m)^source[ ]?=[ ]?\{[ ]?(?:editable|virtual|directory|path)\b|^type[ ]?=[ ]?"(?:directory|file)"'
)
_DIGEST = re2.compile(r'\bhash[ ]?=[ ]?"sha(?:256|512):([0-9a-fA-F]+)"')
_CATEGORY = re2.compile(r'(?m)^category[ ]?=[ ]?"dev"')
_OPTIONAL = re2.compile(r"(?m)^optional[ ]?=[ ]?true")
_OWN_INDEX = ("https://pypi.org/", "https://files.pythonhosted.org/")


def odd_entries(text: str, read: int) -> int:
    """How many package tables of a TOML lock file are not among the ``read`` ones: TOML has other spellings of a heading, the tools use one."""
    return max(0, sum(1 for _ in _TOML_ODD_ENTRY.finditer(text)) - read)


def toml_packages(text: str) -> Found:
    """``[[package]]`` tables of uv and poetry."""
    found = Found()
    headings = 0
    for match, block in blocks(text, TOML_ENTRY):
        headings += 1
        name, version = TOML_NAME.search(block), TOML_VERSION.search(block)
        local = bool(_LOCAL.search(block))
        if name is None or (version is None and not local):
            found.unread += 1
            continue
        addresses = [address[1] for address in _ADDRESS.finditer(block)]
        # The first address outside the public index counts: one foreign wheel is enough.
        foreign = next((url for url in addresses if not url.startswith(_OWN_INDEX)), addresses[0] if addresses else "")
        fixed = (
            local or "sha256:" in block or "sha512:" in block or "git" in foreign[:4] or "resolved_reference" in block
        )
        found.packages.append(
            Locked(
                name[1],
                version[1] if version else "",
                foreign,
                fixed,
                match.end() + name.start(),
                match.end() + name.end(),
                "",
                hex_digests(digest[1] for digest in _DIGEST.finditer(block)),
                "excluded" if _CATEGORY.search(block) else "optional" if _OPTIONAL.search(block) else "required",
                local,
            )
        )
    found.unread += odd_entries(text, headings)
    return found


def pipenv(text: str) -> Found:
    """``default`` and ``develop`` of a Pipfile.lock, each entry from the source that it names, else the first."""
    document = json_object(text)
    places = Places(text)
    sources = mapping(document.get("_meta")).get("sources")
    urls = (
        {str(source.get("name")): text_of(source.get("url")) for source in sources if isinstance(source, dict)}
        if isinstance(sources, list)
        else {}
    )
    default = next(iter(urls.values()), "")
    found = Found()
    for group, scope in (("default", "required"), ("develop", "excluded")):
        for name, raw in mapping(document.get(group)).items():
            entry = mapping(raw)
            start, end = places.of(f'"{name}"')
            local = "path" in entry
            url = text_of(entry.get("git")) or text_of(entry.get("file"))
            version = text_of(entry.get("version")).removeprefix("==")
            if not (version or url or local):
                found.unread += 1
                continue
            hashes = entry.get("hashes")
            hashes = [value for value in hashes if isinstance(value, str)] if isinstance(hashes, list) else []
            found.packages.append(
                Locked(
                    name,
                    version,
                    "" if local else url or urls.get(str(entry.get("index")), default),
                    bool(hashes) or "git" in entry or local,
                    start,
                    end,
                    "",
                    hex_digests(value.partition(":")[2] for value in hashes),
                    scope,
                    local,
                )
            )
    return found

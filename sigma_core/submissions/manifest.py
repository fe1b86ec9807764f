"""The manifest of a skill, as plain JSON data: what SKILL.md says of itself, in one shape whatever its spelling.

Read from the front matter (public Agent Skills format) and from fenced YAML blocks in the body that hold nothing but
manifest keys. Some published skills have no front matter, or front matter that is not YAML: ``problems`` says so, and
what they do not declare stays undeclared. Refused is what two readers may read differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sigma_core.policy import PackageLimits
from sigma_core.submissions.front_matter import (
    TextBlock,
    fenced_yaml,
    key_value_lines,
    split_skill_text,
    top_level_keys,
)
from sigma_core.submissions.package import ProductType
from sigma_core.submissions.refusal import Refusal, printable
from sigma_core.submissions.strict_yaml import YamlLimits, YamlSyntax, YamlValue, parse_yaml

SCHEMA = "sigma-manifest-v1"

SPELLINGS = {
    "external_calls": "externalCalls",
    "external-calls": "externalCalls",
    "allowed-tools": "allowedTools",
    "allowed_tools": "allowedTools",
    "product_type": "productType",
    "product-type": "productType",
}
"""Other spellings of manifest keys."""

MAX_BLOCKS = 16

_TEXT_KEYS = ("name", "version", "description", "license", "homepage")
_SURFACE_KEYS = frozenset({"safety", "capabilities", "externalCalls", "endpoints"})
_KEYS = frozenset({*_TEXT_KEYS, *_SURFACE_KEYS, "allowedTools", "metadata", "productType"})


def empty_manifest() -> dict[str, Any]:
    """A manifest that declares nothing.

    ``{schema, name, version, description, license, homepage, productType, safety {network, filesystem},
    capabilities[], externalCalls [{url, auth, method, reason}], endpoints [{method, path, auth}], allowedTools[],
    metadata {}, other {}, sources [{kind, lineStart, lineEnd, keys[]}], positions {key: line},
    conflicts [{key, lines[]}], problems [{code, line, text}]}``

    Single texts are a string or null. ``other`` holds the front matter's further keys. ``positions`` has items and
    parts too: ``externalCalls[0]``, ``safety.network``. Where sources conflict, the first one counts.
    """
    return {
        "schema": SCHEMA,
        **dict.fromkeys(_TEXT_KEYS),
        "productType": None,
        "safety": {"network": None, "filesystem": None},
        "capabilities": [],
        "externalCalls": [],
        "endpoints": [],
        "allowedTools": [],
        "metadata": {},
        "other": {},
        "sources": [],
        "positions": {},
        "conflicts": [],
        "problems": [],
    }


def read_manifest(skill_md: bytes, limits: PackageLimits, file: str = "SKILL.md") -> dict[str, Any]:
    """The manifest in the bytes of a SKILL.md, in the shape of `empty_manifest`. ``file`` names it in refusals.

    Raises Refusal.
    """
    try:
        text = skill_md.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal("BROKEN_MANIFEST_ENCODING", file, found=f"byte {error.start}") from None
    if not text.strip("\ufeff \t\r\n"):
        raise Refusal("BROKEN_MANIFEST", file, found="an empty file", line=1)
    reader = _ManifestReader(file, limits)
    parts = split_skill_text(text)
    if parts.front_matter is None:
        reader.problem("NO_FRONT_MATTER", 1, "the file does not begin with '---'")
    else:
        reader.read_front_matter(parts.front_matter, parts.terminated)
    blocks = 0
    for block in fenced_yaml(parts.body):
        keys = {SPELLINGS.get(key, key) for key in top_level_keys(block)}
        if keys & _SURFACE_KEYS and keys <= _KEYS:
            blocks += 1
            if blocks > MAX_BLOCKS:
                raise Refusal("LIMIT_MANIFEST_BLOCKS", file, line=block.first_line, limit=MAX_BLOCKS)
            reader.read_block(block)
    return reader.finish()


class _ManifestReader:
    """Gathers one manifest from its sources, in their order."""

    def __init__(self, file: str, limits: PackageLimits) -> None:
        self.file = file
        self.limits = YamlLimits(limits.max_manifest_bytes, limits.max_manifest_depth, limits.max_manifest_nodes)
        self.manifest = empty_manifest()

    def problem(self, code: str, line: int, text: str) -> None:
        self.manifest["problems"].append({"code": code, "line": line, "text": printable(text)})

    def read_front_matter(self, block: TextBlock, terminated: bool) -> None:
        if not terminated:
            self.problem("FRONT_MATTER_UNTERMINATED", 1, "the closing '---' is missing")
            self._read_lines(block)
            return
        try:
            value = parse_yaml(block.text, self.file, block.first_line, self.limits)
        except YamlSyntax as error:
            self.problem("FRONT_MATTER_NOT_YAML", error.line, error.problem)
            self._read_lines(block)
            if self.manifest["name"] is None or self.manifest["description"] is None:
                raise Refusal("BROKEN_MANIFEST", self.file, line=error.line, found=error.problem) from None
            return
        self._read_source("frontMatter", block, value)

    def read_block(self, block: TextBlock) -> None:
        try:
            value = parse_yaml(block.text, self.file, block.first_line, self.limits)
        except YamlSyntax as error:
            raise Refusal("BROKEN_MANIFEST", self.file, line=error.line, found=error.problem) from None
        self._read_source("fence", block, value)

    def finish(self) -> dict[str, Any]:
        for key in ("name", "description"):
            if not self.manifest[key]:
                self.problem(f"{key.upper()}_MISSING", 1, f"the front matter has no {key}")
        return self.manifest

    def _add_source(self, kind: str, block: TextBlock, keys: list[str]) -> None:
        source = {"kind": kind, "lineStart": block.first_line, "lineEnd": block.last_line, "keys": keys}
        self.manifest["sources"].append(source)

    def _read_lines(self, block: TextBlock) -> None:
        """Take the one-line texts of front matter that is not YAML, as published clients do, and nothing else."""
        keys: list[str] = []
        for key, value, line in key_value_lines(block):
            if key in _TEXT_KEYS:
                if key in keys:
                    found = f"key {key!r} appears twice"
                    raise Refusal("HOSTILE_MANIFEST_DUPLICATE_KEY", self.file, line=line, found=found)
                keys.append(key)
                self.manifest[key] = value
                self.manifest["positions"][key] = line
        self._add_source("frontMatterLines", block, keys)

    def _read_source(self, kind: str, block: TextBlock, value: YamlValue) -> None:
        if value.content is None:
            value = YamlValue({}, block.first_line)
        if not isinstance(value.content, dict):
            raise Refusal("BROKEN_MANIFEST", self.file, line=value.line, found="not a mapping of keys to values")
        entries: dict[str, YamlValue] = {}
        for written, entry in value.content.items():
            key = SPELLINGS.get(written, written)
            if key in entries:
                found = f"key {key!r} appears in two spellings"
                raise Refusal("HOSTILE_MANIFEST_DUPLICATE_KEY", self.file, line=entry.line, found=found)
            entries[key] = entry
        self._add_source(kind, block, list(entries))
        for key, entry in entries.items():
            if key in _KEYS:
                self._merge(key, entry)
            else:
                self.manifest["other"][key] = entry.plain()
                self.manifest["positions"].setdefault(key, entry.line)
        self._read_aliases(entries)

    def _merge(self, key: str, entry: YamlValue) -> None:
        """Normalise one value; the first source that has it counts, and another that differs is a conflict."""
        positions: dict[str, int] = self.manifest["positions"]
        value, item_positions = self._normalised(key, entry)
        if key not in positions:
            self.manifest[key] = value
            positions[key] = entry.line
            positions.update(item_positions)
        elif value != self.manifest[key]:
            self.manifest["conflicts"].append({"key": key, "lines": [positions[key], entry.line]})

    def _read_aliases(self, entries: dict[str, YamlValue]) -> None:
        """``metadata.version`` (Agent Skills) and a ``type`` that is a product type stand in for absent keys."""
        metadata = entries.get("metadata")
        if self.manifest["version"] is None and metadata is not None and isinstance(metadata.content, dict):
            version = metadata.content.get("version")
            if version is not None and version.text is not None:
                self.manifest["version"] = version.text
                self.manifest["positions"]["version"] = version.line
        kind = entries.get("type")
        if self.manifest["productType"] is None and kind is not None and _product_type(kind) is not None:
            self.manifest["productType"] = _product_type(kind)
            self.manifest["positions"]["productType"] = kind.line

    def _normalised(self, key: str, entry: YamlValue) -> tuple[Any, dict[str, int]]:
        """The value of a manifest key in its published shape, and the lines of its items."""
        if key in _TEXT_KEYS:
            return self._text(key, entry), {}
        if key == "productType":
            product_type = _product_type(entry)
            if product_type is None and entry.content is not None:
                self._wrong_shape(key, entry, "one of SKILL, API, SKILL_API")
            return product_type, {}
        if key == "metadata":
            plain = entry.plain()
            if not isinstance(plain, dict):
                self._wrong_shape(key, entry, "a mapping")
            return (plain if isinstance(plain, dict) else {}), {}
        if key == "safety":
            return self._safety(entry)
        if key == "allowedTools":
            return self._tools(entry), {}
        return self._items(key, entry)

    def _wrong_shape(self, key: str, entry: YamlValue, expected: str) -> None:
        self.problem("WRONG_SHAPE", entry.line, f"{key} should be {expected}; not read")

    def _text(self, key: str, entry: YamlValue) -> str | None:
        if isinstance(entry.content, list | dict):
            self._wrong_shape(key, entry, "one text")
        return entry.text

    def _safety(self, entry: YamlValue) -> tuple[dict[str, str | None], dict[str, int]]:
        safety: dict[str, str | None] = {"network": None, "filesystem": None}
        positions = {}
        content = entry.content if isinstance(entry.content, dict) else {}
        if entry.content is not None and not isinstance(entry.content, dict):
            self._wrong_shape("safety", entry, "a mapping with network and filesystem")
        for key, value in content.items():
            if key not in safety:
                self.problem("UNKNOWN_KEY", value.line, f"safety.{key} is not read")
                continue
            positions[f"safety.{key}"] = value.line
            items = value.content if isinstance(value.content, list) else [value]
            texts = [text for item in items if (text := self._text(f"safety.{key}", item)) is not None]
            safety[key] = ", ".join(texts) if texts else None
        return safety, positions

    def _tools(self, entry: YamlValue) -> list[str]:
        if isinstance(entry.content, list):
            return [text for item in entry.content if (text := self._text("allowedTools", item)) is not None]
        text = self._text("allowedTools", entry)
        return [] if text is None else list(_split_tools(text))

    def _items(self, key: str, entry: YamlValue) -> tuple[list[Any], dict[str, int]]:
        read_item: Callable[[YamlValue], Any] = {
            "capabilities": self._capability,
            "externalCalls": self._external_call,
            "endpoints": self._endpoint,
        }[key]
        content = [] if entry.content is None else entry.content
        if not isinstance(content, list):
            self._wrong_shape(key, entry, "a list")
            content = []
        items: list[Any] = []
        positions = {}
        for item in content:
            value = read_item(item)
            if value is None:
                self._wrong_shape(f"{key}[{len(items)}]", item, "a text or a mapping with the documented keys")
            else:
                positions[f"{key}[{len(items)}]"] = item.line
                items.append(value)
        return items, positions

    def _capability(self, item: YamlValue) -> str | None:
        if isinstance(item.content, dict):
            name = item.content.get("name") or item.content.get("id")
            return None if name is None else name.text
        return item.text

    def _external_call(self, item: YamlValue) -> dict[str, str | None] | None:
        fields: dict[str, str | None] = dict.fromkeys(("url", "auth", "method", "reason"))
        if isinstance(item.content, dict):
            self._fill(fields, item, "externalCalls")
        else:
            fields["url"] = item.text
        return fields if fields["url"] else None

    def _endpoint(self, item: YamlValue) -> dict[str, str | None] | None:
        fields: dict[str, str | None] = dict.fromkeys(("method", "path", "auth"))
        if isinstance(item.content, dict):
            self._fill(fields, item, "endpoints")
        elif item.text:
            method, _, path = item.text.rpartition(" ")
            fields.update(method=method.strip() or None, path=path)
        if fields["method"]:
            fields["method"] = fields["method"].upper()
        return fields if fields["path"] else None

    def _fill(self, fields: dict[str, str | None], item: YamlValue, place: str) -> None:
        assert isinstance(item.content, dict)
        for key, value in item.content.items():
            if key in fields:
                fields[key] = self._text(f"{place}.{key}", value)
            else:
                self.problem("UNKNOWN_KEY", value.line, f"{place}.{key} is not read")


def _product_type(entry: YamlValue) -> str | None:
    word = (entry.text or "").upper().replace("-", "_")
    return word if word in ProductType.__members__ else None


def _split_tools(text: str) -> Iterator[str]:
    """The tools of ``Bash(git add:*), Read`` or ``Bash Read``: split at commas and blanks outside parentheses."""
    depth, start = 0, 0
    for index, character in enumerate(text + ","):
        depth = max(0, depth + (character == "(") - (character == ")"))
        if (character in ", \t\n" and not depth) or index == len(text):
            if tool := text[start:index].strip():
                yield tool
            start = index + 1

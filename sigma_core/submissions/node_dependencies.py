"""Node dependencies: package.json and registry settings (npm documentation, "package.json" and "semver")."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from sigma_core.submissions.dependency_problem import DependencyFile, DependencyProblem
from sigma_core.submissions.package import PackageFile

PUBLIC_REGISTRIES = frozenset({"https://registry.npmjs.org", "https://registry.yarnpkg.com"})
MAX_RANGE_CHARACTERS = 500

_REQUIRED_SECTIONS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_SECTIONS = (*_REQUIRED_SECTIONS, "overrides", "resolutions")
_VCS = ("git+", "git:", "git@", "ssh:", "github:", "gitlab:", "bitbucket:", "gist:")
_LOCAL = ("file:", "link:", "portal:", "workspace:", "./", "../", "/", "~/")
_GITHUB_SHORTHAND = re2.compile(r"^[\w.-]+/[\w.-]+(#.*)?$")
_REGISTRY_SETTING = re2.compile(
    r"(?i)^[ \t]*(?:@[^:=\s]+:)?(?:registry|npmRegistryServer)[\"']?[ \t]*[=: ][ \t]*[\"']?([^\"'\s]*)"
)

# One comparator: operator, then major, minor, patch (each may be x or absent), then pre-release and build tags.
_PART = r"(0|[1-9]\d{0,15}|[xX*])"
_COMPARATOR = re2.compile(
    rf"^(\^|~>?|>=|<=|>|<|=)?v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$"
)
_GAP_AFTER_OPERATOR = re2.compile(r"(\^|~>?|>=|<=|>|<|=)[ \t]+")

_Triple = tuple[int, int, int]
_ZERO: _Triple = (0, 0, 0)


def package_json_problems(file: PackageFile) -> list[DependencyProblem]:
    """Problems of a package.json: its dependency sections, overrides and resolutions."""
    document = DependencyFile(file)
    try:
        data = json.loads(document.text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        document.add("DEPENDENCY_FILE_UNREADABLE", getattr(error, "lineno", 1), f"not JSON: {error}")
        return document.problems
    for section in _SECTIONS:
        entries = data.get(section) if isinstance(data, dict) else None
        for name, wanted in _versions(entries):
            fault = dependency_fault(wanted)
            # "$name" in overrides repeats the version of a direct dependency, which is checked by itself.
            if fault and not document.is_full and not (section == "overrides" and wanted.startswith("$")):
                line = document.line_of(name, f'"{section}"')
                document.add(fault, line, f"{name}: {wanted!r}")
    return document.problems


def _versions(entries: Any) -> Iterator[tuple[str, str]]:
    """Names and versions in a section; overrides may nest."""
    waiting = [entries]
    while waiting:
        entries = waiting.pop()
        for name, wanted in entries.items() if isinstance(entries, dict) else ():
            if isinstance(wanted, str):
                yield name, wanted
            else:
                waiting.append(wanted)


def node_config_problems(file: PackageFile) -> list[DependencyProblem]:
    """Registries that an npm or yarn configuration sets."""
    document = DependencyFile(file)
    for line, text in enumerate(document.text.split("\n"), 1):
        if (match := _REGISTRY_SETTING.match(text)) and match[1].rstrip("/") not in PUBLIC_REGISTRIES:
            document.add("DEPENDENCY_PRIVATE_INDEX", line, text.strip())
    return document.problems


def dependency_fault(wanted: str) -> str | None:
    """The code of the rule that a dependency's value breaks, or None."""
    text = wanted.strip()
    if text.startswith("npm:"):
        return range_fault(text[4:].rpartition("@")[2] if "@" in text[5:] else "")
    if text.startswith(_VCS):
        return "DEPENDENCY_VCS"
    if text.startswith(_LOCAL):
        return "DEPENDENCY_LOCAL_PATH"
    if text.startswith(("http:", "https:")):
        return "DEPENDENCY_VCS" if ".git" in text else "DEPENDENCY_URL"
    if _GITHUB_SHORTHAND.match(text):
        return "DEPENDENCY_VCS"
    return range_fault(text)


def range_fault(text: str) -> str | None:
    """The code of the rule that a semver range breaks, or None for an exact version or a range with a bound.

    A range without a bound is ``*``, ``x``, an empty text, ``>=0`` or a tag such as ``latest``.
    """
    if len(text) > MAX_RANGE_CHARACTERS:
        return "DEPENDENCY_MALFORMED"
    alternatives = []
    for alternative in text.split("||"):
        interval = _interval(alternative)
        if interval is None:
            return "DEPENDENCY_UNPINNED" if text.strip().replace("-", "").isalpha() else "DEPENDENCY_MALFORMED"
        alternatives.append(interval)
    if any(interval.lower == _ZERO and interval.upper is None for interval in alternatives):
        return "DEPENDENCY_UNPINNED"
    return None if any(interval.satisfiable for interval in alternatives) else "DEPENDENCY_UNRESOLVABLE"


@dataclass(frozen=True, slots=True)
class _Interval:
    """Versions from ``lower`` on, below ``upper`` (None = without end); pre-releases are left out of account."""

    lower: _Triple
    upper: _Triple | None

    @property
    def satisfiable(self) -> bool:
        return self.upper is None or self.lower < self.upper

    def intersect(self, other: _Interval) -> _Interval:
        uppers = [upper for upper in (self.upper, other.upper) if upper is not None]
        return _Interval(max(self.lower, other.lower), min(uppers, default=None))


_ANY = _Interval(_ZERO, None)


def _interval(text: str) -> _Interval | None:
    """The interval of the comparators in ``text``, or None where it is not a range."""
    low, hyphen, high = text.partition(" - ")
    if hyphen:
        text = f">={low.strip()} <={high.strip()}"
    interval = _ANY
    for comparator in _GAP_AFTER_OPERATOR.sub(r"\1", text).split():
        match = _COMPARATOR.match(comparator)
        if match is None:
            return None
        parts = [int(part) for part in match.groups()[1:] if part is not None and part.isdigit()]
        interval = interval.intersect(_comparator_interval(match[1] or "=", parts))
    return interval


def _comparator_interval(operator: str, parts: list[int]) -> _Interval:
    """The interval of one comparator over a version of which ``parts`` are given, the rest being wild."""
    if not parts:
        return _Interval(_ZERO, _ZERO) if operator in {"<", ">"} else _ANY
    lower = _padded(parts)
    after = _next(parts, len(parts) - 1)
    if operator == ">":
        return _Interval(after, None)
    if operator == ">=":
        return _Interval(lower, None)
    if operator == "<":
        return _Interval(_ZERO, lower)
    if operator == "<=":
        return _Interval(_ZERO, after)
    if operator == "^":
        # Up to the next change of the leftmost part that is not zero.
        leftmost = next((index for index, part in enumerate(parts) if part), len(parts) - 1)
        return _Interval(lower, _next(parts, leftmost))
    if operator in {"~", "~>"}:
        return _Interval(lower, _next(parts, min(1, len(parts) - 1)))
    return _Interval(lower, after)


def _padded(parts: list[int]) -> _Triple:
    major, minor, patch = (*parts, 0, 0)[:3]
    return major, minor, patch


def _next(parts: list[int], index: int) -> _Triple:
    """The first version beyond all that share ``parts`` up to ``index``."""
    return _padded([*parts[:index], parts[index] + 1])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return mapping

"""Python dependencies: requirements files (pip), pyproject.toml (PEP 508, 621, 735), script metadata (PEP 723)."""

from __future__ import annotations

import posixpath
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import re2
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from sigma_core.submissions.dependency_problem import DependencyFile, DependencyProblem
from sigma_core.submissions.node_dependencies import range_fault
from sigma_core.submissions.package import PackageFile

MAX_REQUIREMENT_CHARACTERS = 1_000
"""PEP 508 parsers are made for short lines."""

PUBLIC_INDEXES = frozenset({"https://pypi.org/simple", "https://pypi.python.org/simple"})

_VCS = ("git+", "hg+", "svn+", "bzr+", "git://", "git@", "ssh://")
_INDEX_OPTIONS = frozenset({"-i", "--index-url", "--extra-index-url", "--pypi-url"})
_SOURCE_OPTIONS = frozenset({"-f", "--find-links", "--trusted-host", "--no-index"})
_HARMLESS_OPTIONS = frozenset(
    {"--hash", "--pre", "--prefer-binary", "--no-binary", "--only-binary", "--require-hashes", "--use-feature"}
    | {"--use-pep517", "--config-settings", "--global-option"}
)
_COMMENT = re2.compile(r"(^|[ \t])#.*$")
_PIP_SETTING = re2.compile(r"^[ \t]*(index-url|extra-index-url|find-links|trusted-host|no-index)[ \t]*[=:][ \t]*(.*)$")
# tomllib takes quadratic time over dotted keys; honest ones have few parts.
_LONG_DOTTED_KEY = re2.compile(r"""(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){17}""")
_SCRIPT_OPEN, _SCRIPT_CLOSE = "# /// script", "# ///"


def requirements_problems(files: Sequence[PackageFile], package: Mapping[str, PackageFile]) -> list[DependencyProblem]:
    """Problems of requirements files and of the files in ``package`` that they include; each is read once."""
    problems: list[DependencyProblem] = []
    seen: set[str] = set()
    waiting = list(files)
    while waiting:
        current = waiting.pop()
        if current.path in seen:
            continue
        seen.add(current.path)
        document = DependencyFile(current)
        for line, text in logical_lines(document.text):
            included = _check_requirements_line(document, line, text)
            if included is None:
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(current.path), included))
            if path in package:
                waiting.append(package[path])
            else:
                document.add("DEPENDENCY_URL" if "://" in included else "DEPENDENCY_LOCAL_PATH", line, text)
        problems.extend(document.problems)
    return problems


def pyproject_problems(file: PackageFile) -> list[DependencyProblem]:
    """Problems of a pyproject.toml: PEP 621 and 735 tables, build requirements, and those of Poetry and uv."""
    document = DependencyFile(file)
    _check_pyproject(document, document.text, 0)
    return document.problems


def script_problems(file: PackageFile) -> list[DependencyProblem]:
    """Problems of the PEP 723 block in a Python script, if it has one."""
    if _SCRIPT_OPEN.encode() not in file.content:
        return []
    document = DependencyFile(file)
    block = script_block(document.text)
    if block is not None:
        _check_pyproject(document, *block)
    return document.problems


def script_block(text: str) -> tuple[str, int] | None:
    """The TOML of the PEP 723 block in the Python script ``text`` and how many lines stand above it, or None."""
    lines = text.replace("\r\n", "\n").split("\n")
    if _SCRIPT_OPEN not in lines:
        return None
    start = lines.index(_SCRIPT_OPEN) + 1
    end = next((index for index in range(start, len(lines)) if lines[index] == _SCRIPT_CLOSE), start)
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[start:end]), start


def pip_config_problems(file: PackageFile) -> list[DependencyProblem]:
    """Indexes that a pip configuration adds or replaces."""
    document = DependencyFile(file)
    for line, text in enumerate(document.text.split("\n"), 1):
        if (match := _PIP_SETTING.match(text)) and not (match[1].endswith("index-url") and _is_public(match[2])):
            document.add("DEPENDENCY_PRIVATE_INDEX", line, text.strip())
    return document.problems


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, continued ones joined; each with the number of its first line."""
    pending, first = "", 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        first = first if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        joined = _COMMENT.sub("", pending + line).strip()
        pending = ""
        if joined:
            yield first, joined
    if pending.strip():
        yield first, _COMMENT.sub("", pending).strip()


def _check_requirements_line(document: DependencyFile, line: int, text: str) -> str | None:
    """Check one line; the answer is the path of the file that it includes, if it does."""
    if not text.startswith("-"):
        requirement = text.partition(" --")[0].strip()
        if fault := _requirement_fault(requirement):
            document.add(fault, line, requirement)
        return None
    try:
        words = shlex.split(text[:MAX_REQUIREMENT_CHARACTERS])
    except ValueError:
        words = [text]
    option, equals, value = words[0].partition("=")
    if not option.startswith("--") and len(option) > 2:
        option, value = option[:2], option[2:]
    elif not equals:
        value = words[1] if len(words) > 1 else ""
    if option in {"-r", "--requirement", "-c", "--constraint"}:
        return value
    if option in {"-e", "--editable"}:
        code = _source_fault(value) or "DEPENDENCY_LOCAL_PATH"
        document.add(code, line, text)
    elif option in _SOURCE_OPTIONS or (option in _INDEX_OPTIONS and not _is_public(value)):
        document.add("DEPENDENCY_PRIVATE_INDEX", line, text)
    elif option not in _HARMLESS_OPTIONS | _INDEX_OPTIONS:
        document.add("DEPENDENCY_MALFORMED", line, text)
    return None


def _is_public(url: str) -> bool:
    return url.strip().strip("\"'").rstrip("/") in PUBLIC_INDEXES


def _source_fault(text: str) -> str | None:
    """The code for a requirement that names where to fetch from, None for one that names a distribution."""
    lowered = text.lower()
    if lowered.startswith(_VCS):
        return "DEPENDENCY_VCS"
    if lowered.startswith(("http://", "https://", "ftp://")):
        return "DEPENDENCY_URL"
    if lowered.startswith((".", "/", "~", "file:")) or (
        lowered.endswith((".whl", ".tar.gz", ".zip")) and "@" not in text
    ):
        return "DEPENDENCY_LOCAL_PATH"
    return None


def _requirement_fault(text: str) -> str | None:
    """The code of the rule that a PEP 508 requirement breaks, or None."""
    if fault := _source_fault(text):
        return fault
    try:
        requirement = Requirement(text) if len(text) <= MAX_REQUIREMENT_CHARACTERS else None
    except (InvalidRequirement, RecursionError):
        requirement = None
    if requirement is None:
        return "DEPENDENCY_LOCAL_PATH" if "/" in text.partition(";")[0] else "DEPENDENCY_MALFORMED"
    if requirement.url is not None:
        return _source_fault(requirement.url) or "DEPENDENCY_URL"
    return _specifiers_fault(requirement.specifier)


def _specifiers_fault(specifiers: SpecifierSet) -> str | None:
    if not any(_bounds(one) for one in specifiers):
        return "DEPENDENCY_UNPINNED"
    return "DEPENDENCY_UNRESOLVABLE" if specifiers.is_unsatisfiable() else None


def _bounds(specifier: Specifier) -> bool:
    """Whether ``specifier`` rules anything out but single versions: ``>=0`` and ``!=1`` are bare names in disguise."""
    if specifier.operator in {">", ">="}:
        try:
            return Version(specifier.version) > Version("0")
        except InvalidVersion:
            return False
    return specifier.operator != "!="


def _check_pyproject(document: DependencyFile, toml: str, lines_above: int) -> None:
    """Check the TOML text ``toml``, which begins below ``lines_above`` lines of the document."""
    try:
        data = load_toml(toml)
    except TomlFault as unread:
        document.add("DEPENDENCY_FILE_UNREADABLE", lines_above + unread.line, str(unread))
        return
    for heading, lists in requirement_groups(data).items():
        for requirements in lists:
            for requirement in requirements if isinstance(requirements, list) else []:
                # A mapping includes another dependency group, which is checked by itself.
                if not isinstance(requirement, str) or document.is_full:
                    continue
                if fault := _requirement_fault(requirement):
                    document.add(fault, document.line_of(requirement, heading), requirement)
    _check_uv(document, _table(data, "tool", "uv"))
    _check_poetry(document, _table(data, "tool", "poetry"))


class TomlFault(ValueError):
    """A text that is not read as TOML, and the 1-based line that says why."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def load_toml(text: str) -> dict[str, Any]:
    """The TOML document ``text`` of a package. Raises TomlFault, also for keys that would take the parser too long."""
    if match := _LONG_DOTTED_KEY.search(text):
        raise TomlFault(text.count("\n", 0, match.start()) + 1, "a dotted key of more than 17 parts")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise TomlFault(1, f"not TOML: {error}") from None


def requirement_groups(data: dict[str, Any]) -> dict[str, list[Any]]:
    """The lists of PEP 508 requirements in a pyproject.toml or script block (PEP 621, 735, 723), by heading; not checked."""
    project, build = _table(data, "project"), _table(data, "build-system")
    return {
        "dependencies": [data.get("dependencies"), project.get("dependencies")],
        "optional-dependencies": list(_table(project, "optional-dependencies").values()),
        "dependency-groups": list(_table(data, "dependency-groups").values()),
        "build-system": [build.get("requires")],
        "dev-dependencies": [_table(data, "tool", "uv").get("dev-dependencies")],
    }


def _table(data: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _check_uv(document: DependencyFile, uv: dict[str, Any]) -> None:
    for name, source in _table(uv, "sources").items():
        for place in [] if document.is_full else _tables(source) or _tables([source]):
            _check_source_table(document, document.line_of(name, "sources"), name, place)
    urls = [index.get("url") for index in _tables(uv.get("index"))]
    extra = uv.get("extra-index-url")
    urls += [uv.get("index-url"), *(extra if isinstance(extra, list) else [])]
    _check_indexes(document, urls)


def _check_poetry(document: DependencyFile, poetry: dict[str, Any]) -> None:
    _check_indexes(document, [source.get("url") for source in _tables(poetry.get("source"))])
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(group, "dependencies") for group in _table(poetry, "group").values()]
    for table in tables:
        for name, value in table.items():
            if name.lower() == "python" or document.is_full:
                continue
            version = value.get("version") if isinstance(value, dict) else value
            if version is None:
                _check_source_table(document, document.line_of(f"{name} ", "[tool.poetry"), name, value)
            elif fault := _poetry_fault(version) if isinstance(version, str) else "DEPENDENCY_MALFORMED":
                document.add(fault, document.line_of(f"{name} ", "[tool.poetry"), f"{name} = {version!r}")


def _poetry_fault(version: str) -> str | None:
    """Poetry reads PEP 440 specifiers and the caret, tilde and wildcard ranges of Node."""
    try:
        specifiers = SpecifierSet(version[:MAX_REQUIREMENT_CHARACTERS])
    except ValueError:
        return range_fault(version.replace(",", " "))
    return _specifiers_fault(specifiers)


def _check_source_table(document: DependencyFile, line: int, name: str, source: dict[str, Any]) -> None:
    faults = {
        "git": "DEPENDENCY_VCS",
        "url": "DEPENDENCY_URL",
        "path": "DEPENDENCY_LOCAL_PATH",
        "workspace": "DEPENDENCY_LOCAL_PATH",
        "index": "DEPENDENCY_PRIVATE_INDEX",
    }
    for key, code in faults.items():
        if key in source:
            document.add(code, line, f"{name}: {key} = {source[key]!r}")


def _check_indexes(document: DependencyFile, urls: list[Any]) -> None:
    for url in urls:
        if isinstance(url, str) and not _is_public(url) and not document.is_full:
            document.add("DEPENDENCY_PRIVATE_INDEX", document.line_of(url), url)

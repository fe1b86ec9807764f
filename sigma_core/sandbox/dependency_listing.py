"""What a package's own manifests and lock files ask installers for: names, versions, sources, scopes, and the hashes that lock files give."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import quote

import re2
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.lock_entries import Digest, Locked
from sigma_core.sandbox.lock_files import LockFile, read_lock_file
from sigma_core.sandbox.secrets import redact
from sigma_core.submissions.package import Package, PackageFile
from sigma_core.submissions.python_dependencies import (
    MAX_REQUIREMENT_CHARACTERS,
    TomlFault,
    load_toml,
    logical_lines,
    requirement_groups,
    script_block,
)
from sigma_core.submissions.refusal import printable

MAX_DEPENDENCIES = 5_000
_EXACT_NPM = re2.compile(r"^[=v]{0,2}(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?)$")
_FROM_REGISTRY = re2.compile(r"^(?:[\^~<>=v*xX\d]|latest$|next$|$)")
_USER_INFO = re2.compile(r"://[^/@\s]+@")
_NODE_SECTIONS = {
    "dependencies": "required",
    "peerDependencies": "required",
    "optionalDependencies": "optional",
    "devDependencies": "excluded",
}
_LOWER_CASE = frozenset({"golang", "composer"})
_PIPFILE_SECTIONS = {"packages": "required", "dev-packages": "excluded"}
_PYTHON_SCOPES = {"dependencies": "required", "optional-dependencies": "optional"}


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """One thing asked for at one place. ``wanted`` is the range or source as written; ``version`` is empty unless it is exact.

    ``from_index`` says that a name and version of the ecosystem's public index are meant; else ``wanted`` is a URL, path or repository.
    ``ecosystem`` is the type of its package URLs. ``scope`` is CycloneDX's: required, optional, or excluded (only needed
    to develop or build). ``locked`` things stand in a lock file, with the hashes that it gives; others are declared.
    """

    ecosystem: str
    name: str
    version: str
    wanted: str
    from_index: bool
    scope: str
    file: str
    line: int = 0
    locked: bool = False
    hashes: tuple[Digest, ...] = ()

    @property
    def purl(self) -> str | None:
        """The package URL, or None where no index is meant."""
        if not self.from_index:
            return None
        name = self.name.lower() if self.ecosystem in _LOWER_CASE else self.name
        name = "/".join(quote(part, safe="") for part in name.split("/"))
        return f"pkg:{self.ecosystem}/{name}" + (f"@{quote(self.version, safe='')}" if self.version else "")


@dataclass(frozen=True, slots=True)
class DependencyListing:
    """What a package asks for, sorted, at most `MAX_DEPENDENCIES`; ``faults`` name the lock files that could not be read, with the reason."""

    dependencies: list[Dependency]
    faults: list[str]


def listed_dependencies(package: Package) -> DependencyListing:
    """What the package's own files ask for; a manifest that cannot be read asks for nothing.

    Read are requirements files and what they include, pyproject.toml, script metadata (PEP 723), Pipfile, package.json,
    go.mod and every lock file of `sigma_core.sandbox.lock_files`, in any folder. Folders of the project itself are left
    out of lock files: they are files of the package.
    """
    locks = [
        (file.path, lock) for file in package.files if (lock := read_lock_file(file.path, _text(file))) is not None
    ]
    asked = islice(_dependencies(package, locks), MAX_DEPENDENCIES)
    return DependencyListing(sorted(set(asked)), [f"{path}: {lock.fault}" for path, lock in locks if lock.fault])


def _dependencies(package: Package, locks: Iterable[tuple[str, LockFile]]) -> Iterator[Dependency]:
    included: list[PackageFile] = []
    for path, lock in locks:
        yield from _locked(path, lock)
    for file in package.files:
        name = file.path.rpartition("/")[2].lower()
        if "requirements" in name and name.endswith((".txt", ".in")):
            included.append(file)
        elif name == "pyproject.toml":
            yield from _python_groups(file, _text(file))
        elif name == "pipfile":
            yield from _pipfile(file)
        elif name == "go.mod":
            yield from _go_manifest(file)
        elif name.endswith(".py") and (block := script_block(_text(file))) is not None:
            yield from _python_groups(file, block[0])
        elif name == "package.json":
            yield from _node_manifest(file)
    yield from _requirements(included, package)


def _text(file: PackageFile) -> str:
    return file.content.decode("utf-8", "replace").removeprefix("\ufeff")


def _requirements(waiting: list[PackageFile], package: Package) -> Iterator[Dependency]:
    seen: set[str] = set()
    while waiting:
        file = waiting.pop()
        if file.path in seen:
            continue
        seen.add(file.path)
        for line, text in logical_lines(_text(file)):
            option, _, path = text.partition(" ")
            if option in {"-r", "--requirement", "-c", "--constraint"}:
                member = package.by_path.get(normpath(join(dirname(file.path), path.strip())))
                waiting += [member] if member is not None else []
            elif not text.startswith("-"):
                yield from _requirement(text.partition(" --")[0].strip(), "required", file.path, line)


def _requirement(text: str, scope: str, file: str, line: int = 0) -> Iterator[Dependency]:
    """A PEP 508 requirement; what is none (a bare path or URL) is named by itself."""
    try:
        requirement = Requirement(text) if len(text) <= MAX_REQUIREMENT_CHARACTERS else None
    except (InvalidRequirement, RecursionError):
        requirement = None
    if requirement is None:
        shown = _shown(text)
        yield Dependency("pypi", shown, "", shown, False, scope, file, line)
        return
    exact = [one.version for one in requirement.specifier if one.operator in {"==", "==="} and "*" not in one.version]
    version = exact[0] if len(requirement.specifier) == 1 and exact else ""
    wanted = _shown(requirement.url) if requirement.url is not None else "" if version else str(requirement.specifier)
    yield Dependency(
        "pypi", canonicalize_name(requirement.name), version, wanted, requirement.url is None, scope, file, line
    )


def _python_groups(file: PackageFile, toml: str) -> Iterator[Dependency]:
    try:
        groups = requirement_groups(load_toml(toml))
    except TomlFault:
        return
    for heading, lists in groups.items():
        for text in _texts(lists):
            yield from _requirement(text, _PYTHON_SCOPES.get(heading, "excluded"), file.path)


def _texts(lists: Iterable[Any]) -> Iterator[str]:
    for each in lists:
        yield from (text for text in each if isinstance(text, str)) if isinstance(each, list) else ()


def _pipfile(file: PackageFile) -> Iterator[Dependency]:
    try:
        document = load_toml(_text(file))
    except TomlFault:
        return
    for section, scope in _PIPFILE_SECTIONS.items():
        entries = document.get(section)
        for name, wanted in entries.items() if isinstance(entries, dict) else ():
            table = wanted if isinstance(wanted, dict) else {"version": wanted}
            source = next((table[key] for key in ("git", "file", "path") if isinstance(table.get(key), str)), "")
            version = table.get("version")
            if source:
                yield Dependency("pypi", _shown(canonicalize_name(name)), "", _shown(source), False, scope, file.path)
            elif isinstance(version, str):
                yield from _requirement(name + ("" if version == "*" else version), scope, file.path)


def _node_manifest(file: PackageFile) -> Iterator[Dependency]:
    document = _json(file)
    for section, scope in _NODE_SECTIONS.items():
        entries = document.get(section)
        for name, wanted in entries.items() if isinstance(entries, dict) else ():
            if isinstance(wanted, str):
                yield _node(name, wanted.strip(), scope, file.path)


def _node(name: str, wanted: str, scope: str, file: str) -> Dependency:
    if wanted.startswith("npm:"):
        # An alias: the name behind it is what is installed.
        name, _, wanted = wanted[4:].rpartition("@") if "@" in wanted[5:] else (wanted[4:], "", "")
    exact = _EXACT_NPM.match(wanted)
    version = exact.group(1) if exact else ""
    from_index = _FROM_REGISTRY.search(wanted) is not None
    return Dependency("npm", _shown(name), _shown(version), "" if version else _shown(wanted), from_index, scope, file)


_GO_REQUIRED = re2.compile(r"^(?:require[ \t]+)?([\w.~/!+-]+)[ \t]+(v[^\s]+)$")


def _go_manifest(file: PackageFile) -> Iterator[Dependency]:
    """``require`` lines and blocks of a go.mod; what ``replace`` makes of them, only go.sum tells."""
    inside = False
    for number, line in enumerate(_text(file).split("\n"), 1):
        text = line.partition("//")[0].strip()
        if text in {"require (", "require("}:
            inside = True
        elif text == ")":
            inside = False
        elif (inside or text.startswith("require")) and (match := _GO_REQUIRED.match(text)):
            yield Dependency("golang", _shown(match[1]), _shown(match[2]), "", True, "required", file.path, number)


def _locked(path: str, lock: LockFile) -> Iterator[Dependency]:
    for entry in lock.packages:
        if not entry.local:
            yield _locked_package(path, lock.ecosystem, entry)


def _locked_package(path: str, ecosystem: str, entry: Locked) -> Dependency:
    name = canonicalize_name(entry.name) if ecosystem == "pypi" else entry.name
    urls = vocabulary.urls_in(entry.url.removeprefix("git+"))
    from_index = not entry.url or any(vocabulary.package_host(host) for _, _, _, host in urls)
    return Dependency(
        ecosystem,
        _shown(name),
        _shown(entry.version),
        "" if from_index else _shown(entry.url),
        from_index,
        entry.scope,
        path,
        locked=True,
        hashes=entry.hashes,
    )


def _json(file: PackageFile) -> dict[str, Any]:
    try:
        document = json.loads(_text(file))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _shown(text: str) -> str:
    return printable(redact(_USER_INFO.sub("://***@", text)))

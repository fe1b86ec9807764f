"""CycloneDX 1.6 (ECMA-424) of a package: its files with their hashes, and what its manifests and lock files ask installers for.

Nothing is looked up: versions are what the package itself says, and what those bring along is not known ("incomplete"). The same
bytes give the same document; the serial number follows from the tree hash, and there is no time in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid5

import re2
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

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

SCHEMA_URI = "http://cyclonedx.org/schema/bom-1.6.schema.json"
NAMESPACE = UUID("6f0c8a3e-1f5e-5f0b-9a55-5d8c0e2f7b10")
"""Ours, for serial numbers (RFC 9562, version 5, of the tree hash)."""

MAX_DEPENDENCIES = 5_000
ROOT = "package"

_EXACT_NPM = re2.compile(r"^[=v]{0,2}(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?)$")
_FROM_REGISTRY = re2.compile(r"^(?:[\^~<>=v*xX\d]|latest$|next$|$)")
_USER_INFO = re2.compile(r"://[^/@\s]+@")
_NODE_SECTIONS = {
    "dependencies": "required",
    "peerDependencies": "required",
    "optionalDependencies": "optional",
    "devDependencies": "excluded",
}
_PYTHON_SCOPES = {"dependencies": "required", "optional-dependencies": "optional"}


@dataclass(frozen=True, slots=True, order=True)
class Dependency:
    """One thing asked for at one place. ``wanted`` is the range or source as written; ``version`` is empty unless it is exact.

    ``from_index`` says that a name and version of the ecosystem's public index are meant; else ``wanted`` is a URL, path or repository.
    ``scope`` is CycloneDX's: required, optional, or excluded (only needed to develop or build).
    """

    ecosystem: str
    name: str
    version: str
    wanted: str
    from_index: bool
    scope: str
    file: str
    line: int = 0

    @property
    def purl(self) -> str | None:
        """The package URL, or None where no index is meant."""
        if not self.from_index:
            return None
        name = "/".join(quote(part, safe="") for part in self.name.split("/", 1))
        return f"pkg:{self.ecosystem}/{name}" + (f"@{quote(self.version, safe='')}" if self.version else "")


def declared_dependencies(package: Package) -> list[Dependency]:
    """What the package's own files ask for, sorted, at most `MAX_DEPENDENCIES`; a file that cannot be read asks for nothing.

    Read are requirements files and what they include, pyproject.toml, script metadata (PEP 723), uv.lock, poetry.lock,
    package.json and package-lock.json, in any folder.
    """
    return sorted(set(islice(_dependencies(package), MAX_DEPENDENCIES)))


def to_cyclonedx(package: Package, tool_version: str) -> dict[str, Any]:
    """The bill of materials of ``package``, made by SIGMA ``tool_version``."""
    dependencies = declared_dependencies(package)
    components = [_file(file) for file in package.files]
    same = groupby(dependencies, key=lambda found: (found.ecosystem, found.name, found.version, found.wanted))
    asked = [_library(number, list(places)) for number, (_, places) in enumerate(same, 1)]
    root: dict[str, Any] = {
        "type": "application",
        "bom-ref": ROOT,
        "name": printable(str(package.manifest.get("name") or package.source_name)),
        "properties": [
            {"name": "sigma:treeHash", "value": package.tree_hash},
            {"name": "sigma:productType", "value": package.product_type.value},
        ],
    }
    if package.manifest.get("version"):
        root["version"] = printable(str(package.manifest["version"]))
    if package.skill_hash is not None:
        root["properties"].append({"name": "sigma:skillHash", "value": package.skill_hash})
    if len(dependencies) == MAX_DEPENDENCIES:
        root["properties"].append({"name": "sigma:dependenciesBound", "value": str(MAX_DEPENDENCIES)})
    refs = [component["bom-ref"] for component in asked]
    return {
        "$schema": SCHEMA_URI,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE, package.tree_hash)}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "SIGMA sandbox", "version": tool_version}]},
            "component": root,
        },
        "components": components + asked,
        "dependencies": [{"ref": ROOT, "dependsOn": refs}, *({"ref": ref} for ref in refs)],
        "compositions": [{"aggregate": "incomplete", "dependencies": [ROOT]}],
    }


def _file(file: PackageFile) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:{file.path}",
        "name": file.path,
        "hashes": [{"alg": "SHA-256", "content": file.sha256}],
        "properties": [{"name": "sigma:size", "value": str(file.size)}],
    }


def _library(number: int, places: list[Dependency]) -> dict[str, Any]:
    """One component for everything that asks for the same name, version and range."""
    first = places[0]
    scopes = {place.scope for place in places}
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"dependency:{number}:{first.name}",
        "name": first.name,
        "scope": next(scope for scope in ("required", "optional", "excluded") if scope in scopes),
        "evidence": {
            "occurrences": [{"location": place.file} | ({"line": place.line} if place.line else {}) for place in places]
        },
    }
    if first.version:
        component["version"] = first.version
    if first.purl is not None:
        component["purl"] = first.purl
    if first.wanted:
        key = "sigma:versionRange" if first.from_index else "sigma:source"
        component["properties"] = [{"name": key, "value": first.wanted}]
    return component


def _dependencies(package: Package) -> Iterator[Dependency]:
    included: list[PackageFile] = []
    for file in package.files:
        name = file.path.rpartition("/")[2].lower()
        if "requirements" in name and name.endswith((".txt", ".in")):
            included.append(file)
        elif name == "pyproject.toml":
            yield from _python_groups(file, _text(file))
        elif name in {"uv.lock", "poetry.lock"}:
            yield from _python_lock(file)
        elif name.endswith(".py") and (block := script_block(_text(file))) is not None:
            yield from _python_groups(file, block[0])
        elif name == "package.json":
            yield from _node_manifest(file)
        elif name == "package-lock.json":
            yield from _node_lock(file)
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


def _python_lock(file: PackageFile) -> Iterator[Dependency]:
    try:
        packages = load_toml(_text(file)).get("package")
    except TomlFault:
        return
    for entry in packages if isinstance(packages, list) else ():
        name, version = (entry.get("name"), entry.get("version")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and isinstance(version, str):
            yield Dependency("pypi", _shown(canonicalize_name(name)), _shown(version), "", True, "required", file.path)


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


def _node_lock(file: PackageFile) -> Iterator[Dependency]:
    packages = _json(file).get("packages")
    for path, entry in packages.items() if isinstance(packages, dict) else ():
        name = path.rpartition("node_modules/")[2]
        version = entry.get("version") if isinstance(entry, dict) else None
        if path and name and isinstance(version, str):
            scope = (
                "excluded" if entry.get("dev") is True else "optional" if entry.get("optional") is True else "required"
            )
            yield Dependency("npm", _shown(name), _shown(version), "", True, scope, file.path)


def _json(file: PackageFile) -> dict[str, Any]:
    try:
        document = json.loads(_text(file))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _shown(text: str) -> str:
    return printable(redact(_USER_INFO.sub("://***@", text)))

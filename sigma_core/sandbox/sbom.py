"""CycloneDX 1.6 (ECMA-424) of a package: its files with their hashes, and what its manifests and lock files ask installers for.

Nothing is looked up: versions are what the package itself says, and what those bring along is not known ("incomplete"). The same
bytes give the same document; the serial number follows from the tree hash, and there is no time in it.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any
from uuid import UUID, uuid5

from sigma_core.sandbox.dependency_listing import MAX_DEPENDENCIES, Dependency, listed_dependencies
from sigma_core.submissions.package import Package, PackageFile
from sigma_core.submissions.refusal import printable

SCHEMA_URI = "http://cyclonedx.org/schema/bom-1.6.schema.json"
NAMESPACE = UUID("6f0c8a3e-1f5e-5f0b-9a55-5d8c0e2f7b10")
"""Ours, for serial numbers (RFC 9562, version 5, of the tree hash)."""

ROOT = "package"


def to_cyclonedx(package: Package, tool_version: str) -> dict[str, Any]:
    """The bill of materials of ``package``, made by SIGMA ``tool_version``."""
    listing = listed_dependencies(package)
    dependencies = listing.dependencies
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
    root["properties"] += [{"name": "sigma:unreadLockFile", "value": printable(fault)} for fault in listing.faults]
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
    """One component for everything that asks for the same name, version and range; ``sigma:asked`` says whether a manifest declares or a lock file locks it."""
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
    hashes = sorted({digest for place in places for digest in place.hashes})
    if hashes:
        component["hashes"] = [{"alg": algorithm, "content": content} for algorithm, content in hashes]
    component["properties"] = [
        {"name": "sigma:asked", "value": stage}
        for stage in sorted({"locked" if place.locked else "declared" for place in places})
    ]
    if first.wanted:
        key = "sigma:versionRange" if first.from_index else "sigma:source"
        component["properties"].append({"name": key, "value": first.wanted})
    return component

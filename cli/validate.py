"""``sigma validate``: intake and sandbox alone, over one package. Opens no database and records nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from sigma_core import __version__
from sigma_core.errors import SigmaError
from sigma_core.policy import PackageLimits, Policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.dry_run import Checked
from sigma_core.sandbox.evidence import Evidence
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.sandbox.sarif import to_sarif
from sigma_core.sandbox.suppressions import (
    MAX_FILE_BYTES,
    Suppressions,
    View,
    read_suppressions,
    view,
)
from sigma_core.storage.files import write_whole
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import Package
from sigma_core.submissions.refusal import Refusal

OPEN_MAX_FILES = 5_000
OPEN_MAX_BYTES = 50 * 1024 * 1024
OPEN_MAX_ARCHIVE_BYTES = OPEN_MAX_BYTES + OPEN_MAX_FILES * 3 * 1024
"""What that many bytes take in a plain tar: header, padding and extended header of each member."""


@dataclass(frozen=True)
class Outputs:
    """Files to write, where they are wanted."""

    facts: Path | None = None
    sarif: Path | None = None
    sbom: Path | None = None


def package_limits(policy: Policy, name: Literal["policy", "open"]) -> PackageLimits:
    """The policy's package limits, or with ``open`` more room in them; shape, depth and expansion stay bounded as they were."""
    if name == "policy":
        return policy.package
    return policy.package.model_copy(
        update={
            "max_files": OPEN_MAX_FILES,
            "max_total_bytes": OPEN_MAX_BYTES,
            "max_file_bytes": OPEN_MAX_BYTES,
            "max_archive_bytes": OPEN_MAX_ARCHIVE_BYTES,
        }
    )


def load_suppressions(file: Path | None, packages: Sequence[Path]) -> Suppressions | None:
    """The suppressions in ``file``. Raises SuppressionError, or SigmaError for a file that stands inside one of ``packages``."""
    if file is None:
        return None
    for package in packages:
        if package.is_dir() and file.resolve().is_relative_to(package.resolve()):
            raise SigmaError(
                f"--suppressions {file}: stands inside the package {package}, so its author could write it",
                code="USAGE",
                hint="keep it outside the packages",
            )
    return read_suppressions(_read(file, MAX_FILE_BYTES), str(file))


def today() -> date:
    """The day that suppressions are held against, UTC."""
    return datetime.now(UTC).date()


def check(
    path: Path,
    policy: Policy,
    limits: PackageLimits,
    *,
    suppressions: Suppressions | None = None,
    yara: Sequence[Path] = (),
    foreign_sarif: Sequence[Path] = (),
) -> Checked:
    """Intake and sandbox over the package at ``path``. Raises Refusal for one that intake does not take."""
    try:
        package = read_package(path, policy, limits=limits)
    except Refusal as refusal:
        if refusal.code.startswith("LIMIT_") and limits == policy.package:
            refusal.hint = "a dry run takes larger packages with --limits open"
        raise
    facts = derive_facts(package, policy)
    evidence = [*_yara(yara, package), *_foreign_sarif(foreign_sarif, package)]
    return Checked(package, facts, suppressions, view(facts, suppressions, today()), evidence)


def _yara(packs: Sequence[Path], package: Package) -> list[Evidence]:
    if not packs:
        return []
    # The library takes 20 MB and a moment to load: only for those who use it.
    from sigma_core.sandbox.yara_packs import MAX_PACK_BYTES, compile_pack, scan

    evidence = []
    for pack in packs:
        files = (
            sorted(file for file in pack.rglob("*") if file.suffix in {".yar", ".yara"}) if pack.is_dir() else [pack]
        )
        named = [(file.name if file == pack else file.relative_to(pack).as_posix(), file) for file in files]
        evidence.append(scan(compile_pack([(name, _read(file, MAX_PACK_BYTES)) for name, file in named]), package))
    return evidence


def _foreign_sarif(logs: Sequence[Path], package: Package) -> list[Evidence]:
    if not logs:
        return []
    from sigma_core.sandbox.foreign_sarif import MAX_FILE_BYTES as MAX_SARIF_BYTES
    from sigma_core.sandbox.foreign_sarif import read_sarif

    return [evidence for log in logs for evidence in read_sarif(_read(log, MAX_SARIF_BYTES), str(log), package)]


def _read(file: Path, limit: int) -> bytes:
    """The file's bytes, and one more than ``limit`` at most, for the reader to refuse."""
    with file.open("rb") as stream:
        return stream.read(limit + 1)


def write_outputs(checked: Checked, outputs: Outputs) -> None:
    """Write each wanted file, whole or not at all."""
    if outputs.facts is not None:
        write_whole(outputs.facts, checked.facts.canonical_bytes)
    if outputs.sarif is not None:
        write_sarif(checked.facts, checked.package.source_name, outputs.sarif, checked.view, checked.suppressions)
    if outputs.sbom is not None:
        from sigma_core.sandbox.sbom import to_cyclonedx

        write_whole(outputs.sbom, _pretty(to_cyclonedx(checked.package, __version__)))


def write_sarif(
    facts: FactsDocument,
    package_name: str,
    out: Path,
    seen: View | None = None,
    suppressions: Suppressions | None = None,
) -> None:
    """The facts as SARIF 2.1.0 in ``out``, with what ``seen`` sets aside marked as such."""
    suppressed = seen.suppressed if seen is not None else ()
    sha256 = suppressions.sha256 if suppressions is not None else None
    write_whole(out, _pretty(to_sarif(facts, package_name, __version__, suppressed, sha256)))


def _pretty(document: Any) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode()

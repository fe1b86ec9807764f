"""YARA-X rule packs that whoever runs SIGMA brings along, as evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2
import yara_x

from sigma_core.canonical import sha256_hex, sha256_of
from sigma_core.errors import SigmaError
from sigma_core.sandbox.evidence import MAX_FINDINGS, Evidence, ForeignFinding, short
from sigma_core.sandbox.facts import Severity
from sigma_core.submissions.package import Package, PackageFile

MAX_PACK_FILES = 500
MAX_PACK_BYTES = 8 * 1024 * 1024
MAX_WORK = 20_000_000_000
"""Bytes scanned times rules, for one package: about half a minute. Counted, so that the same bytes end at the same place."""

_MATCHES_PER_PATTERN = 16
_SAFETY_SECONDS = 60
"""Beside the counted bound, against a pattern that is far slower than most; reaching it is an incident."""

# What they answer depends on the clock, or they print.
_REFUSED_IMPORT = re2.compile(r"(?m)^\s*import\s+\"(time|console)\"")


class YaraPackError(SigmaError):
    """A rule pack that cannot be used; names the file and the place in it."""

    code = "YARA_PACK_INVALID"


@dataclass(frozen=True)
class YaraPack:
    """Compiled rules, how many there are, and the SHA-256 hex of their sources."""

    rules: Any
    count: int
    sha256: str


def compile_pack(sources: Sequence[tuple[str, bytes]]) -> YaraPack:
    """The rules of ``(file name, bytes)`` sources, each in a namespace of its file. Raises YaraPackError."""
    total = sum(len(content) for _, content in sources)
    if not sources or len(sources) > MAX_PACK_FILES or total > MAX_PACK_BYTES:
        raise YaraPackError(
            f"a rule pack has 1 to {MAX_PACK_FILES} files (.yar, .yara) of {MAX_PACK_BYTES} bytes in all"
            f" [found {len(sources)} files, {total} bytes]"
        )
    compiler = yara_x.Compiler()
    compiler.enable_includes(False)
    for name, content in sorted(sources):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise YaraPackError(f"{name}: not UTF-8 at byte {error.start}") from None
        if refused := _REFUSED_IMPORT.search(text):
            raise YaraPackError(
                f"{name}: the module {refused.group(1)!r} is not available: the same bytes must give the same evidence"
            )
        compiler.new_namespace(name)
        try:
            compiler.add_source(text, origin=name)
        except yara_x.CompileError as error:
            # The first two lines are the message and the place; the rest draws the source.
            message, place = (line.strip() for line in str(error).strip().split("\n")[:2])
            raise YaraPackError(f"{place.removeprefix('--> ')}: {message}") from None
    rules = compiler.build()
    sha256 = sha256_of([[name, sha256_hex(content)] for name, content in sorted(sources)])
    return YaraPack(rules, len(list(rules)), sha256)


def scan(pack: YaraPack, package: Package) -> Evidence:
    """What ``pack`` matches in the files of ``package``; decoded layers are not looked at."""
    findings: list[ForeignFinding] = []
    incidents: list[str] = []
    work = 0
    scanner = yara_x.Scanner(pack.rules)
    scanner.max_matches_per_pattern(_MATCHES_PER_PATTERN)
    scanner.set_timeout(_SAFETY_SECONDS)
    for file in package.files:
        work += file.size * max(pack.count, 1)
        if work > MAX_WORK:
            incidents.append(f"{file.path} and what follows it: more than {MAX_WORK} units of work (bytes times rules)")
            break
        try:
            findings += _matches(scanner.scan(file.content), file)
        except yara_x.TimeoutError:
            incidents.append(f"{file.path}: not scanned to its end within {_SAFETY_SECONDS} s")
        except yara_x.ScanError as error:
            incidents.append(short(f"{file.path}: {error}"))
    if len(findings) > MAX_FINDINGS:
        incidents.append(f"{len(findings) - MAX_FINDINGS} further findings are left out")
    return Evidence(f"yara:{pack.sha256}", "YARA-X", tuple(sorted(findings)[:MAX_FINDINGS]), tuple(incidents))


def _matches(results: Any, file: PackageFile) -> Iterator[ForeignFinding]:
    for rule in results.matching_rules:
        about = {str(key).lower(): value for key, value in rule.metadata}
        title = short(str(about.get("title") or about.get("description") or rule.identifier))
        places = sorted(
            (match.offset, match.length, pattern.identifier) for pattern in rule.patterns for match in pattern.matches
        )
        # A rule may hold without any pattern, on size or structure alone.
        start, length, pattern = places[0] if places else (0, 0, "")
        line = file.content.count(b"\n", 0, start) + 1
        yield ForeignFinding(
            file=file.path,
            line_start=line,
            rule_id=short(f"{rule.namespace}:{rule.identifier}"),
            line_end=line + file.content.count(b"\n", start, start + length),
            severity=_severity(about),
            title=title,
            subject=f"{len(places)} matches, first {pattern}" if len(places) > 1 else pattern,
            excerpt=short(file.content[start : start + min(length, 200)].decode("utf-8", "replace")),
        )


def _severity(about: Mapping[str, Any]) -> Severity:
    """What the rule's own ``severity`` says, where it is one of ours; else MEDIUM."""
    said = str(about.get("severity", "")).upper()
    return Severity(said) if said in Severity.__members__ else Severity.MEDIUM

"""Other scanners' SARIF 2.1.0 (OASIS), as evidence: a strict, bounded reading of what they say, never of what they would have us do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from posixpath import normpath
from typing import Any
from urllib.parse import unquote

from sigma_core.canonical import sha256_hex
from sigma_core.errors import SigmaError
from sigma_core.sandbox.evidence import MAX_FINDINGS, Evidence, ForeignFinding, short
from sigma_core.sandbox.facts import Severity
from sigma_core.submissions.package import Package

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_RUNS = 50
MAX_LINE = 10_000_000

_SEVERITIES = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW, "none": Severity.INFO}


class ForeignSarifError(SigmaError):
    """A file that is not the SARIF it should be; names the place in it."""

    code = "SARIF_INVALID"


def read_sarif(data: bytes, name: str, package: Package) -> list[Evidence]:
    """One `Evidence` for each run of the log ``data``, about ``package``; ``name`` names the file in errors.

    A result that its own scanner suppressed or found absent is left out; one that points at no file of the package is kept without
    a file, and counted in an incident. Raises ForeignSarifError.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ForeignSarifError(f"{name}: larger than {MAX_FILE_BYTES} bytes")
    try:
        log = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ForeignSarifError(f"{name}: not JSON: {error}") from None
    reader = _Reader(name, package, sha256_hex(data))
    if not isinstance(log, dict) or log.get("version") != "2.1.0":
        raise ForeignSarifError(f'{name}: version must be "2.1.0"')
    runs = reader.items(log, "runs", "log")
    if len(runs) > MAX_RUNS:
        raise ForeignSarifError(f"{name}: more than {MAX_RUNS} runs")
    return [reader.run(run, f"runs[{at}]") for at, run in enumerate(runs)]


class _Reader:
    """Reads one log; every error names the place."""

    def __init__(self, name: str, package: Package, sha256: str) -> None:
        self.name = name
        self.paths = package.by_path
        self.sha256 = sha256

    def refuse(self, place: str, rule: str) -> ForeignSarifError:
        return ForeignSarifError(f"{self.name}: {place}: {rule}")

    def member(self, owner: Mapping[str, Any], key: str, kind: type, place: str) -> Any:
        """``owner[key]``, which is absent (None) or of ``kind``."""
        value = owner.get(key)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise self.refuse(f"{place}.{key}", f"must be {'an object' if kind is dict else f'a {kind.__name__}'}")
        return value

    def items(self, owner: Mapping[str, Any], key: str, place: str) -> list[dict[str, Any]]:
        """``owner[key]``, a list of objects; absent is empty."""
        value: list[dict[str, Any]] = self.member(owner, key, list, place) or []
        for at, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.refuse(f"{place}.{key}[{at}]", "must be an object")
        return value

    def run(self, run: dict[str, Any], place: str) -> Evidence:
        tool = self.member(run, "tool", dict, place) or {}
        driver = self.member(tool, "driver", dict, f"{place}.tool")
        if not driver or not self.member(driver, "name", str, f"{place}.tool.driver"):
            raise self.refuse(f"{place}.tool.driver.name", "is missing")
        version = self.member(driver, "version", str, f"{place}.tool.driver") or ""
        rules = self.items(driver, "rules", f"{place}.tool.driver")
        artifacts = self.items(run, "artifacts", place)
        findings: list[ForeignFinding] = []
        set_aside = elsewhere = left_out = 0
        for at, result in enumerate(self.items(run, "results", place)):
            where = f"{place}.results[{at}]"
            if (
                result.get("suppressions")
                or result.get("baselineState") == "absent"
                or result.get("kind", "fail") != "fail"
            ):
                set_aside += 1
            elif len(findings) == MAX_FINDINGS:
                left_out += 1
            else:
                finding = self.result(result, rules, artifacts, where)
                elsewhere += not finding.file
                findings.append(finding)
        counted = (
            (set_aside, "results that the scanner itself set aside or that are no failure were left out"),
            (elsewhere, "results name no file of the package"),
            (left_out, f"results beyond the first {MAX_FINDINGS} were left out"),
        )
        return Evidence(
            source=f"sarif:{self.sha256}",
            tool=short(f"{driver['name']} {version}".strip()),
            findings=tuple(sorted(findings)),
            incidents=tuple(f"{number} {what}" for number, what in counted if number),
        )

    def result(
        self, result: dict[str, Any], rules: list[dict[str, Any]], artifacts: list[dict[str, Any]], place: str
    ) -> ForeignFinding:
        rule = self._rule(result, rules, place)
        rule_id = self.member(result, "ruleId", str, place) or self.member(rule, "id", str, f"{place}: its rule") or ""
        configuration = self.member(rule, "defaultConfiguration", dict, f"{place}: its rule") or {}
        level = self.member(result, "level", str, place) or configuration.get("level") or "warning"
        if level not in _SEVERITIES:
            raise self.refuse(f"{place}.level", f"must be one of {', '.join(_SEVERITIES)}")
        message = self.member(result, "message", dict, place) or {}
        text = self.member(message, "text", str, f"{place}.message") or rule_id
        file, first, last, snippet = self._place(result, artifacts, place)
        return ForeignFinding(
            file=file,
            line_start=first,
            rule_id=short(rule_id) or "(no rule)",
            line_end=last,
            severity=_SEVERITIES[level],
            title=short(text),
            excerpt=short(snippet),
        )

    def _rule(self, result: dict[str, Any], rules: list[dict[str, Any]], place: str) -> dict[str, Any]:
        index = self.member(result, "ruleIndex", int, place)
        if index is not None and index >= 0:
            if index >= len(rules):
                raise self.refuse(f"{place}.ruleIndex", f"there are {len(rules)} rules")
            rule: dict[str, Any] = rules[index]
            return rule
        return {}

    def _place(self, result: dict[str, Any], artifacts: list[dict[str, Any]], place: str) -> tuple[str, int, int, str]:
        locations = self.items(result, "locations", place)
        if not locations:
            return "", 0, 0, ""
        place = f"{place}.locations[0].physicalLocation"
        physical = self.member(locations[0], "physicalLocation", dict, place) or {}
        artifact = self.member(physical, "artifactLocation", dict, place) or {}
        uri = self.member(artifact, "uri", str, place) or ""
        index = self.member(artifact, "index", int, place)
        if not uri and index is not None and 0 <= index < len(artifacts):
            uri = self.member(self.member(artifacts[index], "location", dict, place) or {}, "uri", str, place) or ""
        region = self.member(physical, "region", dict, place) or {}
        first = self.member(region, "startLine", int, place) or 0
        last = self.member(region, "endLine", int, place) or first
        if not 0 <= first <= last <= MAX_LINE:
            raise self.refuse(f"{place}.region", "lines must be positive and in order")
        snippet = self.member(region, "snippet", dict, place) or {}
        return self._path(uri), first, last, self.member(snippet, "text", str, place) or ""

    def _path(self, uri: str) -> str:
        """The file of the package that ``uri`` means: the longest end of its path that is one; empty where there is none."""
        for path in _ends(normpath(unquote(uri[:4_096]).removeprefix("file://").replace("\\", "/"))):
            if path in self.paths:
                return path
        return ""


def _ends(path: str) -> Iterator[str]:
    parts = path.strip("/").split("/")[-64:]
    for at in range(len(parts)):
        yield "/".join(parts[at:])

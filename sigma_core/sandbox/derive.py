"""The facts document of a package: every file inspected, judged against what is declared, weighed, and written in one canonical order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sigma_core.policy import Policy, SandboxBudgets
from sigma_core.sandbox.budget import WorkMeter
from sigma_core.sandbox.bytecode import bytecode_without_its_source
from sigma_core.sandbox.declared import DeclaredSurface, read_declared
from sigma_core.sandbox.endpoints import endpoint_findings, endpoint_review, source_facts
from sigma_core.sandbox.facts import SCHEMA, Fact, FactsDocument, Location, Severity, canonical_order
from sigma_core.sandbox.fragments import text_across_files
from sigma_core.sandbox.inspection import FileInspector, attacks
from sigma_core.sandbox.joined_texts import joined_texts
from sigma_core.sandbox.judgement import Judgement
from sigma_core.sandbox.kinds import guess_text_kind
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.risk import assess, with_joint_fact
from sigma_core.sandbox.rules import RuleBook, load_rules, release_automata
from sigma_core.sandbox.secrets import Redactor
from sigma_core.sandbox.shell import read_shell
from sigma_core.sandbox.supply_chain import supply_chain
from sigma_core.sandbox.use_or_mention import TOLD
from sigma_core.submissions.package import Package, PackageFile

SANDBOX_VERSION = "6"
"""Raised with every change that can change facts."""


def derive_facts(package: Package, policy: Policy) -> FactsDocument:
    """The facts of ``package`` under ``policy``: a pure function of bytes, manifest and policy.

    Never raises for anything that a package holds: a bound that is reached or an analyser that fails becomes an incident and ``coverage.complete`` turns false.
    """
    rules = load_rules()
    budgets = policy.sandbox
    meter = WorkMeter(budgets)
    readings, files, incidents = [], [], []
    findings: list[Finding] = []
    for file in sorted(package.files, key=lambda file: file.path.encode()):
        units = meter.package_units
        reading, failure = _inspect(file, rules, budgets, meter)
        readings.append(reading)
        causes = reading.incidents + ([failure] if failure else [])
        incidents += [
            {"file": file.path, "analyser": analyser, "reason": reason} for analyser, reason in dict.fromkeys(causes)
        ]
        files.append(_ledger_entry(file, reading, failure, meter.package_units - units))
    try:
        declared = read_declared(package, readings)
        findings += Judgement(declared, readings).judge()
        findings += _joined_fragments(readings, rules, budgets, meter)
        findings += _joined_modules(readings)
        findings += bytecode_without_its_source(readings)
        findings += endpoint_findings(package, declared, readings)
    except Exception as error:
        incidents.append({"file": "", "analyser": "judgement", "reason": type(error).__name__})
        declared = read_declared(Package((), {}, package.product_type, package.source_name), [])
    try:
        findings += supply_chain(package, declared, readings, rules)
    except Exception as error:
        incidents.append({"file": "", "analyser": "supply_chain", "reason": type(error).__name__})
    complete = not incidents
    redactor = Redactor(value for reading in readings for value in reading.secrets)
    facts = _facts(findings, declared, rules, budgets, incidents, redactor)
    risk = assess(facts, rules, complete)
    release_automata()
    return FactsDocument(
        {
            "schema": SCHEMA,
            "sandboxVersion": SANDBOX_VERSION,
            "rulePackHash": rules.sha256,
            "policyHash": policy.hash,
            "package": {
                "treeHash": package.tree_hash,
                "skillHash": package.skill_hash,
                "productType": package.product_type.value,
                "fileCount": len(package.files),
                "totalBytes": package.total_bytes,
            },
            "declared": redactor.data(_declared_json(declared)),
            "facts": facts,
            "coverage": {
                "complete": complete,
                "files": files,
                "incidents": incidents,
                "workUnits": meter.package_units,
            },
            "sourceFacts": redactor.data(source_facts(facts, readings, bool(risk["blockingSignals"]))),
            "endpointReview": redactor.data(endpoint_review(package, declared, readings)),
            "risk": risk,
        }
    )


def _inspect(
    file: PackageFile, rules: RuleBook, budgets: SandboxBudgets, meter: WorkMeter
) -> tuple[Reading, tuple[str, str] | None]:
    inspector = FileInspector(file, rules, budgets, meter)
    try:
        return inspector.read(), None
    except Exception as error:
        return inspector.reading, ("inspection", type(error).__name__)


def _ledger_entry(file: PackageFile, reading: Reading, failure: tuple[str, str] | None, units: int) -> dict[str, Any]:
    reason = failure[1] if failure else reading.partial
    if not reason and reading.kind in {
        FileKind.BINARY,
        FileKind.EXECUTABLE,
        FileKind.BYTECODE,
        FileKind.IMAGE,
        FileKind.FONT,
        FileKind.MEDIA,
        FileKind.DOCUMENT,
    }:
        reason = "bytes only"
    return {
        "path": file.path,
        "sha256": file.sha256,
        "size": file.size,
        "kind": reading.kind.value,
        "status": "PARTIAL" if failure or reading.partial else "READ",
        "reason": reason,
        "layers": reading.layers,
        "workUnits": units,
    }


def _joined_fragments(
    readings: Iterable[Reading], rules: RuleBook, budgets: SandboxBudgets, meter: WorkMeter
) -> list[Finding]:
    """Pieces of base64 that stand in different files and decode to a threat only together."""
    pieces = [(token, at) for reading in readings for token, at in reading.fragments]
    if len({at.file for _, at in pieces}) < 2 or len(pieces) > 64:
        return []
    text = text_across_files(pieces)
    if text is None:
        return []
    first = pieces[0][1]
    file = PackageFile.of(first.file, text.encode())
    inspector = FileInspector(file, rules, budgets, meter)
    inspector.read_bytes(file.content, "joined-base64", first, 1)
    if (
        not any(finding.rule_id == "SIGMA-OBF-006" for finding in inspector.reading.findings)
        and not inspector.reading.seen
        and guess_text_kind(text) is FileKind.TEXT
    ):
        return []
    return [
        *inspector.reading.findings,
        Finding(
            "SIGMA-OBF-012", ", ".join(sorted({at.file for _, at in pieces}))[:160], first, text[:120], "use", True
        ),
    ]


def _joined_modules(readings: Iterable[Reading]) -> list[Finding]:
    """Commands that several modules of Python make together and that fetch and run something, or send a secret."""
    modules = {reading.path: reading.text for reading in readings if reading.kind is FileKind.PYTHON and reading.text}
    found: list[Finding] = []
    for joined in joined_texts(modules) if len(modules) > 1 else ():
        if any(attacks(flow) for flow in read_shell(joined.text).flows):
            place = Location(joined.path, joined.line, joined.line, 0, 0)
            subject = ", ".join([joined.path, *joined.others])[:160]
            found.append(Finding("SIGMA-OBF-012", subject, place, joined.text[:120], "use", True))
    return found


def _declared_json(declared: DeclaredSurface) -> dict[str, Any]:
    manifest = declared.manifest
    safety = manifest.get("safety")
    return {
        "name": str(manifest.get("name") or "")[:200],
        "version": str(manifest.get("version") or "")[:80],
        "description": str(manifest.get("description") or "")[:1_000],
        "safety": {key: _plain(safety.get(key)) for key in ("network", "filesystem")}
        if isinstance(safety, dict)
        else {"network": None, "filesystem": None},
        "capabilities": [str(item)[:200] for item in manifest.get("capabilities") or () if isinstance(item, str)][:100],
        "allowedTools": [str(item)[:200] for item in manifest.get("allowedTools") or () if isinstance(item, str)][:100],
        "externalCalls": [
            {key: str(call.get(key, ""))[:300] for key in ("url", "auth", "method", "reason")}
            for call in manifest.get("externalCalls") or ()
            if isinstance(call, dict)
        ][:100],
        "endpoints": [dict(endpoint) for endpoint in declared.endpoints][:200],
        "hosts": sorted(host for host in declared.hosts if "." in host)[:200],
        "localClaim": declared.local_claim,
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)[:200]


def _facts(
    findings: Iterable[Finding],
    declared: DeclaredSurface,
    rules: RuleBook,
    budgets: SandboxBudgets,
    incidents: Iterable[dict[str, str]],
    redactor: Redactor,
) -> list[dict[str, Any]]:
    gathered = list(findings)
    for path, hosts in sorted(declared.document_hosts.items()):
        at = Location(path if path != "(manifest)" else "SKILL.md", 1, 1, 0, 0)
        gathered += [
            Finding("SIGMA-DECL-001", f"host: {host}", at, "", "use", False)
            for host in sorted(hosts)[:40]
            if "." in host
        ]
    for incident in incidents:
        gathered.append(
            Finding(
                "SIGMA-COVER-001",
                f"{incident['analyser']}: {incident['reason']}",
                Location(incident["file"], 1, 1, 0, 0),
                "",
                "use",
                False,
            )
        )
    unique = {_order(finding): finding for finding in sorted(gathered, key=lambda finding: finding.line_text)}
    facts, counts = [], Counter[tuple[str, str]]()
    for key in sorted(unique):
        finding = unique[key]
        counts[(finding.rule_id, finding.location.file)] += 1
        if counts[(finding.rule_id, finding.location.file)] <= budgets.max_findings_per_rule_and_file:
            facts.append(_fact(_settled(finding, rules), rules, budgets, redactor).as_json())
    return with_joint_fact(sorted(facts, key=canonical_order), rules)


TOLD_RULE = "SIGMA-INJ-027"


def _settled(finding: Finding, rules: RuleBook) -> Finding:
    """What is told rather than asked: a warning where asking it would block, else a mention."""
    if finding.context != TOLD:
        return finding
    blocks = rules[finding.rule_id].blocks is not None
    return replace(finding, rule_id=TOLD_RULE, context="use") if blocks else replace(finding, context="mention")


def _order(finding: Finding) -> tuple[str, int, str, str, str, int, str]:
    at = finding.location
    return at.file, at.byte_start, finding.rule_id, at.layer, finding.subject, at.byte_end, finding.context


def _fact(finding: Finding, rules: RuleBook, budgets: SandboxBudgets, redactor: Redactor) -> Fact:
    rule = rules[finding.rule_id]
    mention = finding.context == "mention"
    return Fact(
        kind=rule.kind,
        rule_id=rule.id,
        title=rule.title,
        category=rule.category,
        severity=Severity.INFO if mention else rule.severity,
        location=finding.location,
        subject=_clean(redactor.text(finding.subject))[: budgets.max_excerpt_characters],
        excerpt=_clean(redactor.text(finding.line_text[:600].strip()))[: budgets.max_excerpt_characters],
        confidence_ppm=rule.confidence_ppm // 2 if mention else rule.confidence_ppm,
        context=finding.context,
    )


def _clean(text: str) -> str:
    """Printable, one line, no direction controls or surrogates: safe to show and to hash."""
    return "".join(
        character if character.isprintable() else "·" if not character.isspace() else " " for character in text
    )

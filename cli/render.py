"""Reports for a terminal. Everything that comes from a package passes through `printable`."""

from __future__ import annotations

import os
from typing import Any

from cli.output import printable, stdout

OUTCOME_STYLE = {"APPROVED": "bold green", "REJECTED": "bold red", "ESCALATED": "bold yellow"}
SEVERITY_STYLE = {"CRITICAL": "bold red", "HIGH": "red", "MEDIUM": "yellow", "LOW": "cyan", "INFO": "dim"}
LIMITS = "SIGMA verifies; it does not prove that no vulnerability exists."
MAX_FINDINGS = 20
COMMAND = printable(os.environ.get("SIGMA_COMMAND", "sigma"))
"""How this program was called: the launcher says so, that hints can be copied."""


def _pairs(*pairs: tuple[str, object]) -> None:
    """Labels and values, a line each; long hashes stay whole, so that they can be copied."""
    for label, value in pairs:
        stdout.print(f"  [dim]{label:<16}[/]{printable(str(value))}")


def print_report(report: dict[str, Any]) -> None:
    """One audit round: verdict, reasons, votes, findings, certificate."""
    outcome = report["outcome"]
    verdict = f"{outcome}, with rejection" if report["withRejection"] and outcome == "ESCALATED" else outcome
    name = printable(f"{report['name']} {report['version'] or ''}".strip())
    stdout.print(f"[{OUTCOME_STYLE[outcome]}]{verdict}[/]  {name}  ({report['productType']})")
    for reason in report["reasons"]:
        stdout.print(f"  {printable(reason['message'])}  [dim]{reason['code']}[/]")
        for signal in reason["detail"].get("signals", []):
            if "file" in signal:
                stdout.print(f"    {printable(signal['file'])}:{signal['line']}  {printable(signal['reason'])}")
    stdout.print()
    coverage = "complete" if report["coverageComplete"] else "INCOMPLETE"
    _pairs(("facts", f"risk {report['sandboxRiskLevel']}, security {report['securityLevel']}, coverage {coverage}"))
    for phase in report["votes"]:
        other = f", {phase['other']} without a vote" if phase["other"] else ""
        _pairs((f"panel {phase['phase']}", f"{phase['safe']} SAFE, {phase['unsafe']} UNSAFE{other}"))
    if report["nEffPpm"]:
        independent = report["nEffPpm"] / 1_000_000
        _pairs(
            (
                "assurance",
                f"level {report['assuranceLevel']}; the votes count as about {independent:.1f} independent ones",
            )
        )
    if report["disabledFamilies"]:
        names = ", ".join(each["family"] for each in report["disabledFamilies"])
        _pairs(("without", f"{names}: {COMMAND} operator models list says what to set"))
    _pairs(("submission", f"{report['submissionId']}, round {report['roundNumber']}"))
    if report["certificateId"]:
        _pairs(
            ("certificate", report["certificateId"]),
            ("payload hash", report["payloadHash"]),
            ("bundle", report["bundlePath"]),
        )
    print_findings(report["findings"])
    stdout.print(f"\n[dim]{LIMITS}[/]")
    if report["bundlePath"]:
        stdout.print(f"[dim]Verify it offline:   {COMMAND} verify {printable(str(report['bundlePath']))}[/]")
    stdout.print(f"[dim]Recompute the round: {COMMAND} replay {report['roundId']}[/]")
    if outcome != "APPROVED":
        stdout.print(f"[dim]A larger panel:      {COMMAND} operator appeal {report['roundId']} --reason …[/]")


def print_findings(findings: list[dict[str, Any]]) -> None:
    """Findings, worst first: what, where, and the line itself."""
    if not findings:
        return
    stdout.print(f"\n  {len(findings)} finding{'s' if len(findings) != 1 else ''}")
    for finding in findings[:MAX_FINDINGS]:
        severity = finding["severity"]
        rule = finding.get("ruleId") or finding.get("source", "")
        stdout.print(
            f"  [{SEVERITY_STYLE[severity]}]{severity:<8}[/] {printable(finding['file'])}:{finding['lineStart']}  "
            f"{printable(finding['title'])}  [dim]{printable(rule)}[/]"
        )
        quote = finding.get("quote", finding.get("excerpt", "")).strip()
        if quote:
            stdout.print(f"           [dim]{printable(' '.join(quote.split())[:140])}[/]")
    if len(findings) > MAX_FINDINGS:
        stdout.print(f"  … and {len(findings) - MAX_FINDINGS} more (--json or --sarif has all)")


def print_status(result: dict[str, Any]) -> None:
    """A submission and its rounds."""
    stdout.print(f"[bold]{result['state']}[/]  {printable(result['name'])}  [dim]submitted {result['submittedAt']}[/]")
    if not result["rounds"]:
        stdout.print("  no round yet: `sigma up` starts the daemon that runs it")
    for row in result["rounds"]:
        outcome = row["outcome"] or row["state"]
        certificate = f"  {row['certificateId']}" if row["certificateId"] else ""
        stdout.print(
            f"  round {row['roundNumber']}  {outcome}{certificate}  [dim]{row['decidedAt'] or row['openedAt']}[/]"
        )
        _print_open_phase(row["roundId"], row["openPhase"])
        for override in row["overrides"]:
            _print_decision(f"overridden to {override['outcome']}", override, override["overriddenAt"])
        for known in row["truths"]:
            if known["actor"] is not None:
                _print_decision(f"known to be {known['truth']}", known, known["knownAt"])
    for request in result["requests"]:
        if request["roundId"] is None:
            what = f"appeal of {request['appealOf']}" if request["appealOf"] else "another round"
            _print_decision(f"{what} asked for, which the daemon of `sigma up` holds,", request, request["requestedAt"])
    for failure in result["failures"]:
        stdout.print(
            f"  [red]failed[/] {failure['stage']}: {printable(failure['error'])}  [dim]{failure['failedAt']}[/]"
        )


def _print_open_phase(round_id: str, phase: dict[str, Any] | None) -> None:
    if phase is None:
        return
    until = f"until {phase['deadlineAt']}"
    if phase["retryAt"] is not None:
        until = f"waits for an engine, tried again at {phase['retryAt']}, {until}"
    stdout.print(f"    phase {phase['phase']} goes on: {until}")
    for seat in phase["seats"]:
        stdout.print(f"      seat {seat['number']}  {seat['status']}  {seat['family']}  [dim]{seat['validatorId']}[/]")
    if any(seat["status"] == "PENDING" for seat in phase["seats"]):
        stdout.print(
            f"      [dim]a seat that never votes: {COMMAND} operator replace-seat {round_id} SEAT --reason …[/]"
        )


def _print_decision(what: str, decision: dict[str, Any], at: str) -> None:
    stdout.print(f"    {what} by {printable(decision['actor'])}: {printable(decision['reason'])}  [dim]{at}[/]")


def print_payload(payload: dict[str, Any], payload_hash: str) -> None:
    """What a certificate says."""
    _pairs(
        ("certificate", payload["certificateId"]),
        ("status at issue", payload["status"]),
        ("product", f"{payload['skillName']} {payload['skillVersion'] or ''} ({payload['productType']})"),
        ("security", f"{payload['review']['securityLevel']}, sandbox risk {payload['review']['sandboxRiskLevel']}"),
        ("round", f"{payload['roundId']} (number {payload['roundNumber']}, {payload['roundType']})"),
        ("skill hash", payload["skillHash"] or "none"),
        ("tree hash", payload["treeHash"]),
        ("issued", payload["issuedAt"]),
        ("expires", payload["expiresAt"]),
        ("payload hash", payload_hash),
    )


def print_verified(verified: dict[str, Any]) -> None:
    """A certificate that holds, and what was checked."""
    stdout.print("[bold green]VALID[/]")
    for check in verified["checks"]:
        stdout.print(f"  [green]✓[/] {printable(check)}")
    stdout.print()
    print_payload(verified["payload"], verified["payloadHash"])
    known = (
        f"Status as of {verified['statusAsOf']}." if verified["statusAsOf"] else "Status after issue was not checked."
    )
    stdout.print(f"\n[dim]{known} {LIMITS}[/]")

"""The two summaries that certificates carry: ``sourceFacts`` and ``endpointReview`` (field names of spec/surfaces.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.facts import FactKind, Severity
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.readings import Reading
from sigma_core.sandbox.vocabulary import HostClass, classify_host
from sigma_core.submissions.package import Package, ProductType

ANALYSIS_MODE = "STATIC_SOURCE_AND_MANIFEST_REVIEW"
MAX_LISTED = 200
_MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def source_facts(facts: Iterable[Mapping[str, Any]], readings: Iterable[Reading], blocked: bool) -> dict[str, Any]:
    """``sourceFacts``: external hosts, counts, and one flag for each capability that code of the package has."""
    facts = list(facts)
    used = {
        fact["subject"].split(":", 1)[0]
        for fact in facts
        if fact["kind"] == FactKind.CAPABILITY and fact["category"] == "surface" and fact["context"] == "use"
    }
    hosts = {
        host
        for reading in readings
        for _, host, _, _ in reading.urls
        if classify_host(host) not in {HostClass.LOCAL, HostClass.RESERVED} and "." in host and "*" not in host
    }
    high = {Severity.HIGH.value, Severity.CRITICAL.value}
    return {
        "externalHosts": sorted(hosts)[:MAX_LISTED],
        "manifestMismatchCount": sum(
            1 for fact in facts if fact["kind"] == FactKind.MISMATCH and fact["context"] == "use"
        ),
        "blocked": blocked,
        "shell": bool({"shell"} & used),
        "env": "env" in used,
        "process": bool({"process", "shell"} & used),
        "filesystem": bool({"file_read", "file_write"} & used),
        "network": "network" in used,
        "wallet": "wallet" in used,
        "promptInjectionSignalCount": sum(
            1 for fact in facts if fact["kind"] == FactKind.INJECTION and fact["context"] == "use"
        ),
        "realSecretSignalCount": sum(
            1 for fact in facts if fact["kind"] == FactKind.SECRET and fact["severity"] in high
        ),
        "highRiskSignalCount": sum(1 for fact in facts if fact["severity"] in high and fact["context"] == "use"),
    }


def endpoint_review(package: Package, declared: DeclaredSurface, readings: Iterable[Reading]) -> dict[str, Any]:
    """``endpointReview`` but for ``analyzedAt``, which the certificate adds: a time has no place in facts.

    ``endpointStatus`` is PASSED where a skill has no API or every endpoint is declared with its auth, DISCLOSURE_INCOMPLETE where some are not, NOT_DECLARED where an API declares none.
    """
    urls, hosts = set(), set()
    for reading in readings:
        if reading.kind in {FileKind.IMAGE, FileKind.FONT}:
            continue
        for url, host, _, _ in reading.urls:
            if "." in host and classify_host(host) is not HostClass.LOCAL:
                urls.add(url[:300])
                hosts.add(host)
    endpoints = [dict(entry) for entry in declared.endpoints][:MAX_LISTED]
    is_api = package.product_type is not ProductType.SKILL
    undeclared = sorted(host for host in hosts if not declared.names_host(host))
    without_auth = [entry for entry in endpoints if entry.get("auth") in {"", "unknown"}]
    status = (
        "PASSED"
        if not is_api
        else "NOT_DECLARED"
        if not endpoints
        else "DISCLOSURE_INCOMPLETE"
        if undeclared or without_auth
        else "PASSED"
    )
    warning = ""
    if is_api and not endpoints:
        warning = "The API declares no endpoints."
    elif undeclared:
        warning = f"{len(undeclared)} observed host(s) stand in no document: {', '.join(undeclared[:5])}."
    return {
        "analysisMode": ANALYSIS_MODE,
        "observedUrls": sorted(urls)[:MAX_LISTED],
        "observedHosts": sorted(hosts)[:MAX_LISTED],
        "endpointStatus": status,
        "declaredEndpoints": endpoints,
        "declaredEndpointCount": len(endpoints),
        "mutatingEndpointCount": sum(1 for entry in endpoints if entry.get("method") in _MUTATING),
        "authenticatedEndpointCount": len(endpoints) - len(without_auth),
        "skippedEndpoints": [{"path": entry["path"], "reason": "SKILL_ONLY_NO_API_VALIDATION"} for entry in endpoints]
        if not is_api
        else [],
        "disclosureWarning": warning,
    }

"""The two summaries that certificates carry: ``sourceFacts`` and ``endpointReview`` (field names of spec/surfaces.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.declared_endpoints import route
from sigma_core.sandbox.endpoint_tables import NONE, UNKNOWN
from sigma_core.sandbox.facts import FactKind, Location, Severity
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.lock_files import is_lock_file
from sigma_core.sandbox.observations import Ability, Capability
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.vocabulary import HostClass, classify_host
from sigma_core.submissions.package import Package, ProductType

ANALYSIS_MODE = "STATIC_SOURCE_AND_MANIFEST_REVIEW"
MAX_LISTED = 200
_MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_WILD = ("{", ":", "<", "*", "$")
_SCRIPTS = frozenset(
    {FileKind.PYTHON, FileKind.SHELL, FileKind.JAVASCRIPT, FileKind.POWERSHELL, FileKind.CODE, FileKind.NOTEBOOK}
)


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
        "shell": "shell" in used,
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


def endpoint_review(package: Package, declared: DeclaredSurface, readings: Sequence[Reading]) -> dict[str, Any]:
    """``endpointReview`` but for ``analyzedAt``, which the certificate adds: a time has no place in facts.

    ``endpointStatus`` is PASSED where a skill has no API or everything is declared with its auth, NOT_DECLARED where an API declares no endpoint, DISCLOSURE_INCOMPLETE where
    an observed host or call is declared nowhere, an auth is not said, or a document of endpoints could not be read. Lists hold at most `MAX_LISTED` entries; the
    counts are of all. ``skippedEndpoints`` are the endpoints of a skill that is no API, and documents that could not be read.
    """
    is_api = package.product_type is not ProductType.SKILL
    urls, hosts = _observed(readings)
    endpoints = [dict(entry) for entry in declared.endpoints]
    undeclared_hosts = sorted(host for host in hosts if not declared.names_host(host))
    undeclared_calls = [call for call, _ in undeclared_endpoints(declared, readings)] if is_api else []
    silent = [entry for entry in endpoints if entry["auth"] == UNKNOWN]
    open_mutating = [entry for entry in endpoints if entry["method"] in _MUTATING and entry["auth"] == NONE]
    incomplete = bool(undeclared_hosts or undeclared_calls or silent or declared.unread_documents)
    status = (
        "PASSED"
        if not is_api or (endpoints and not incomplete)
        else "DISCLOSURE_INCOMPLETE"
        if endpoints
        else "NOT_DECLARED"
    )
    skipped = [{"path": path, "reason": f"OPENAPI_NOT_READ: {code}"} for path, code in declared.unread_documents]
    if not is_api:
        skipped += [{"path": entry["path"], "reason": "SKILL_ONLY_NO_API_VALIDATION"} for entry in endpoints]
    return {
        "analysisMode": ANALYSIS_MODE,
        "observedUrls": sorted(urls)[:MAX_LISTED],
        "observedHosts": sorted(hosts)[:MAX_LISTED],
        "endpointStatus": status,
        "declaredEndpoints": endpoints[:MAX_LISTED],
        "declaredEndpointCount": len(endpoints),
        "mutatingEndpointCount": sum(1 for entry in endpoints if entry["method"] in _MUTATING),
        "authenticatedEndpointCount": sum(1 for entry in endpoints if entry["auth"] not in {UNKNOWN, NONE}),
        "undeclaredHosts": undeclared_hosts[:MAX_LISTED],
        "undeclaredCalls": undeclared_calls[:MAX_LISTED],
        "skippedEndpoints": skipped[:MAX_LISTED],
        "disclosureWarning": _warning(
            is_api, endpoints, undeclared_hosts, undeclared_calls, silent, open_mutating, declared
        ),
    }


def _observed(readings: Iterable[Reading]) -> tuple[set[str], set[str]]:
    """URLs (cut at 300 characters) and hosts of every layer of every file but lock files, which name a registry a thousand times."""
    urls, hosts = set(), set()
    for reading in readings:
        if reading.kind in {FileKind.IMAGE, FileKind.FONT} or is_lock_file(reading.path):
            continue
        for url, host, _, _ in reading.urls:
            if "." in host and classify_host(host) is not HostClass.LOCAL:
                urls.add(url[:300])
                hosts.add(host)
    return urls, hosts


def _warning(
    is_api: bool,
    endpoints: Sequence[Mapping[str, Any]],
    hosts: Sequence[str],
    calls: Sequence[str],
    silent: Sequence[Mapping[str, Any]],
    open_mutating: Sequence[Mapping[str, Any]],
    declared: DeclaredSurface,
) -> str:
    """What a reader is not told, one sentence each; empty where nothing is missing."""
    sentences = []
    if is_api and not endpoints:
        sentences.append("The API declares no endpoints.")
    if hosts:
        sentences.append(f"{len(hosts)} observed host(s) stand in no document: {', '.join(hosts[:5])}.")
    if calls:
        sentences.append(f"{len(calls)} observed call(s) are no declared endpoint: {', '.join(calls[:5])}.")
    if is_api and silent:
        sentences.append(f"{len(silent)} endpoint(s) do not say whether they need authentication.")
    if is_api and open_mutating:
        sentences.append(f"{len(open_mutating)} mutating endpoint(s) need no authentication: {_names(open_mutating)}.")
    for path, code in declared.unread_documents[:3]:
        sentences.append(f"{path} could not be read ({code}).")
    return " ".join(sentences)


def _names(entries: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{entry['method']} {entry['path']}" for entry in entries[:5])


def undeclared_endpoints(declared: DeclaredSurface, readings: Iterable[Reading]) -> list[tuple[str, Location]]:
    """URLs that code calls on hosts of the declared surface and whose path is no declared endpoint, with their first place; none where nothing is declared."""
    patterns = [_segments(route(str(entry["path"]))) for entry in declared.endpoints]
    found: dict[str, Location] = {}
    for url, at in _calls(readings) if patterns else ():
        host = vocabulary.urls_in(url)[0][3]
        path = _segments(route(url))
        if path and declared.names_host(host) and not any(_matches(pattern, path) for pattern in patterns):
            found.setdefault(url.split("?", 1)[0][:300], at)
    return sorted(found.items(), key=lambda item: item[0])


def _calls(readings: Iterable[Reading]) -> Iterator[tuple[str, Location]]:
    for reading in readings:
        for seen in reading.seen if reading.kind in _SCRIPTS else ():
            what = seen.what
            if isinstance(what, Capability) and what.ability is Ability.NETWORK and seen.context == "use":
                for _, _, url, host in vocabulary.urls_in(what.subject):
                    if classify_host(host) in {HostClass.UNKNOWN, HostClass.RESERVED, HostClass.KNOWN}:
                        yield url, seen.location


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether a called path ends in the declared one: servers may add a base path; parameters match anything."""
    if len(path) < len(pattern):
        return False
    tail = path[len(path) - len(pattern) :]
    return all(
        wanted == given or wanted.startswith(_WILD) or "{" in wanted or given.startswith(_WILD) or "?" in given
        for wanted, given in zip(pattern, tail, strict=True)
    )


def endpoint_findings(package: Package, declared: DeclaredSurface, readings: Iterable[Reading]) -> Iterator[Finding]:
    """Facts about the declared surface of an API; nothing for skills without one."""
    if package.product_type is ProductType.SKILL:
        return
    for entry in declared.endpoints:
        line = int(entry["line"])
        at = Location(str(entry["file"]), line, line, 0, 0)
        subject = f"{entry['method']} {entry['path']}"
        yield Finding("SIGMA-DECL-001", f"endpoint: {subject} ({entry['auth']})", at, "", "use", False)
        if entry["method"] in _MUTATING and entry["auth"] == NONE:
            yield Finding("SIGMA-DECL-002", subject, at, "", "use", False)
        elif entry["auth"] == UNKNOWN:
            yield Finding("SIGMA-DECL-003", subject, at, "", "use", False)
    for url, at in undeclared_endpoints(declared, readings):
        yield Finding("SIGMA-MIS-011", url, at, "", "use", False)

"""What lock files say against themselves and against their manifests: other hosts, other names, missing hashes, packages that nobody asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.lock_entries import Locked
from sigma_core.sandbox.lock_files import LockFile
from sigma_core.sandbox.package_sources import judge_name, named_dependencies
from sigma_core.sandbox.popular_names import normalised
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass

MAX_NAMES = 300
"""Names of one lock file that no list knows and that are compared with the popular ones."""
_HOSTILE = frozenset({HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE, HostClass.DROP})
_VERSION_CONTROL = ("git+", "git:", "ssh:", "git@")
_VERSION_CONTROL_HOSTS = frozenset({"github.com", "codeload.github.com", "gitlab.com", "bitbucket.org"})


def judge_locks(
    declared: DeclaredSurface, readings: Mapping[str, Reading], places: Mapping[str, TextPlaces]
) -> Iterator[Finding]:
    """Findings of every lock file in the package."""
    for path in sorted(places):
        lock = readings[path].lock
        if lock is not None:
            yield from _judge_entries(declared, places[path], lock)
            yield from _against_manifest(places, places[path], lock)


def _judge_entries(declared: DeclaredSurface, place: TextPlaces, lock: LockFile) -> Iterator[Finding]:
    unfixed = [entry for entry in lock.packages if not entry.fixed]
    if unfixed:
        subject = f"{len(unfixed)} of {len(lock.packages)}: {', '.join(sorted(entry.name for entry in unfixed)[:5])}"
        yield place.at("SIGMA-SUPPLY-019", subject, unfixed[0].start, unfixed[0].end)
    # Links and bundled packages have no address of their own.
    for entry in unfixed if len(unfixed) < len(lock.packages) else ():
        if not entry.local and any(
            not vocabulary.package_host(host) for _, _, _, host in vocabulary.urls_in(entry.url)
        ):
            yield place.at("SIGMA-SUPPLY-054", f"{entry.name}: {entry.url}", entry.start, entry.end)
    for entry in lock.packages:
        if entry.renamed_to:
            subject = f"{entry.name} is fetched as {entry.renamed_to}"
            yield place.at("SIGMA-SUPPLY-018", subject, entry.start, entry.end)
        for rule in _source_rules(declared, entry, place.path):
            yield place.at(rule, f"{entry.name}: {entry.url}", entry.start, entry.end)
    if lock.registry is None:
        return
    for entry in list({entry.name: entry for entry in lock.packages}.values())[:MAX_NAMES]:
        judged = judge_name(lock.registry, entry.name)
        if judged is not None:
            yield place.at(*judged, entry.start, entry.end)


def _source_rules(declared: DeclaredSurface, entry: Locked, path: str) -> Iterator[str]:
    for _, _, url, host in vocabulary.urls_in(entry.url.removeprefix("git+")):
        known = vocabulary.classify_host(host)
        if vocabulary.package_host(host) or known is HostClass.LOCAL:
            continue
        if known in _HOSTILE:
            yield "SIGMA-SUPPLY-014"
        elif entry.url.startswith(_VERSION_CONTROL) or host in _VERSION_CONTROL_HOSTS:
            yield "SIGMA-SUPPLY-025"
        else:
            yield "SIGMA-SUPPLY-007" if declared.trusts(host, besides=path) else "SIGMA-SUPPLY-017"
        if url.startswith("http://"):
            yield "SIGMA-SUPPLY-016"


def _against_manifest(places: Mapping[str, TextPlaces], place: TextPlaces, lock: LockFile) -> Iterator[Finding]:
    manifest = places.get(lock.manifest)
    if manifest is None or not lock.packages or lock.registry is None:
        return
    _, names = named_dependencies(lock.manifest, manifest.text)
    if not names:
        return
    asked = {normalised(lock.registry, name) for name in names}
    locked = {normalised(lock.registry, entry.name) for entry in lock.packages}
    unlocked = sorted(asked - locked)
    unasked = sorted({normalised(lock.registry, name) for name in lock.direct or ()} - asked)
    if unasked:
        yield place.of(
            "SIGMA-SUPPLY-020", f"the lock asks for {', '.join(unasked[:5])}, the manifest does not", f'"{unasked[0]}"'
        )
    # Peers and build tools need not be locked; a lock that misses half of what is asked for belongs to something else.
    if len(unlocked) * 2 > len(asked):
        yield place.of(
            "SIGMA-SUPPLY-020", f"the manifest asks for {', '.join(unlocked[:5])}, the lock has none of it", ""
        )

"""What a package brings in and what starts when it is installed or opened: dependencies, install commands, lock files, hooks, servers, workflows, declared installers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.agent_configuration import judge_agent_configuration
from sigma_core.sandbox.carried_keys import judge_carried_keys, judge_comments
from sigma_core.sandbox.configured_hosts import judge_configured_hosts
from sigma_core.sandbox.container_rights import judge_container_commands, judge_containers
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.imitated_names import judge_false_hosts, judge_installed_names, judge_own_name
from sigma_core.sandbox.judgement import Judgement
from sigma_core.sandbox.lock_files import is_lock_file
from sigma_core.sandbox.locked_packages import judge_locks
from sigma_core.sandbox.loosened_configuration import judge_loosened_configuration
from sigma_core.sandbox.package_sources import judge_commands, judge_dependencies, judge_listed_dependencies
from sigma_core.sandbox.payment_addresses import judge_payment_addresses
from sigma_core.sandbox.popular_names import Registry, Slip, imitation_of
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.redirected_traffic import judge_redirected_traffic
from sigma_core.sandbox.replaced_packages import judge_replacements
from sigma_core.sandbox.rules import RuleBook
from sigma_core.sandbox.self_starting import judge_started, judge_starting_files
from sigma_core.sandbox.strange_sources import judge_strange_sources, judge_unnamed_packages
from sigma_core.sandbox.stranger_hosts import judge_stranger_hosts
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.undeclared_parts import judge_first_scripts, judge_inner_skills, judge_unrelated_keys
from sigma_core.sandbox.unverified_sources import judge_added_sources, judge_unverified_sources
from sigma_core.sandbox.vocabulary import HostClass
from sigma_core.sandbox.warned_programs import judge_pasted_commands, judge_warned_programs
from sigma_core.sandbox.weakened_settings import judge_weakened_settings
from sigma_core.sandbox.workflow_rights import judge_workflows
from sigma_core.submissions.package import Package

_HOSTILE = frozenset({HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE, HostClass.DROP})
OWN_NAME_LENGTH = 9
"""Skills are named after what they do; shorter names are near one another by right."""
_MISSPELT = frozenset({Slip.ONE_EDIT, Slip.SEPARATORS, Slip.LOOK_ALIKE})
_OWN_BUILD = re2.compile(
    r"(?m)^[ \t]*backend-path[ \t]*=|^\[tool\.hatch\.build\.hooks\.custom\]|^\[tool\.setuptools\.cmdclass\]"
)
_ACTION = re2.compile(r"(?m)^[ \t]*(?:-[ \t]+)?uses:[ \t]*['\"]?([\w.-]+/[\w./-]+)@([\w./-]+)")
_FALSE_ENDING = re2.compile(
    r"(?i)\.(?:mp4|mov|avi|mp3|jpe?g|png|gif|pdf|docx?|xlsx?|pptx?|txt)[ .]*\.(?:lnk|exe|scr|pif|com|bat|cmd|vb[se]|wsf|hta|ps1|msi|iso)$"
)
_COMMIT = re2.compile(r"^[0-9a-f]{40}$")


def supply_chain(
    package: Package, declared: DeclaredSurface, readings: Sequence[Reading], rules: RuleBook
) -> list[Finding]:
    """Supply-chain findings of the whole package."""
    by_path = {reading.path: reading for reading in readings if reading.text}
    places = {path: TextPlaces(reading) for path, reading in by_path.items()}
    findings = [
        *judge_dependencies(package, places),
        *judge_locks(declared, by_path, places),
        *judge_started(declared, by_path, places, rules),
        *judge_starting_files(declared, by_path, places, rules),
    ]
    judgement = Judgement(declared, readings)
    paths = frozenset(file.path for file in package.files)
    findings += _false_endings(paths)
    findings += judge_inner_skills(package.manifest, places)
    findings += judge_unrelated_keys(by_path, places)
    findings += judge_replacements(by_path, places, str(package.manifest.get("name") or ""))
    for path in sorted(places):
        place = places[path]
        findings += judge_agent_configuration(declared, place)
        findings += _files_of_their_own(place)
        if place.is_document:
            findings += judge_warned_programs(declared, place)
            findings += judge_pasted_commands(declared, place)
            findings += judge_first_scripts(declared, place, paths)
        findings += judge_comments(place)
        if not is_lock_file(path):
            findings += judge_containers(place)
            findings += judge_container_commands(place)
            findings += judge_workflows(declared, place, judgement.named_only_at)
            findings += judge_loosened_configuration(declared, place)
            findings += judge_commands(place, judgement.named_only_at)
            findings += judge_added_sources(place, judgement.named_only_at)
            findings += judge_carried_keys(declared, place)
            findings += judge_redirected_traffic(place, judgement.named_only_at)
            findings += judge_stranger_hosts(place, judgement.named_only_at)
            findings += judge_configured_hosts(declared, place, judgement.named_only_at)
            findings += judge_weakened_settings(declared, place)
            findings += judge_strange_sources(declared, place)
            findings += judge_unnamed_packages(declared, place, places)
            findings += judge_payment_addresses(declared, place)
            findings += judge_listed_dependencies(place)
            findings += judge_unverified_sources(place)
            findings += judge_installed_names(declared, place)
            findings += judge_false_hosts(place, {host for _, host, _, _ in by_path[path].urls})
    skill = next((path for path in sorted(places) if path.lower() == "skill.md"), None)
    if skill is not None:
        findings += _own_name(places[skill], package.manifest)
        findings += judge_own_name(declared, places[skill], package.manifest)
        findings += _declared_installers(places[skill], package.manifest)
    return findings


def _false_endings(paths: Iterable[str]) -> Iterator[Finding]:
    """Programs that are named like documents."""
    for path in sorted(paths):
        if _FALSE_ENDING.search(path):
            yield Finding("SIGMA-DOC-009", path[-200:], Location(path, 1, 1, 0, 0), "", "use", False)


def _files_of_their_own(place: TextPlaces) -> Iterator[Finding]:
    """Files whose name alone makes them run, and builds and workflows that run what is not fixed."""
    name = place.path.lower().rpartition("/")[2]
    if name in {"sitecustomize.py", "usercustomize.py"}:
        yield place.of("SIGMA-SUPPLY-008", name, "")
    elif name == "pyproject.toml":
        for match in _OWN_BUILD.finditer(place.text):
            yield place.at("SIGMA-SUPPLY-022", match.group().strip(), match.start(), match.end())
    elif "/.github/workflows/" in f"/{place.path.lower()}":
        for match in _ACTION.finditer(place.text):
            if not _COMMIT.match(match[2]):
                yield place.at("SIGMA-SUPPLY-029", f"{match[1]}@{match[2]}", match.start(1), match.end(2))


def _own_name(place: TextPlaces, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A skill that calls itself almost like one that everyone knows."""
    name = manifest.get("name")
    imitated = imitation_of(Registry.SKILLS, name) if isinstance(name, str) else None
    if (
        imitated is not None
        and min(len(str(name)), len(imitated.popular)) >= OWN_NAME_LENGTH
        and imitated.slip in _MISSPELT
    ):
        yield place.of("SIGMA-SUPPLY-030", f"{name} ~ {imitated.popular} ({imitated.slip.value})", str(name))


def _declared_installers(place: TextPlaces, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    for text in _texts(manifest.get("metadata"), 0):
        for _, _, url, host in vocabulary.urls_in(text):
            if vocabulary.classify_host(host) in _HOSTILE:
                yield place.of("SIGMA-SUPPLY-010", url, url)


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < 8 and isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item, depth + 1)
    elif depth < 8 and isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, depth + 1)

"""Names that misspell what the package itself speaks of: its own name, and what it has installed, one slip of the hand away from a product that its text spells right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.install_commands import InstallCommand, Tool
from sigma_core.sandbox.popular_names import Registry, Slip, imitation_of, misspelt_maker
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass

MAX_DECLARED = 100
"""Installers of the front matter that are read."""
SHORTEST_FALSE_HOST = 4
"""Labels of a known host and of its false owner: two each."""
_WELL_KNOWN = frozenset({HostClass.KNOWN, HostClass.INSTALLER})
_WORD = re2.compile(r"[a-z0-9]+")
_SAME_AT_A_GLANCE = frozenset({Slip.ONE_EDIT, Slip.LOOK_ALIKE, Slip.TWO_EDITS})
_REGISTRIES = {Tool.PIP: Registry.PYPI, Tool.NPM: Registry.NPM}
_OWN_KEYS = ("name", "author", "publisher", "owner", "vendor", "homepage")
_INSTALLED_KEYS = ("author", "publisher", "package", "formula", "module", "cask", "image", "url")
_FETCHED = re2.compile(
    r"(?m)^[ \t]*(?:-[ \t]+)?(?:uses|image):[ \t]*['\"]?([\w./-]{3,120})|^[ \t]*FROM[ \t]+([\w./-]{3,120})|\b(?:docker|podman)[ \t]+pull[ \t]+([\w./-]{3,120})"
)
"""An action, or an image, that is fetched by name."""


def judge_own_name(declared: DeclaredSurface, place: TextPlaces, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding where the skill's own name, or what its front matter has installed, misspells a product that its text spells right."""
    other = manifest.get("other")
    fields = {**manifest, **(other if isinstance(other, Mapping) else {})}
    named = [fields.get(key) for key in _OWN_KEYS]
    names = [*(name for name in named if isinstance(name, str)), *_declared_installs(manifest.get("metadata"), 0)]
    for name in names[:MAX_DECLARED]:
        imitated = _imitated_maker(declared, name)
        if imitated:
            yield place.of("SIGMA-SUPPLY-034", f"{name} ~ {imitated}", name)


def judge_installed_names(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding for each thing in an install command whose name misspells a product or package that the package's documents spell right."""
    for match in _FETCHED.finditer(place.text):
        name = next(group for group in match.groups() if group)
        imitated = _imitated_maker(declared, name)
        if imitated:
            context = place.command_context(match.start())
            yield place.at("SIGMA-SUPPLY-034", f"{name} ~ {imitated}", match.start(), match.end(), context)
    for command in place.install_commands:
        for name, start, end in _named(command):
            imitated = _imitated_maker(declared, name) or _imitated_package(declared, command.tool, name)
            if imitated:
                context = place.command_context(command.start)
                yield place.at("SIGMA-SUPPLY-034", f"{name} ~ {imitated}", start, end, context)


def judge_false_hosts(place: TextPlaces, hosts: Iterable[str]) -> Iterator[Finding]:
    """A finding for each address of a stranger that begins with the whole name of a well-known host (``github.com.login.dev``); ``hosts`` are those of the file."""
    if not any(_known_beginning(host) for host in hosts):
        return
    for start, end, _, host in vocabulary.urls_in(place.text):
        known = _known_beginning(host)
        if known:
            context = place.prose_context(start, end) if place.is_document else place.command_context(start)
            yield place.at("SIGMA-MIS-008", f"{host} ~ {known}", start, end, context)


@lru_cache(maxsize=4_096)
def _known_beginning(host: str) -> str:
    labels = host.split(".")
    if len(labels) < SHORTEST_FALSE_HOST or vocabulary.private_name(host):
        return ""
    if vocabulary.classify_host(host) is not HostClass.UNKNOWN:
        return ""
    beginnings = (".".join(labels[:count]) for count in range(2, len(labels) - 1))
    return next((known for known in beginnings if vocabulary.classify_host(known) in _WELL_KNOWN), "")


def _named(command: InstallCommand) -> Iterator[tuple[str, int, int]]:
    for wanted in command.wanted:
        if wanted.name:
            yield wanted.name, wanted.start, wanted.end
        for _, _, _, host in vocabulary.urls_in(wanted.url):
            yield host, wanted.start, wanted.end
    for _, value in command.indexes:
        for _, _, _, host in vocabulary.urls_in(value):
            yield host, command.start, command.end


def _imitated_maker(declared: DeclaredSurface, name: str) -> str:
    for word in _WORD.findall(name.lower()):
        maker = misspelt_maker(word)
        if maker in declared.words:
            return maker
    return ""


def _imitated_package(declared: DeclaredSurface, tool: Tool, name: str) -> str:
    registry = _REGISTRIES.get(tool)
    imitated = imitation_of(registry, name) if registry is not None else None
    if imitated is None or imitated.slip not in _SAME_AT_A_GLANCE or imitated.popular not in declared.words:
        return ""
    return imitated.popular


def _declared_installs(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and depth < 8:
        for key, item in value.items():
            if key in _INSTALLED_KEYS and isinstance(item, str):
                yield item
            else:
                yield from _declared_installs(item, depth + 1)
    elif isinstance(value, list | tuple) and depth < 8:
        for item in value:
            yield from _declared_installs(item, depth + 1)

"""Names that misspell what the package itself speaks of: its own name, and what it has installed, one slip of the hand away from a product that its text spells right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.install_commands import InstallCommand, Tool, install_commands
from sigma_core.sandbox.popular_names import Registry, Slip, imitation_of, misspelt_maker
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces

MAX_DECLARED = 100
"""Installers of the front matter that are read."""
_WORD = re2.compile(r"[a-z0-9]+")
_SAME_AT_A_GLANCE = frozenset({Slip.ONE_EDIT, Slip.LOOK_ALIKE, Slip.TWO_EDITS})
_REGISTRIES = {Tool.PIP: Registry.PYPI, Tool.NPM: Registry.NPM}
_OWN_KEYS = ("name", "author", "publisher", "owner", "vendor", "homepage")
_INSTALLED_KEYS = ("author", "publisher", "package", "formula", "module", "cask", "image", "url")
_FETCHED = re2.compile(
    r"(?m)^[ \t]*(?:-[ \t]+)?(?:uses|image):[ \t]*['\"]?([\w./-]{3,120})|^[ \t]*FROM[ \t]+([\w./-]{3,120})|\b(?:docker|podman)[ \t]+pull[ \t]+([\w./-]{3,120})"
)
"""An action, or an image, that is fetched by name."""
_SPOKEN = r"(?:^|[^\w-])"
_SPOKEN_END = r"(?:$|[^\w-])"


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
    for command in install_commands(place.text):
        for name, start, end in _named(command):
            imitated = _imitated_maker(declared, name) or _imitated_package(declared, command.tool, name)
            if imitated:
                context = place.command_context(command.start)
                yield place.at("SIGMA-SUPPLY-034", f"{name} ~ {imitated}", start, end, context)


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
        if maker and _spoken_of(declared, maker):
            return maker
    return ""


def _imitated_package(declared: DeclaredSurface, tool: Tool, name: str) -> str:
    registry = _REGISTRIES.get(tool)
    imitated = imitation_of(registry, name) if registry is not None else None
    if imitated is None or imitated.slip not in _SAME_AT_A_GLANCE or not _spoken_of(declared, imitated.popular):
        return ""
    return imitated.popular


def _spoken_of(declared: DeclaredSurface, name: str) -> bool:
    """Whether the documents or the description have ``name`` as a word of its own."""
    search = re2.compile(_SPOKEN + re2.escape(name) + _SPOKEN_END)
    return name in declared.text and search.search(declared.text) is not None


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

"""Which plugin goes to which surface of a submission, and which plugins a validator may hold together.

`check_slots` is the rule; whoever slots a plugin raises its refusal, and `held_together` holds what is slotted against it once more before
it is shown to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sigma_core.errors import SigmaError
from sigma_core.submissions.package import ProductType

SLOTS = range(1, 7)
"""The slots that SIGMA uses, of 18 in all."""


class PluginType(StrEnum):
    """What a plugin was written for (literal values of spec/surfaces.md)."""

    SIGMA_SKILL = "SIGMA_SKILL"
    SIGMA_API = "SIGMA_API"
    SIGMA_SKILL_AND_API = "SIGMA_SKILL_AND_API"


class Surface(StrEnum):
    """The part of a submission that an element of the XML speaks about; its value is the element's name."""

    SKILL = "validator_skill_plugin"
    API = "validator_api_plugin"


_OF_PLUGIN: Mapping[PluginType, tuple[Surface, ...]] = {
    PluginType.SIGMA_SKILL: (Surface.SKILL,),
    PluginType.SIGMA_API: (Surface.API,),
    PluginType.SIGMA_SKILL_AND_API: (Surface.SKILL, Surface.API),
}
_OF_PRODUCT: Mapping[ProductType, tuple[Surface, ...]] = {
    ProductType.SKILL: (Surface.SKILL,),
    # An API's description is prose that agents read, too: plugins about skills look at it.
    ProductType.API: (Surface.SKILL, Surface.API),
    ProductType.SKILL_API: (Surface.SKILL, Surface.API),
}


class PluginConflict(SigmaError):
    """Plugins that exclude each other, or a slot that is not there; names slot, plugin and surfaces."""

    code = "PLUGIN_CONFLICT"


@dataclass(frozen=True, slots=True)
class SlottedPlugin:
    """An approved plugin in a validator's slot. ``body`` is Markdown by whoever wrote it."""

    id: str
    name: str
    type: PluginType
    slot: int
    body: str


def surfaces(plugin: PluginType, product: ProductType) -> tuple[Surface, ...]:
    """Where a plugin speaks in an audit of a product: the surfaces that both have, the skill first."""
    return tuple(surface for surface in _OF_PLUGIN[plugin] if surface in _OF_PRODUCT[product])


def held_together(plugins: Sequence[SlottedPlugin]) -> tuple[list[SlottedPlugin], dict[str, str]]:
    """The plugins that may stand together, in order of slot and id, and of the others the refusal, by id. Who stands in a lower slot
    stays; a plugin that is slotted twice counts once."""
    kept: list[SlottedPlugin] = []
    refused: dict[str, str] = {}
    for plugin in sorted(plugins, key=lambda each: (each.slot, each.id)):
        if any(plugin.id == each.id for each in kept):
            continue
        try:
            check_slots([*kept, plugin])
        except PluginConflict as conflict:
            refused[plugin.id] = conflict.message
        else:
            kept.append(plugin)
    return kept, refused


def check_slots(plugins: Sequence[SlottedPlugin]) -> None:
    """Raises PluginConflict for a slot outside 1 to 6 or held twice, and where a plugin for both surfaces stands beside one for
    either. A skill plugin beside an API plugin is fine."""
    held: dict[int, SlottedPlugin] = {}
    for plugin in sorted(plugins, key=lambda each: (each.slot, each.id)):
        if plugin.slot not in SLOTS:
            raise PluginConflict(f"plugin {plugin.id}: slot {plugin.slot} is not from {SLOTS[0]} to {SLOTS[-1]}")
        if plugin.slot in held:
            raise PluginConflict(f"plugin {plugin.id}: slot {plugin.slot} holds {held[plugin.slot].id}")
        held[plugin.slot] = plugin
    both = [plugin for plugin in held.values() if plugin.type is PluginType.SIGMA_SKILL_AND_API]
    single = [plugin for plugin in held.values() if plugin.type is not PluginType.SIGMA_SKILL_AND_API]
    if both and single:
        first, other = both[0], single[0]
        names = " and ".join(surface.name for surface in _OF_PLUGIN[first.type])
        raise PluginConflict(
            f"plugin {first.id} in slot {first.slot} covers {names} and excludes plugin {other.id} in slot {other.slot}, "
            f"which covers {_OF_PLUGIN[other.type][0].name}"
        )

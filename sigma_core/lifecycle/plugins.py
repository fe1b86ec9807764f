"""What a validator's plugins and older skills add to its prompt, and the log of what was in it.

A plugin is somebody else's text: one that cannot be used (its body is gone or far too long, its type unknown) is left out with the reason,
and holds up no round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import select

from sigma_core.audit.plugins.augmentation import Augmentation, LegacySkill, augment
from sigma_core.audit.plugins.injection import Injection, inject
from sigma_core.audit.plugins.surfaces import SLOTS, PluginType, SlottedPlugin
from sigma_core.deployment import Deployment
from sigma_core.storage.blobs import BlobCorrupt, BlobMissing
from sigma_core.storage.protocol import (
    PluginRow,
    PluginSlotRow,
    PluginUsageRow,
    ProtocolBase,
    SeatRow,
    ValidatorSkillRow,
    ValidatorSkillUsageRow,
)
from sigma_core.submissions.package import ProductType
from sigma_core.timestamps import utc_now

APPROVED = "APPROVED"
MAX_PLUGIN_CHARACTERS = 10_000
"""Of a plugin's body (spec/surfaces.md); one that is longer was never screened as a plugin."""
_UTF8_BYTES = 4


@dataclass(frozen=True, slots=True)
class Advice:
    """What one validator's prompt carries beside the package: plugins, and apart from them its older skills."""

    plugins: Injection
    skills: Augmentation
    product: ProductType

    @property
    def xml(self) -> str:
        """Both blocks, or empty."""
        return "\n\n".join(block for block in (self.plugins.xml, self.skills.xml) if block)


def advice_for(deployment: Deployment, validator_ids: Collection[str], product: ProductType) -> Mapping[str, Advice]:
    """By validator: approved plugins in its slots and its older skills, within the policy's limits."""
    rules = deployment.policy.language_models
    plugins: dict[str, list[SlottedPlugin]] = {validator_id: [] for validator_id in validator_ids}
    skills: dict[str, list[LegacySkill]] = {validator_id: [] for validator_id in validator_ids}
    unusable: dict[str, dict[str, str]] = {validator_id: {} for validator_id in validator_ids}
    with deployment.read_sessions() as session:
        for slot, plugin in session.execute(
            select(PluginSlotRow, PluginRow)
            .join(PluginRow, PluginRow.id == PluginSlotRow.plugin_id)
            .where(
                PluginSlotRow.validator_id.in_(plugins),
                PluginSlotRow.slot.between(SLOTS[0], SLOTS[-1]),  # the others are not SIGMA's
                PluginRow.state == APPROVED,
            )
        ):
            body, flaw = _text(deployment, plugin.body_sha256, MAX_PLUGIN_CHARACTERS)
            if plugin.plugin_type not in list(PluginType):
                flaw = f"its type {plugin.plugin_type} is not known here"
            if flaw:
                unusable[slot.validator_id][plugin.id] = flaw
                continue
            plugins[slot.validator_id].append(
                SlottedPlugin(plugin.id, plugin.name, PluginType(plugin.plugin_type), slot.slot, body)
            )
        for skill in session.scalars(select(ValidatorSkillRow).where(ValidatorSkillRow.validator_id.in_(skills))):
            # What is longer than the room for all of them could not go in; CR LF is shown as one sign.
            body, flaw = _text(deployment, skill.body_sha256, 2 * rules.plugins_characters)
            if not flaw:
                skills[skill.validator_id].append(LegacySkill(skill.id, skill.name, body))
    return {
        validator_id: Advice(
            _with_unusable(
                inject(plugins[validator_id], product, rules.plugin_characters, rules.plugins_characters),
                unusable[validator_id],
            ),
            augment(skills[validator_id], rules.plugins_characters),
            product,
        )
        for validator_id in sorted(plugins)
    }


def _with_unusable(injection: Injection, unusable: Mapping[str, str]) -> Injection:
    return replace(injection, left_out={**injection.left_out, **unusable})


def usage_log(seat: SeatRow, submission_id: str, advice: Advice, verdict: str) -> list[ProtocolBase]:
    """The rows that say what was in a seat's prompt: one for each plugin, and in another table one for each older skill."""
    now = utc_now()
    place = {"round_id": seat.round_id, "phase": seat.phase, "seat_number": seat.number, "used_at": now}
    rows: list[ProtocolBase] = [
        PluginUsageRow(
            **place,
            plugin_id=plugin.id,
            validator_id=seat.validator_id,
            submission_id=submission_id,
            plugin_type=plugin.type,
            product_type=advice.product.value,
            slot=plugin.slot,
            body_sha256=plugin.body_sha256,
            verdict=verdict,
        )
        for plugin in advice.plugins.used
    ]
    rows += [
        ValidatorSkillUsageRow(**place, skill_id=skill_id, validator_id=seat.validator_id)
        for skill_id in advice.skills.used
    ]
    return rows


def _text(deployment: Deployment, sha256: str, most: int) -> tuple[str, str]:
    """A body of at most ``most`` characters, or why there is none. Raises Unavailable."""
    try:
        fits = deployment.blobs.size(sha256) <= _UTF8_BYTES * most
        text = deployment.blobs.get(sha256).decode("utf-8", "replace") if fits else ""
    except (BlobMissing, BlobCorrupt) as fault:
        return "", fault.message
    return (text, "") if fits and len(text) <= most else ("", f"its body is longer than {most:,} characters")

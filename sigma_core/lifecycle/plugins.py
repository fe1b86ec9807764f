"""What a validator's plugins and older skills add to its prompt, and the log of what was in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from sigma_core.audit.plugins.augmentation import Augmentation, LegacySkill, augment
from sigma_core.audit.plugins.injection import Injection, inject
from sigma_core.audit.plugins.surfaces import PluginType, SlottedPlugin
from sigma_core.deployment import Deployment
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
    with deployment.read_sessions() as session:
        for slot, plugin in session.execute(
            select(PluginSlotRow, PluginRow)
            .join(PluginRow, PluginRow.id == PluginSlotRow.plugin_id)
            .where(PluginSlotRow.validator_id.in_(plugins), PluginRow.state == APPROVED)
        ):
            plugins[slot.validator_id].append(
                SlottedPlugin(
                    plugin.id,
                    plugin.name,
                    PluginType(plugin.plugin_type),
                    slot.slot,
                    _text(deployment, plugin.body_sha256),
                )
            )
        for skill in session.scalars(select(ValidatorSkillRow).where(ValidatorSkillRow.validator_id.in_(skills))):
            skills[skill.validator_id].append(LegacySkill(skill.id, skill.name, _text(deployment, skill.body_sha256)))
    return {
        validator_id: Advice(
            inject(plugins[validator_id], product, rules.plugin_characters, rules.plugins_characters),
            augment(skills[validator_id], rules.plugins_characters),
            product,
        )
        for validator_id in sorted(plugins)
    }


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


def _text(deployment: Deployment, sha256: str) -> str:
    return deployment.blobs.get(sha256).decode("utf-8", "replace")

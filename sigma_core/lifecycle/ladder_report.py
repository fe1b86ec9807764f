"""What an operator is told about the model ladder: which models can be asked and why not, what they were measured to do, and, where it is
wanted, whether they answer now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from sigma_core.audit.grounding import ground
from sigma_core.audit.language_models.families import PROVIDERS, SeatPlace
from sigma_core.audit.model import AuditRequest, View
from sigma_core.canonical import sha256_of
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.language_models import judges_of
from sigma_core.lifecycle.model_ladder import answers_as, is_current, newest_measurements, place_of
from sigma_core.lifecycle.plugins import advice_for
from sigma_core.policy import Rung
from sigma_core.sandbox.derive import derive_facts
from sigma_core.storage.protocol import ModelMeasurementRow, PluginSlotRow, ValidatorRow
from sigma_core.storage.usage import BudgetRow, CallAttemptRow
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files
from sigma_core.timestamps import iso_utc, utc_now
from sigma_core.usage.prices import load_prices

_TRIAL = b"---\nname: release-notes\ndescription: Writes release notes.\n---\n# Release notes\nSummarise commits since the last tag.\n"


def ladder_report(deployment: Deployment) -> dict[str, Any]:
    """Families with their models, prices and measurements, and today's budget; camelCase JSON data. Asks nobody.

    Raises PriceTableError.
    """
    rules, statuses = deployment.policy.language_models, judges_of(deployment).statuses
    prices = load_prices(deployment.settings.price_file)
    with deployment.read_sessions() as session:
        measured = newest_measurements(session)
        seated = {
            (row.family, row.status): row.seats
            for row in session.execute(
                select(ValidatorRow.family, ValidatorRow.status, func.count().label("seats"))
                .where(ValidatorRow.family.in_(statuses))
                .group_by(ValidatorRow.family, ValidatorRow.status)
            )
        }
    with deployment.usage_sessions() as session:
        today = session.get(BudgetRow, f"day/{utc_now():%Y-%m-%d}")

    def model(rung: Rung) -> dict[str, Any]:
        found = measured.get(place_of(rung))
        return {
            "tier": rung.tier,
            "provider": rung.provider,
            "model": rung.model,
            "answersAs": answers_as(deployment, rung.provider, rung.model) or None,
            "priceKnown": PROVIDERS[rung.provider].local or prices.price(rung.provider, rung.model) is not None,
            "measured": None if found is None else _measured(deployment, found),
        }

    return {
        "families": [
            {
                "family": family,
                "enabled": status.enabled,
                "reason": status.reason or None,
                "validators": {state: count for (name, state), count in sorted(seated.items()) if name == family},
                "models": [model(rung) for rung in rules.ladder if rung.family == family],
            }
            for family, status in statuses.items()
        ],
        "pluginsLeftOut": _plugins_left_out(deployment),
        "priceSnapshot": prices.name,
        "dayBudgetMicroUsd": rules.day_budget_micro_usd,
        "dayCommittedMicroUsd": today.committed_micro_usd if today is not None else 0,
        "roundBudgetMicroUsd": rules.round_budget_micro_usd,
    }


def _plugins_left_out(deployment: Deployment) -> list[dict[str, str]]:
    """Approved plugins in a slot that no prompt carries, and why."""
    with deployment.read_sessions() as session:
        holders = session.scalars(select(PluginSlotRow.validator_id).distinct()).all()
    # The widest product: what is left out here for want of room may have room elsewhere.
    advice = advice_for(deployment, holders, ProductType.SKILL_API) if holders else {}
    return [
        {"validatorId": validator_id, "pluginId": plugin_id, "reason": reason}
        for validator_id, advised in advice.items()
        for plugin_id, reason in sorted(advised.plugins.left_out.items())
    ]


def _measured(deployment: Deployment, row: ModelMeasurementRow) -> dict[str, Any]:
    return {
        "tier": row.measured_tier,
        "caught": row.caught,
        "malicious": row.malicious,
        "passed": row.passed,
        "benign": row.benign,
        "abstained": row.abstained,
        "revision": row.revision,
        "current": is_current(deployment, row),
        "measuredAt": iso_utc(row.measured_at),
    }


def try_models(deployment: Deployment) -> list[dict[str, Any]]:
    """Ask every model that can be asked here about one small honest skill of ours, through the very path of a seat: paid, recorded and
    held to the budgets. ``answered`` says whether it spoke, ``reason`` why not or what its answer lacks."""
    files = sorted_files([PackageFile.of("SKILL.md", _TRIAL)])
    package = Package(files, {"name": "release-notes"}, ProductType.SKILL, "trial")
    request = AuditRequest(package, derive_facts(package, deployment.policy), View.FULL)
    statuses = judges_of(deployment).statuses
    # A round of its own each time: an answer on record would say nothing about now.
    trial = f"trial_{utc_now():%Y%m%d%H%M%S%f}"
    return [
        _tried(deployment, rung, trial, request)
        for rung in deployment.policy.language_models.ladder
        if statuses[rung.family].enabled
    ]


def _tried(deployment: Deployment, rung: Rung, trial: str, request: AuditRequest) -> dict[str, Any]:
    place = SeatPlace(trial, trial, 1, rung.tier, f"trial_{rung.family}", sha256_of(["sigma-model-trial-v1", trial]))
    engine = judges_of(deployment).judge(rung.family, {"tier": rung.tier}, place, "")
    assert not isinstance(engine, str), engine
    result = ground(engine.audit(request), request.package, deployment.policy.audit)
    attempts = _attempts(deployment, place)
    costs = [attempt.cost_micro_usd for attempt in attempts]
    return {
        "family": rung.family,
        "provider": rung.provider,
        "model": rung.model,
        "answered": not engine.unanswered,
        "verdict": result.verdict.value,
        "reason": engine.unanswered or result.reason or None,
        "attempts": len(attempts),
        "latencyMs": sum(attempt.latency_us for attempt in attempts) // 1_000,
        "costMicroUsd": None if None in costs else sum(cost for cost in costs if cost is not None),
    }


def _attempts(deployment: Deployment, place: SeatPlace) -> Sequence[CallAttemptRow]:
    row = CallAttemptRow
    key = f"{place.round_id}/{place.phase}/{place.number}/{place.validator_id}/"
    with deployment.usage_sessions() as session:
        return session.scalars(select(row).where(row.call_key.startswith(key, autoescape=True)).order_by(row.id)).all()

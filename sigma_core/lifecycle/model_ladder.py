"""The model ladder, measured: what each language model does on labelled packages decides its tier, whatever its name promises.

`measure_models` asks every model of the ladder that can be asked here about every package of a bank, both views, and keeps
the figures. `sync_ladder` then gives validators the weight of the tier that their model was measured to be of, and rests
those whose model cannot be asked or is below every bar. Both are idempotent: what was answered is not asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import isqrt
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.assembly.population import ValidatorStatus
from sigma_core.audit.canaries.bank import PACKAGES, canary_package, items
from sigma_core.audit.canaries.labels import package_label
from sigma_core.audit.families import embedded_families
from sigma_core.audit.families.embedded import EmbeddedFamily
from sigma_core.audit.grounding import ground
from sigma_core.audit.language_models.families import SeatPlace
from sigma_core.audit.model import AuditRequest, AuditResult, Verdict, View
from sigma_core.audit.views import view_of
from sigma_core.canonical import canonical_json, sha256_of
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.error_correlation import (
    Engine,
    correlation_document,
    keep_correlation,
    newest_correlation,
)
from sigma_core.lifecycle.language_models import judges_of
from sigma_core.lifecycle.standing import publish_weights
from sigma_core.policy import PPM, LanguageModelRules, Policy, Rung
from sigma_core.sandbox.derive import derive_facts
from sigma_core.storage.protocol import ModelMeasurementRow, ValidatorRow
from sigma_core.storage.usage import CallAttemptRow
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import Package
from sigma_core.timestamps import utc_now

PACKAGES_AT_ONCE = 4
"""So that what is held for calls under way leaves room in a round's budget."""
Z_PERCENT = 196
"""1.96: the 95 % interval."""
ANSWERED_AS = " as "
"""Stands in a measurement's revision between what was asked and the name that the model answered with."""


@dataclass(frozen=True, slots=True)
class LabelledPackage:
    """A package of the bank. Its label is never in a prompt."""

    package: Package
    malicious: bool


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Votes of one model on a bank: how many packages of each label, and how many of them it called right. Both views count."""

    malicious: int
    caught: int
    benign: int
    passed: int
    abstained: int

    def tier(self, rules: LanguageModelRules) -> int:
        """The highest tier whose bars the lower ends of both intervals reach; 0 where none is."""
        sensitivity = wilson_lower_ppm(self.caught, self.malicious)
        specificity = wilson_lower_ppm(self.passed, self.benign)
        return max(
            (
                bar.tier
                for bar in rules.tiers
                if sensitivity >= bar.min_sensitivity_ppm and specificity >= bar.min_specificity_ppm
            ),
            default=0,
        )


def wilson_lower_ppm(hits: int, total: int) -> int:
    """Lower end of the 95 % Wilson score interval in ppm, rounded down; 0 of nothing. (E. B. Wilson, JASA 22, 1927.)

    (2h + z² − z·√(z² + 4h(n − h)/n)) / (2(n + z²)), in integers: z is 196/100.
    """
    if total == 0:
        return 0
    z_squared = Z_PERCENT**2
    # Everything times 100² · 10⁶, so that the root is exact to a millionth; the root rounds up.
    inner = (z_squared + 4 * hits * (total - hits) * 10_000 // total) * PPM * PPM
    root = isqrt(inner) + 1
    numerator = (2 * hits * 10_000 + z_squared) * PPM - Z_PERCENT * root
    return max(numerator // (2 * (total * 10_000 + z_squared)), 0)


class BankError(SigmaError):
    """A folder that is no bank of labelled packages."""

    code = "MODEL_BANK_INVALID"


def read_bank(folder: Path, policy: Policy) -> list[LabelledPackage]:
    """The packages in ``folder/malicious`` and ``folder/benign``, by label and name. Raises BankError, or what intake raises."""
    bank = []
    for label, malicious in (("malicious", True), ("benign", False)):
        place = folder / label
        if not place.is_dir():
            raise BankError(f"{place}: a bank has the folders malicious and benign")
        entries = sorted(entry for entry in place.iterdir() if not entry.name.startswith("."))
        bank += [LabelledPackage(read_package(entry, policy), malicious) for entry in entries]
    return bank


def canary_bank(policy: Policy, variants: int) -> list[LabelledPackage]:
    """So many variants of each package of the canary bank: the same ones under the same policy, so that none is paid for twice."""
    return [
        LabelledPackage(
            canary_package(item, sha256_of(["sigma-ladder-variant-v1", policy.hash, item, number]), policy),
            package_label(item).verdict is Verdict.UNSAFE,
        )
        for item in items(PACKAGES)
        for number in range(variants)
    ]


@dataclass(frozen=True, slots=True)
class Measurements:
    """One row for each model that answered throughout, in the ladder's order; of the others, why they did not, by provider/model."""

    rows: tuple[ModelMeasurementRow, ...]
    unanswered: Mapping[str, str]


def measure_models(deployment: Deployment, bank: Sequence[LabelledPackage]) -> Measurements:
    """Measure every model of the ladder that can be asked here and was not measured on this bank this UTC month, or answers as another
    revision since. How their errors go together and with the embedded families' is kept beside the rows
    (`sigma_core.lifecycle.error_correlation`).

    A model that could not be asked about every package (an outage, a spent budget) is not measured: silence is no vote, and another
    run asks for what is missing. Calls are paid like any others, each model's on a budget of the size of a round's. Raises Unavailable.
    """
    statuses = judges_of(deployment).statuses
    bank_sha256 = sha256_of([[each.package.tree_hash, each.malicious] for each in bank])
    rungs = [rung for rung in deployment.policy.language_models.ladder if statuses[rung.family].enabled]
    known = {rung: _this_months(deployment, rung, bank_sha256) for rung in rungs}
    current = {rung: found[-1] for rung, found in known.items() if found and is_current(deployment, found[-1])}
    if len(current) == len(rungs):
        return Measurements(tuple(current[rung] for rung in rungs), {})
    facts = [derive_facts(each.package, deployment.policy) for each in bank]
    requests = [
        AuditRequest(view_of(each.package, view), its_facts, view)
        for each, its_facts in zip(bank, facts, strict=True)
        for view in View
    ]
    labels = [each.malicious for each in bank for _ in View]
    rows, engines, unanswered = [], [], {}
    for rung in rungs:
        # Of one that is current the answers are on record: they are read again, for the correlation.
        ask = partial(_ask, deployment, rung, _Turn.of(bank_sha256, len(known[rung]) - (rung in current)))
        with ThreadPoolExecutor(PACKAGES_AT_ONCE, thread_name_prefix="sigma-ladder") as pool:
            asked = list(pool.map(ask, requests))
        if silence := next((why for _, why in asked if why), ""):
            unanswered[f"{rung.provider}/{rung.model}"] = silence
            continue
        results = [result for result, _ in asked]
        rows.append(current.get(rung) or _row(deployment, rung, bank_sha256, labels, results))
        engines.append(Engine(rung.family, rung.tier, rung.model, _votes(results)))
    with deployment.sessions.begin() as session:
        session.add_all(row for row in rows if row.id is None)
    # One that lacks a model would hide what is known of it from before.
    if engines and (not unanswered or newest_correlation(deployment) is None):
        engines += [_embedded(deployment, family, requests) for family in embedded_families()]
        keep_correlation(deployment, correlation_document(bank_sha256, labels, engines))
    return Measurements(tuple(rows), unanswered)


def _this_months(deployment: Deployment, rung: Rung, bank_sha256: str) -> Sequence[ModelMeasurementRow]:
    """Measurements of a model on a bank in this UTC month, the newest last."""
    row, now = ModelMeasurementRow, utc_now()
    with deployment.read_sessions() as session:
        return session.scalars(
            select(row)
            .where(
                row.family == rung.family,
                row.ladder_tier == rung.tier,
                row.provider == rung.provider,
                row.model == rung.model,
                row.bank_sha256 == bank_sha256,
                row.measured_at >= now.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
            )
            .order_by(row.id)
        ).all()


def is_current(deployment: Deployment, measured: ModelMeasurementRow) -> bool:
    """Whether the model still answers as the revision that was measured: a name promises nothing, not even that it stays what it was."""
    return answers_as(deployment, measured.provider, measured.model) == measured.revision.partition(ANSWERED_AS)[2]


def answers_as(deployment: Deployment, provider: str, model: str) -> str:
    """The name that a model gave itself in its newest answer, empty before there is one."""
    row = CallAttemptRow
    newest = select(row.model_revision).where(row.provider == provider, row.model == model, row.state == "done")
    with deployment.usage_sessions() as session:
        return session.scalar(newest.order_by(row.id.desc()).limit(1)) or ""


def _embedded(deployment: Deployment, family: EmbeddedFamily, requests: Sequence[AuditRequest]) -> Engine:
    """An embedded family on the same views, with its default parameters."""
    results = [ground(family.audit(request), request.package, deployment.policy.audit) for request in requests]
    return Engine(family.family, 0, family.revision, _votes(results))


def _votes(results: Sequence[AuditResult]) -> tuple[Verdict, ...]:
    return tuple(result.verdict for result in results)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One measurement of the ladder on a bank: ``name`` is the round that its calls are booked on, ``seed`` keys its prompts. The same in a
    month until a model was measured whole, so that a run that broke off goes on where it was."""

    name: str
    seed: str

    @classmethod
    def of(cls, bank_sha256: str, number: int) -> _Turn:
        """The turn after ``number`` whole measurements this month."""
        month = f"{utc_now():%y%m}"
        return cls(f"{bank_sha256[:6]}_{month}_{number}", sha256_of(["sigma-ladder-v2", bank_sha256, month, number]))


def _ask(deployment: Deployment, rung: Rung, turn: _Turn, request: AuditRequest) -> tuple[AuditResult, str]:
    """One model on one view of one package, and why it said nothing, if so. Under keys of its own: the same question is not paid twice."""
    place = SeatPlace(
        round_id=f"ladder_{turn.name}_{rung.family}_{rung.tier}",
        submission_id=f"bank_{request.package.tree_hash[:32]}",
        phase=list(View).index(request.view) + 1,
        number=rung.tier,
        validator_id=f"bank_{request.package.tree_hash[:32]}",
        seed=turn.seed,
    )
    engine = judges_of(deployment).judge(rung.family, {"tier": rung.tier}, place, "")
    assert not isinstance(engine, str), engine
    result = ground(engine.audit(request), request.package, deployment.policy.audit)
    return result, engine.unanswered


def _row(
    deployment: Deployment, rung: Rung, bank_sha256: str, labels: Sequence[bool], results: Sequence[AuditResult]
) -> ModelMeasurementRow:
    votes = _votes(results)
    seen = Verdicts(
        malicious=sum(labels),
        caught=sum(bad and vote is Verdict.UNSAFE for bad, vote in zip(labels, votes, strict=True)),
        benign=len(labels) - sum(labels),
        passed=sum(not bad and vote is Verdict.SAFE for bad, vote in zip(labels, votes, strict=True)),
        abstained=votes.count(Verdict.ABSTAIN),
    )
    report = [
        {"malicious": bad, "verdict": result.verdict.value, "reason": result.reason, "resultSha256": result.sha256}
        for bad, result in zip(labels, results, strict=True)
    ]
    return ModelMeasurementRow(
        family=rung.family,
        ladder_tier=rung.tier,
        provider=rung.provider,
        model=rung.model,
        revision=f"{results[0].revision if results else ''}{ANSWERED_AS}{answers_as(deployment, rung.provider, rung.model)}",
        bank_sha256=bank_sha256,
        policy_hash=deployment.policy.hash,
        malicious=seen.malicious,
        caught=seen.caught,
        benign=seen.benign,
        passed=seen.passed,
        abstained=seen.abstained,
        measured_tier=seen.tier(deployment.policy.language_models),
        report_sha256=deployment.blobs.put(canonical_json(report)),
        measured_at=utc_now(),
    )


Place = tuple[str, int, str, str]
"""A model's place in the ladder: family, tier, provider, model."""


def place_of(rung: Rung) -> Place:
    """Where a rung stands."""
    return rung.family, rung.tier, rung.provider, rung.model


def newest_measurements(session: Session) -> dict[Place, ModelMeasurementRow]:
    """The newest measurement of each model that has one, by its place in the ladder."""
    row = ModelMeasurementRow
    newest = select(func.max(row.id)).group_by(row.family, row.ladder_tier, row.provider, row.model)
    found = session.scalars(select(row).where(row.id.in_(newest))).all()
    return {(each.family, each.ladder_tier, each.provider, each.model): each for each in found}


def sync_ladder(deployment: Deployment) -> dict[str, int]:
    """Give each language-model validator the weight of its model's measured tier and publish the weights.

    A model that was never measured weighs as the ordinary tier, and one that answers as another revision than the measured one as no
    more than that. Suspended validators stay as they are. Returns how many validators changed, by family.
    """
    rules = deployment.policy.language_models
    statuses = judges_of(deployment).statuses
    weights = {bar.tier: bar.weight_ppm for bar in rules.tiers}
    changed: dict[str, int] = {}
    with deployment.sessions.begin() as session:
        measured = newest_measurements(session)
        current = {place: is_current(deployment, row) for place, row in measured.items()}
        for validator in session.scalars(
            select(ValidatorRow).where(ValidatorRow.family.in_(statuses)).order_by(ValidatorRow.id)
        ):
            if validator.status == ValidatorStatus.SUSPENDED:
                continue
            rung = rules.rung(validator.family, int(validator.parameters.get("tier", 1)))
            assert rung is not None, "a family has a status because the ladder has it"
            row = measured.get(place_of(rung))
            fit = statuses[validator.family].enabled and (row is None or row.measured_tier != 0)
            weight = PPM if row is None else weights.get(row.measured_tier, PPM)
            if not current.get(place_of(rung), True):
                weight = min(weight, PPM)
            target = (ValidatorStatus.ACTIVE if fit else ValidatorStatus.RESTING, weight)
            if (validator.status, validator.tier_ppm) != (target[0].value, target[1]):
                validator.status, validator.tier_ppm = target[0].value, target[1]
                changed[validator.family] = changed.get(validator.family, 0) + 1
    if changed:
        publish_weights(deployment)
    return changed

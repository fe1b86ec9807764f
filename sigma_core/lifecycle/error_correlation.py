"""How the errors of language models go with each other's and with the embedded families': measured on the ladder's bank, kept as a
document of counts, and read under the policy of the day.

What was not measured counts as 1 (`Calibration.between`): two families of which nothing is known are one voter. So do two
validators of one language-model family, which ask the same model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from sqlalchemy import select

from sigma_core.assembly.independence import Calibration, FamilyKind, error_correlation_ppm
from sigma_core.audit.families import calibration, embedded_families
from sigma_core.audit.model import Verdict
from sigma_core.canonical import canonical_json
from sigma_core.deployment import Deployment
from sigma_core.policy import PPM, IndependenceRules, LanguageModelRules
from sigma_core.storage.protocol import ErrorCorrelationRow
from sigma_core.timestamps import utc_now

SCHEMA = "sigma-error-correlation-v2"


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine on the bank: its votes in the bank's order. ``tier`` is the ladder's, 0 for an embedded family; ``revision`` is the model's
    name, or an embedded family's revision."""

    family: str
    tier: int
    revision: str
    votes: tuple[Verdict, ...]

    @property
    def as_json(self) -> dict[str, Any]:
        """``{family, tier, revision}``: what the counts are of."""
        return {"family": self.family, "tier": self.tier, "revision": self.revision}


def correlation_document(bank_sha256: str, labels: Sequence[bool], engines: Iterable[Engine]) -> dict[str, Any]:
    """Counts for each pair of engines of two families, one of which is a language model: on how many views of packages both voted,
    how often each erred there, and how often both did. ``labels`` say which are malicious."""
    ordered = sorted(engines, key=lambda engine: (engine.family, engine.tier))
    return {
        "schema": SCHEMA,
        "bankSha256": bank_sha256,
        "engines": [engine.as_json for engine in ordered],
        "pairs": [
            _counts(first, second, labels)
            for first, second in combinations(ordered, 2)
            if first.family != second.family and (first.tier or second.tier)
        ],
    }


def _counts(first: Engine, second: Engine, labels: Sequence[bool]) -> dict[str, Any]:
    errors = [
        ((one is Verdict.UNSAFE) != malicious, (other is Verdict.UNSAFE) != malicious)
        for one, other, malicious in zip(first.votes, second.votes, labels, strict=True)
        if Verdict.ABSTAIN not in (one, other)
    ]
    return {
        "families": [first.family, second.family],
        "tiers": [first.tier, second.tier],
        "votes": len(errors),
        "errors": [sum(one for one, _ in errors), sum(other for _, other in errors)],
        "common": sum(one and other for one, other in errors),
    }


def keep_correlation(deployment: Deployment, document: Mapping[str, Any]) -> str:
    """Keep a measurement; returns the hash of its blob."""
    sha256 = deployment.blobs.put(canonical_json(dict(document)))
    with deployment.sessions.begin() as session:
        session.add(
            ErrorCorrelationRow(
                bank_sha256=document["bankSha256"],
                policy_hash=deployment.policy.hash,
                document_sha256=sha256,
                measured_at=utc_now(),
            )
        )
    return sha256


def newest_correlation(deployment: Deployment) -> dict[str, Any] | None:
    """The document that was measured last."""
    newest = select(ErrorCorrelationRow.document_sha256).order_by(ErrorCorrelationRow.id.desc()).limit(1)
    with deployment.read_sessions() as session:
        sha256 = session.scalar(newest)
    return None if sha256 is None else json.loads(deployment.blobs.get(sha256))


def calibration_with(
    families: Iterable[str],
    models: LanguageModelRules,
    rules: IndependenceRules,
    measured: Mapping[str, Any] | None = None,
) -> Calibration:
    """What is known of ``families``: the embedded ones' own calibration, the kinds of the language models among them, and what
    ``measured`` (a `correlation_document`) says of the engines that are still in use."""
    known, cast = calibration(), set(families)
    correlations = dict(known.correlation_ppm)
    if measured is not None:
        current = {family for family in cast if _in_use(family, models) == _measured_engines(family, measured)}
        correlations.update(_correlations(measured, current, rules))
    kinds = dict.fromkeys(cast & set(models.families), FamilyKind.LANGUAGE_MODEL)
    return Calibration({**kinds, **known.kinds}, correlations)


def _in_use(family: str, models: LanguageModelRules) -> set[tuple[int, str]]:
    embedded = {(0, each.revision) for each in embedded_families() if each.family == family}
    return embedded or {(rung.tier, rung.model) for rung in models.ladder if rung.family == family}


def _measured_engines(family: str, document: Mapping[str, Any]) -> set[tuple[int, str]]:
    return {(engine["tier"], engine["revision"]) for engine in document["engines"] if engine["family"] == family}


def _correlations(
    document: Mapping[str, Any], families: set[str], rules: IndependenceRules
) -> dict[tuple[str, str], int]:
    """The highest correlation among the engines of each two families; 1 where one of their pairs has too few common votes or an engine
    that never erred, of which nothing can be said."""
    highest: dict[tuple[str, str], int] = {}
    for pair in document["pairs"]:
        (first, second), votes = pair["families"], pair["votes"]
        if {first, second} <= families:
            one, other = pair["errors"]
            ppm = error_correlation_ppm(votes, one, other, pair["common"]) if votes >= rules.min_common_votes else None
            if ppm is None:
                ppm = PPM
            # As if prior_votes more had been seen, on all of which both erred alike; rounded up.
            total = votes + rules.prior_votes
            shrunk = -(-(votes * ppm + rules.prior_votes * PPM) // total) if total else PPM
            highest[first, second] = max(highest.get((first, second), 0), shrunk)
    return highest

"""Writes certificates into a deployment the way the lifecycle leaves them: rows in the database, documents in the blobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sigma_core.canonical import canonical_json
from sigma_core.certificates.bundle import issue
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.payload import BeaconValue, PhaseVotes, RoundSeal, SubmissionSeal
from sigma_core.certificates.sealing import build_payload
from sigma_core.certificates.vocabulary import CertificateStatus, RoundType, TriggerSource
from sigma_core.config import load_settings
from sigma_core.deployment import Deployment
from sigma_core.identifiers import certificate_id, round_id
from sigma_core.lifecycle.opening import record_policy
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.storage.migrations import upgrade
from sigma_core.storage.protocol import (
    CertificateRow,
    RoundRow,
    SeatRow,
    SubmissionRow,
    ValidatorRow,
    WeightEpochRow,
)
from sigma_core.submissions.package import Package, PackageFile, ProductType, SourceType

START = datetime(2026, 11, 21, 3, 52, tzinfo=UTC)
NEVER = timedelta(days=36_500)

FACTS = FactsDocument(
    {
        "schema": "sigma-facts-v1",
        "rulePackHash": "11" * 32,
        "facts": [],
        "coverage": {"complete": True, "files": [], "incidents": []},
        "sourceFacts": {
            "externalHosts": ["tides.example.org"],
            "manifestMismatchCount": 0,
            "blocked": False,
            "shell": False,
            "env": False,
            "process": False,
            "filesystem": False,
            "network": True,
            "wallet": False,
            "promptInjectionSignalCount": 0,
            "realSecretSignalCount": 0,
            "highRiskSignalCount": 0,
        },
        "endpointReview": {
            "analysisMode": "STATIC_SOURCE_AND_MANIFEST_REVIEW",
            "observedUrls": ["https://tides.example.org/v1/times"],
            "observedHosts": ["tides.example.org"],
            "endpointStatus": "PASSED",
            "skippedEndpoints": [{"path": "/v1/times", "reason": "SKILL_ONLY_NO_API_VALIDATION"}],
            "declaredEndpoints": [],
            "disclosureWarning": None,
        },
        "risk": {
            "sandboxRiskLevel": "LOW",
            "securityLevel": "CLEAR",
            "retainedErrors": [],
            "retainedWarnings": ["SKILL.md:5 calls tides.example.org"],
            "blockingSignals": [],
        },
    }
)

FINDING = {
    "severity": "LOW",
    "category": "network",
    "file": "SKILL.md",
    "lineStart": 5,
    "lineEnd": 5,
    "quote": "Call https://tides.example.org/v1/times",
    "rationale": "It talks to one declared host.",
    "confidencePpm": 400_000,
}


@dataclass(frozen=True)
class Sample:
    """A certificate to keep. ``number`` makes its ids; what is not said is the same for all."""

    number: int
    name: str = "tide-table"
    description: str = "Looks up tide times."
    status: str = "APPROVED"
    issued_at: datetime = START
    valid_for: timedelta = NEVER
    product_type: ProductType = ProductType.SKILL

    @property
    def submission_id(self) -> str:
        return f"sub_{self.number:026d}"

    @property
    def round_id(self) -> str:
        return round_id(self.submission_id, 1)

    @property
    def id(self) -> str:
        return certificate_id(self.round_id)


# Pairs share an instant, so that only the id orders them.
ORDINARY = [Sample(number, issued_at=START + timedelta(milliseconds=number // 2)) for number in range(1, 24)]
PERCENT = Sample(100, name="100%_sure\\really", description="Percent, underscore and backslash.")
SHOUTED = Sample(101, name="LOUD Weather", description="Shouts the forecast.")
API = Sample(102, name="tide-api", product_type=ProductType.API)
SUSPENDED = Sample(103, name="suspended-skill", status="SUSPENDED")
REVOKED = Sample(104, name="revoked-skill", status="REVOKED")
EXPIRED = Sample(105, name="expired-skill", issued_at=START - timedelta(days=800), valid_for=timedelta(days=365))
AUDITED_AGAIN = Sample(106, name="audited-again")
LISTED = [*ORDINARY, PERCENT, SHOUTED, API, AUDITED_AGAIN]
ALL = [*LISTED, SUSPENDED, REVOKED, EXPIRED]

ROUTES_OF_ONE = ("", "/verify", "/live-status", "/attestation")


def bare_deployment() -> Deployment:
    """The deployment of the environment, migrated and empty."""
    deployment = Deployment(load_settings())
    upgrade(deployment.protocol, "protocol")
    record_policy(deployment)
    return deployment


def keep_assembly(deployment: Deployment) -> None:
    """One validator and one published epoch: what rounds and seats refer to."""
    with deployment.sessions.begin() as session:
        session.add(
            ValidatorRow(
                id="val_1",
                operator="op_1",
                family="capability-rules",
                parameters={},
                stake_micro_usd=1,
                tier_ppm=1_000_000,
                status="ACTIVE",
                joined_at=START,
            )
        )
        session.add(
            WeightEpochRow(
                epoch=1,
                day=20_000,
                policy_hash="22" * 32,
                inputs_sha256="33" * 32,
                accuracy_high_water=0,
                reputation_high_water=0,
                merkle_root="44" * 32,
                total_weight=1,
                validator_count=1,
                snapshot_sha256="55" * 32,
                published_at=START,
            )
        )


def keep_certificates(deployment: Deployment, samples: Iterable[Sample]) -> None:
    """Submission, decided round with two phases, and sealed bundle for each sample."""
    _vouch_for_the_past(deployment)
    result = deployment.blobs.put(canonical_json(_result("SAFE", [FINDING])))
    package = _package(ProductType.SKILL)
    rows: list[Any] = []
    for sample in samples:
        if sample.product_type is not package.product_type:
            package = _package(sample.product_type)
        expires_at = sample.issued_at + sample.valid_for
        payload = build_payload(
            certificate_id=sample.id,
            package=package,
            facts=FactsDocument({**FACTS.document, "package": {"treeHash": package.tree_hash}}),
            submission=SubmissionSeal(
                submission_id=sample.submission_id,
                skill_name=sample.name,
                skill_version="1.4.0",
                source_type=SourceType.UPLOAD,
                source_ref="tide-table.zip",
                source_url=None,
                entry=package.files[0].path,
            ),
            round_seal=RoundSeal(
                round_id=sample.round_id,
                round_number=1,
                round_type=RoundType.INITIAL_AUDIT,
                trigger_source=TriggerSource.SUBMISSION,
                policy_hash="22" * 32,
                weights_epoch=1,
                weights_merkle_root="44" * 32,
                beacon=BeaconValue("66" * 32, 12, "77" * 32),
                votes=[PhaseVotes(1, 1, 0, 0), PhaseVotes(2, 1, 0, 0)],
                diversity_degraded=False,
                assurance_level=1,
                n_eff_ppm=2_100_000,
            ),
            status=CertificateStatus.APPROVED,
            sandbox_analyzed_at=sample.issued_at,
            issued_at=sample.issued_at,
            expires_at=expires_at,
        )
        rows += [
            _submission(sample, package),
            _round(sample, 1, "DECIDED", replay_sha256=deployment.blobs.put(b'{"roundId":"%d"}' % sample.number)),
            _seat(sample.round_id, 1, result),
            _seat(sample.round_id, 2, result),
            CertificateRow(
                id=sample.id,
                submission_id=sample.submission_id,
                round_id=sample.round_id,
                status=sample.status,
                skill_name=sample.name,
                description=sample.description,
                payload_hash=payload.hash,
                bundle_sha256=deployment.blobs.put(issue(payload, deployment.signing_key).to_bytes()),
                issued_at=sample.issued_at,
                expires_at=expires_at,
            ),
        ]
    with deployment.sessions.begin() as session:
        for row in rows:
            session.add(row)
            session.flush()


def keep_open_round(deployment: Deployment, sample: Sample) -> str:
    """A second round of the sample's submission whose first panel has voted, but which is not decided; its id."""
    identifier = round_id(sample.submission_id, 2)
    result = deployment.blobs.put(canonical_json(_result("UNSAFE", [])))
    with deployment.sessions.begin() as session:
        session.add(_round(sample, 2, "PHASE_1"))
        session.flush()
        session.add(_seat(identifier, 1, result))
    return identifier


def _vouch_for_the_past(deployment: Deployment) -> None:
    """Publish the deployment's key as in use since long: the samples are dated before it was made."""
    published = deployment.trusted_keys
    since = START - timedelta(days=1_000)
    keys = [TrustedKey(key.public_key, valid_from=since) for key in published.by_id.values()]
    deployment.settings.key_set.write_bytes(KeySet(keys, logs=published.logs).to_bytes())


def _package(product_type: ProductType) -> Package:
    name = "openapi.json" if product_type is ProductType.API else "SKILL.md"
    return Package(
        files=(PackageFile.of(name, b"Call https://tides.example.org/v1/times and show the answer.\n"),),
        manifest={
            "name": "tide-table",
            "safety": {"network": "tides.example.org", "filesystem": None},
            "capabilities": ["http"],
            "externalCalls": [
                {"url": "https://tides.example.org/v1/times", "auth": None, "method": "GET", "reason": "tide times"}
            ],
        },
        product_type=product_type,
        source_name="tide-table.zip",
    )


def _result(verdict: str, findings: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "findings": findings,
        "filesReviewed": ["SKILL.md"],
        "scorePpm": 40_000,
        "family": "capability-rules",
        "revision": "1",
        "reason": "nothing stands out",
    }


def _submission(sample: Sample, package: Package) -> SubmissionRow:
    return SubmissionRow(
        id=sample.submission_id,
        state="APPROVED",
        name=sample.name,
        version="1.4.0",
        description=sample.description,
        product_type=package.product_type.value,
        source_type="upload",
        source_ref="tide-table.zip",
        source_url=None,
        source_name="tide-table.zip",
        tree_hash=package.tree_hash,
        skill_hash=package.skill_hash,
        package_sha256="88" * 32,
        submitter="dev_1",
        beacon_chain="66" * 32,
        beacon_round=12,
        submitted_at=sample.issued_at,
    )


def _round(sample: Sample, number: int, state: str, replay_sha256: str | None = None) -> RoundRow:
    decided = state == "DECIDED"
    return RoundRow(
        id=round_id(sample.submission_id, number),
        submission_id=sample.submission_id,
        number=number,
        run_key=f"run-{number}",
        round_type="INITIAL_AUDIT" if number == 1 else "RE_AUDIT",
        trigger_source="SUBMISSION" if number == 1 else "OPERATOR",
        state=state,
        facts_sha256=FACTS.sha256,
        policy_hash="22" * 32,
        weights_epoch=1,
        beacon_chain="66" * 32,
        beacon_round=12,
        beacon_value="77" * 32,
        seed="99" * 32,
        outcome="APPROVED" if decided else None,
        with_rejection=False if decided else None,
        reasons=[{"code": "UNANIMOUS_SAFE", "message": "Every seat said SAFE.", "detail": {}}] if decided else [],
        n_eff_ppm=2_100_000 if decided else None,
        assurance_level=1 if decided else None,
        diversity_degraded=False if decided else None,
        replay_sha256=replay_sha256,
        opened_at=sample.issued_at,
        decided_at=sample.issued_at if decided else None,
    )


def _seat(round_identifier: str, phase: int, result_sha256: str) -> SeatRow:
    return SeatRow(
        round_id=round_identifier,
        phase=phase,
        number=1,
        validator_id="val_1",
        operator="op_1",
        family="capability-rules",
        ticket_index=0,
        relaxations=[],
        status="REVEALED",
        verdict="SAFE",
        commitment="aa" * 32,
        salt="bb" * 32,
        result_sha256=result_sha256,
        score_ppm=40_000,
        finding_count=1,
        revealed_at=START,
    )

"""One small approved package and its certificate, made from fixed inputs: the golden case that the tests tamper with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sigma_core.certificates.bundle import Bundle, issue
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.log.append import append
from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.cosignature import WitnessKey
from sigma_core.certificates.log.entry import certificate_entry
from sigma_core.certificates.log.note import NoteKey
from sigma_core.certificates.log.proof import LogProof
from sigma_core.certificates.log.tree import EMPTY_ROOT, TiledTree
from sigma_core.certificates.payload import BeaconValue, Payload, PhaseVotes, RoundSeal, StatusListEntry, SubmissionSeal
from sigma_core.certificates.sealing import build_payload
from sigma_core.certificates.signing_key import SigningKey
from sigma_core.certificates.vocabulary import CertificateStatus, RoundType, TriggerSource
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.submissions.package import Package, PackageFile, ProductType, SourceType, sorted_files

ISSUED_AT = datetime(2026, 11, 21, 3, 52, tzinfo=UTC)
EXPIRES_AT = ISSUED_AT + timedelta(days=365)
NOW = ISSUED_AT + timedelta(days=30)

SKILL_MD = b"""---
name: tide-table
version: 1.4.0
description: Looks up tide times.
---
Call https://tides.example.org/v1/times and show the answer.
"""


def signing_key(number: int = 1) -> SigningKey:
    """A key that is the same in every run."""
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


KEY = signing_key()
LOG_KEY = signing_key(9)
ORIGIN = "sigma.example/log"


SEAL = RoundSeal(
    round_id="round_01",
    round_number=1,
    round_type=RoundType.INITIAL_AUDIT,
    trigger_source=TriggerSource.SUBMISSION,
    policy_hash="22" * 32,
    weights_epoch=7,
    weights_merkle_root="33" * 32,
    beacon=BeaconValue("44" * 32, 12, "55" * 32),
    votes=[PhaseVotes(1, 5, 0, 0), PhaseVotes(2, 4, 0, 1)],
    diversity_degraded=False,
    assurance_level=1,
    n_eff_ppm=2_100_000,
)


def key_set(
    *keys: SigningKey,
    valid_from: datetime = ISSUED_AT - timedelta(days=1),
    valid_until: datetime | None = None,
    logs: tuple[NoteKey, ...] = (NoteKey(ORIGIN, LOG_KEY.public_key),),
    witnesses: tuple[WitnessKey, ...] = (),
) -> KeySet:
    """Trusted keys, by default the golden one, in use from the day before the certificate, and the golden log's."""
    trusted = (TrustedKey(key.public_key, valid_from, valid_until) for key in keys or (KEY,))
    return KeySet(trusted, logs=logs, witnesses=witnesses)


def sample_package(files: dict[str, bytes] | None = None, *, executable: tuple[str, ...] = ("tide.sh",)) -> Package:
    """The golden package, or one with other files."""
    contents = {"SKILL.md": SKILL_MD, "tide.sh": b"curl -s $1\n"} if files is None else files
    return Package(
        files=sorted_files(
            PackageFile.of(path, content, executable=path in executable) for path, content in contents.items()
        ),
        manifest={
            "name": "tide-table",
            "safety": {"network": "tides.example.org", "filesystem": None},
            "capabilities": ["http"],
            "externalCalls": [
                {"url": "https://tides.example.org/v1/times", "auth": None, "method": "GET", "reason": "tide times"}
            ],
        },
        product_type=ProductType.SKILL,
        source_name="tide-table.zip",
    )


def sample_facts(**changes: Any) -> FactsDocument:
    """A complete facts document without risk; ``changes`` replace top-level parts."""
    document: dict[str, Any] = {
        "schema": "sigma-facts-v1",
        "sandboxVersion": "1",
        "rulePackHash": "11" * 32,
        "policyHash": "22" * 32,
        "package": {"treeHash": sample_package().tree_hash},
        "declared": {},
        "facts": [],
        "coverage": {"complete": True, "files": [], "incidents": []},
        "sourceFacts": {
            "externalHosts": ["tides.example.org"],
            "manifestMismatchCount": 0,
            "blocked": False,
            "shell": True,
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
            "analyzedAt": None,
            "analysisMode": "STATIC_SOURCE_AND_MANIFEST_REVIEW",
            "observedUrls": ["https://tides.example.org/v1/times"],
            "observedHosts": ["tides.example.org"],
            "endpointStatus": "PASSED",
            "skippedEndpoints": [],
            "declaredEndpoints": ["https://tides.example.org/v1/times"],
            "disclosureWarning": None,
        },
        "risk": {
            "sandboxRiskLevel": "LOW",
            "securityLevel": "CLEAR",
            "score": 3,
            "retainedErrors": [],
            "retainedWarnings": ["tide.sh:1 calls a shell"],
            "blockingSignals": [],
        },
    }
    return FactsDocument(document | changes)


def sample_payload(**changes: Any) -> Payload:
    """The golden payload; ``changes`` replace arguments of `build_payload`."""
    package = changes.get("package", sample_package())
    arguments: dict[str, Any] = {
        "certificate_id": "cert_01",
        "package": package,
        "facts": sample_facts(package={"treeHash": package.tree_hash}),
        "submission": SubmissionSeal(
            submission_id="sub_01",
            skill_name="tide-table",
            skill_version="1.4.0",
            source_type=SourceType.UPLOAD,
            source_ref="tide-table.zip",
            source_url=None,
            entry="SKILL.md",
            dev_notes="Gezeiten für Häfen",
        ),
        "round_seal": SEAL,
        "status": CertificateStatus.APPROVED,
        "sandbox_analyzed_at": ISSUED_AT - timedelta(seconds=20),
        "issued_at": ISSUED_AT,
        "expires_at": EXPIRES_AT,
        "status_list": StatusListEntry("https://sigma.example/status/1", 42),
    }
    return build_payload(**(arguments | changes))


def sample_bundle(**changes: Any) -> Bundle:
    """The golden bundle, or one over a changed payload, signed with the golden key."""
    return issue(sample_payload(**changes), KEY)


def in_log(entry: bytes, *, index: int = 2, size: int = 5, key: SigningKey = LOG_KEY, origin: str = ORIGIN) -> LogProof:
    """``entry`` logged among others, with the proof under a signed checkpoint."""
    entries = [b"entry %d" % number for number in range(size)]
    entries[index] = entry
    appended = append(TiledTree(0, {}.get), EMPTY_ROOT, entries)
    tree = TiledTree(size, appended.files.get)
    return LogProof(index, tree.inclusion_proof(index), Checkpoint(origin, size, appended.root).sign(key))


def logged_bundle(*, index: int = 2, size: int = 5, **changes: Any) -> Bundle:
    """The golden certificate, naming the golden log, with its proof."""
    payload = sample_payload(transparency_log=ORIGIN, **changes)
    return issue(payload, KEY).with_proof(in_log(certificate_entry(payload, KEY.key_id), index=index, size=size))

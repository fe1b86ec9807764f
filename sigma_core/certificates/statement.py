"""What is signed: an in-toto Statement v1 with a Simple Verification Result (SVR v0.2) that carries the whole payload.

Formats: in-toto attestation framework, spec/v1/statement.md and spec/predicates/svr.md. A statement is a function of
its payload, so that a verifier rebuilds it and compares bytes: nothing in it can contradict the payload.
"""

from __future__ import annotations

from typing import Any

from sigma_core.canonical import Sealed, canonical_json
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.vocabulary import CertificateStatus

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/svr/v0.2"
VERIFIER_ID = "urn:sigma:verifier:v1"


def statement_bytes(payload: Payload) -> bytes:
    """RFC 8785 bytes of the statement over ``payload``.

    The subject is the package by its tree hash and, where there is one, SKILL.md by the SHA-256 of its LF-normalised
    bytes, which is the file's own digest whenever it was written with LF.
    """
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "subject": subject_of(payload),
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "verifier": {
                    "id": VERIFIER_ID,
                    "policies": [
                        {"name": "policy", "digest": {"sha256": payload.document["policyHash"]}},
                        {"name": "sandbox rule pack", "digest": {"sha256": payload.document["rulePackHash"]}},
                    ],
                },
                "timeCreated": payload.document["issuedAt"],
                "properties": _properties(payload),
                "sigmaCertificate": Sealed(payload.canonical_bytes),
            },
        }
    )


def subject_of(payload: Payload) -> list[dict[str, Any]]:
    """The resource descriptors of what was certified."""
    name, skill_hash = payload.document["skillName"], payload.document["skillHash"]
    subject = [{"name": name, "digest": {"sha256": payload.document["treeHash"]}}]
    if skill_hash is not None:
        subject.append({"name": f"{name}/SKILL.md", "digest": {"sha256": skill_hash}})
    return subject


def _properties(payload: Payload) -> list[str]:
    """What a policy engine may rely on. SVR lists what passed, so there is nothing for a package not approved."""
    if payload.status is not CertificateStatus.APPROVED:
        return []
    return [
        "SIGMA_APPROVED",
        f"SIGMA_ASSURANCE_LEVEL_{payload.document['assuranceLevel']}",
        f"SIGMA_SECURITY_LEVEL_{payload.document['review']['securityLevel']}",
    ]

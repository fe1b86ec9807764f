"""Verify a certificate bundle offline, with nothing but the bundle and trusted public keys.

Importable alone: no database, no network, no policy file. Nothing about status after issue (suspended, revoked) can
be known here; that takes the status list or the live answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from sigma_core.canonical import NotCanonical, parse_canonical_json
from sigma_core.certificates.bundle import Bundle
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.payload import Payload, tree_hash_of
from sigma_core.certificates.payload_shape import PayloadError
from sigma_core.certificates.refusals import DriftError, Refusal, VerificationError, shown
from sigma_core.certificates.statement import PAYLOAD_TYPE, statement_bytes, subject_of
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.submissions.package import Package
from sigma_core.timestamps import iso_utc


@dataclass(frozen=True, slots=True)
class Verified:
    """A certificate that passed. ``checks`` are sentences about what was checked, in order, for printing."""

    payload: Payload
    key_id: str
    checks: tuple[str, ...]


def verify_bundle(
    bundle_bytes: bytes, trusted_keys: KeySet, *, at: datetime, package: Package | None = None
) -> Verified:
    """Check a bundle against ``trusted_keys`` as of the instant ``at`` (aware) and, if given, against a package at hand.

    Raises VerificationError, whose code names the first check that does not hold.
    """
    bundle = Bundle.parse(bundle_bytes)
    key = _trusted_key(bundle, trusted_keys)
    payload = _signed_payload(bundle)
    _check_agreement(bundle, payload)
    _check_time(payload, key, at)
    _check_status(payload)
    checks = [
        f"the bundle is canonical and well-formed ({len(bundle_bytes)} bytes)",
        f"the trusted key {key.key_id[:16]}… signed it",
        "statement, subject and file list agree with the sealed payload",
        f"the payload hash is {payload.hash}",
        f"its round {payload.round_id} is the one that its replay reference names",
        f"the key was in use when it was issued, at {iso_utc(payload.issued_at)}",
        f"it is good at {iso_utc(at)} and until {iso_utc(payload.expires_at)}",
        "it was approved",
    ]
    if package is not None:
        _check_package(payload, package)
        checks.append(f"the {len(package.files)} files at hand are exactly the certified ones")
    return Verified(payload, key.key_id, tuple(checks))


def _trusted_key(bundle: Bundle, trusted_keys: KeySet) -> TrustedKey:
    """The trusted key that signed the envelope."""
    envelope = bundle.envelope
    if envelope.payload_type != PAYLOAD_TYPE:
        raise VerificationError(
            Refusal.MEDIA_TYPE_UNKNOWN,
            "envelope.payloadType",
            expected=PAYLOAD_TYPE,
            found=shown(envelope.payload_type),
        )
    key = trusted_keys.by_id.get(envelope.key_id)
    if key is None:
        raise VerificationError(
            Refusal.KEY_UNKNOWN,
            "envelope.signatures[0].keyid",
            expected=f"one of {len(trusted_keys.by_id)} trusted keys",
            found=shown(envelope.key_id),
        )
    if not key.signed(envelope.signature, envelope.signed_bytes):
        raise VerificationError(
            Refusal.SIGNATURE_INVALID,
            "envelope.signatures[0].sig",
            expected=f"the signature of key {key.key_id[:16]}… over the payload",
            found="one that does not match",
        )
    return key


def _signed_payload(bundle: Bundle) -> Payload:
    """The payload in the signed statement, when the statement is byte for byte the one that this payload gives."""
    body = bundle.envelope.body
    try:
        sealed = orjson.loads(body)["predicate"]["sigmaCertificate"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise _malformed_statement("an in-toto statement with a sigmaCertificate", shown(body)) from None
    try:
        payload = Payload.of(sealed)
    except (PayloadError, NotCanonical) as error:
        raise _malformed_statement("a certificate of this version", error.message) from None
    if statement_bytes(payload) != body:
        raise _why_statement_differs(body, payload)
    return payload


def _why_statement_differs(body: bytes, payload: Payload) -> VerificationError:
    try:
        statement: Any = parse_canonical_json(body)
    except NotCanonical as error:
        return VerificationError(
            Refusal.NOT_CANONICAL, "statement", expected="canonical JSON (RFC 8785)", found=error.message
        )
    if statement.get("subject") != subject_of(payload):
        return VerificationError(
            Refusal.SUBJECT_MISMATCH,
            "statement.subject",
            expected="the package of the sealed payload",
            found=shown(statement.get("subject")),
        )
    return _malformed_statement("the statement that follows from its payload", "another")


def _malformed_statement(expected: str, found: str) -> VerificationError:
    return VerificationError(Refusal.STATEMENT_MALFORMED, "statement", expected=expected, found=found)


def _check_agreement(bundle: Bundle, payload: Payload) -> None:
    files_hash = tree_hash_of(payload.document["files"])
    agreements = (
        (Refusal.SUBJECT_MISMATCH, "payload.files", payload.document["treeHash"], files_hash),
        (Refusal.PAYLOAD_HASH_MISMATCH, "payloadHash", payload.hash, bundle.payload_hash),
        (Refusal.REPLAY_MISMATCH, "replay.roundId", payload.round_id, bundle.round_id),
    )
    for refusal, place, expected, found in agreements:
        if expected != found:
            raise VerificationError(refusal, place, expected=expected, found=shown(found))


def _check_time(payload: Payload, key: TrustedKey, at: datetime) -> None:
    """Issued while its key was in use, and good at ``at``: both times half-open, the end excluded."""
    issued, expires = payload.document["issuedAt"], payload.document["expiresAt"]
    if payload.issued_at < key.valid_from:
        in_use = f"a date from {iso_utc(key.valid_from)}, when its key came into use"
        raise VerificationError(Refusal.KEY_NOT_YET_VALID, "issuedAt", expected=in_use, found=issued)
    if key.valid_until is not None and payload.issued_at >= key.valid_until:
        in_use = f"a date before {iso_utc(key.valid_until)}, when its key went out of use"
        raise VerificationError(Refusal.KEY_EXPIRED, "issuedAt", expected=in_use, found=issued)
    if at < payload.issued_at:
        raise VerificationError(Refusal.NOT_YET_VALID, "issuedAt", expected=f"at most {iso_utc(at)}", found=issued)
    if at >= payload.expires_at:
        raise VerificationError(Refusal.EXPIRED, "expiresAt", expected=f"later than {iso_utc(at)}", found=expires)


def _check_status(payload: Payload) -> None:
    if payload.status is not CertificateStatus.APPROVED:
        raise VerificationError(Refusal.STATUS_NOT_APPROVED, "status", expected="APPROVED", found=payload.status.value)


def _check_package(payload: Payload, package: Package) -> None:
    """The package's files are the certified ones: same paths, bytes and executable bits."""
    if package.tree_hash == payload.document["treeHash"]:
        return
    certified = {file["path"]: file for file in payload.document["files"]}
    present = {file["path"]: file for file in package.tree}
    name = package.manifest.get("name") or package.source_name
    if name != payload.document["skillName"] and not any(certified.get(file["path"]) == file for file in package.tree):
        raise VerificationError(
            Refusal.SUBJECT_MISMATCH,
            "package",
            expected=f"the files of {shown(payload.document['skillName'])}, tree {payload.document['treeHash']}",
            found=f"{shown(name)}, which has no file in common with it, tree {package.tree_hash}",
        )
    raise DriftError(
        changed=tuple(sorted(path for path in present.keys() & certified.keys() if present[path] != certified[path])),
        added=tuple(sorted(present.keys() - certified.keys())),
        removed=tuple(sorted(certified.keys() - present.keys())),
    )

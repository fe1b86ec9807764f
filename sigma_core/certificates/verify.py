"""Verify a certificate bundle offline, with nothing but the bundle, trusted public keys and, for its status, status lists.

Importable alone: no database, no network, no policy file. What became of a certificate after issue (suspended, revoked) is
known as of the status lists that one brings, and not at all without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from sigma_core.canonical import NotCanonical, parse_canonical_json
from sigma_core.certificates.bundle import Bundle
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.cosignature import Cosignature
from sigma_core.certificates.log.entry import certificate_entry
from sigma_core.certificates.log.history import begins_with, contradiction, newest_of
from sigma_core.certificates.log.proof import LogProof
from sigma_core.certificates.log.refusals import LogError, NoteError
from sigma_core.certificates.log.tree import Read
from sigma_core.certificates.payload import Payload, tree_hash_of
from sigma_core.certificates.payload_shape import PayloadError
from sigma_core.certificates.refusals import DriftError, Refusal, VerificationError, shown
from sigma_core.certificates.statement import PAYLOAD_TYPE, statement_bytes, subject_of
from sigma_core.certificates.status_list import ENTRIES, PURPOSES, StatusList, list_uri
from sigma_core.certificates.trust import check_in_use, signer_of
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.submissions.package import Package
from sigma_core.timestamps import iso_utc

MAX_STATUS_LISTS = 16
MAX_CHECKPOINTS = 64


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle that a trusted key signed, with its payload: genuine, which says nothing about its time or status."""

    bundle: Bundle
    payload: Payload
    key: TrustedKey


@dataclass(frozen=True, slots=True)
class Verified:
    """A certificate that passed.

    ``checks`` are sentences about what was checked, in order, for printing. ``checkpoint`` is the log's, None for a certificate
    from before there was a log. ``status_as_of`` is the time of the status lists that cleared it, None where none was at hand.
    ``uncompared`` are the sizes of known checkpoints of which nothing at hand shows whether they tell the same history.
    """

    payload: Payload
    key_id: str
    checks: tuple[str, ...]
    checkpoint: Checkpoint | None = None
    status_as_of: datetime | None = None
    uncompared: tuple[int, ...] = ()


def open_bundle(bundle_bytes: bytes, trusted_keys: KeySet) -> Opened:
    """The payload of a bundle: the one way to it. Every byte is accounted for, and a trusted key signed it in its time.

    Raises VerificationError, whose code names the first check that does not hold.
    """
    bundle = Bundle.parse(bundle_bytes)
    key = signer_of(bundle.envelope, PAYLOAD_TYPE, trusted_keys)
    payload = _signed_payload(bundle)
    _check_agreement(bundle, payload)
    check_in_use(key, payload.issued_at, "issuedAt")
    return Opened(bundle, payload, key)


def verify_bundle(
    bundle_bytes: bytes,
    trusted_keys: KeySet,
    *,
    at: datetime,
    package: Package | None = None,
    status_lists: Sequence[bytes] = (),
    known_checkpoints: Sequence[bytes] = (),
    log: Read | None = None,
) -> Verified:
    """Check a bundle against ``trusted_keys`` as of the instant ``at`` (aware).

    ``package`` is held against the certificate file by file; ``status_lists`` are files of which those that are about this
    certificate count; ``known_checkpoints`` are notes of the log seen elsewhere, which must tell the same history: where sizes
    differ, the files of the ``log`` or of a copy show whether they do, and without them that is said.

    Raises VerificationError, whose code names the first check that does not hold.
    """
    opened = open_bundle(bundle_bytes, trusted_keys)
    payload, key = opened.payload, opened.key
    _check_time(payload, at)
    checkpoint, uncompared, logged = _check_log(opened, trusted_keys, known_checkpoints, log)
    _check_status(payload)
    as_of, status = _check_status_lists(payload, trusted_keys, status_lists, at)
    checks = [
        f"the bundle is canonical and well-formed ({len(bundle_bytes)} bytes)",
        f"the trusted key {key.key_id[:16]}… signed it",
        "statement, subject and file list agree with the sealed payload",
        f"the payload hash is {payload.hash}",
        f"its round {payload.round_id} is the one that its replay reference names",
        f"the key was in use when it was issued, at {iso_utc(payload.issued_at)}",
        f"it is good at {iso_utc(at)} and until {iso_utc(payload.expires_at)}",
        logged,
        "it was approved",
        status,
    ]
    if package is not None:
        _check_package(payload, package)
        checks.append(f"the {len(package.files)} files at hand are exactly the certified ones")
    return Verified(payload, key.key_id, tuple(checks), checkpoint, as_of, uncompared)


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


def _check_time(payload: Payload, at: datetime) -> None:
    """Good at ``at``: the time is half-open, the end excluded."""
    issued, expires = payload.document["issuedAt"], payload.document["expiresAt"]
    if at < payload.issued_at:
        raise VerificationError(Refusal.NOT_YET_VALID, "issuedAt", expected=f"at most {iso_utc(at)}", found=issued)
    if at >= payload.expires_at:
        raise VerificationError(Refusal.EXPIRED, "expiresAt", expected=f"later than {iso_utc(at)}", found=expires)


def _check_log(
    opened: Opened, trusted_keys: KeySet, known_checkpoints: Sequence[bytes], log: Read | None
) -> tuple[Checkpoint | None, tuple[int, ...], str]:
    """The checkpoint under which the log holds this certificate, sizes of known ones that are not compared with it, and a sentence."""
    origin, proof = opened.payload.transparency_log, opened.bundle.log_proof
    if origin is None:
        if proof is not None:
            raise VerificationError(
                Refusal.PROOF_INVALID, "logProof", expected="none: the certificate names no log", found="a proof"
            )
        return None, (), "it carries no log proof: it was issued before its issuer kept a public log"
    if proof is None:
        raise VerificationError(
            Refusal.PROOF_MISSING, "logProof", expected=f"a proof of the log {shown(origin)}", found="none"
        )
    checkpoint = _trusted_checkpoint(proof, origin, trusted_keys, opened.payload.issued_at)
    if not proof.proves(certificate_entry(opened.payload, opened.key.key_id)):
        raise VerificationError(
            Refusal.PROOF_INVALID,
            "logProof",
            expected=f"a proof that this certificate is entry {proof.index} of {checkpoint.size}",
            found="hashes that lead elsewhere",
        )
    uncompared, compared = _check_same_view(checkpoint, trusted_keys, known_checkpoints, log)
    seen = "".join(
        f", cosigned by {shown(each.witness)} at {iso_utc(each.at)}" for each in _cosignatures(proof, trusted_keys)
    )
    told = f"it is entry {proof.index} of {checkpoint.size} in the log {shown(origin)}{seen}{compared}"
    return checkpoint, uncompared, told


def _trusted_checkpoint(proof: LogProof, origin: str, trusted_keys: KeySet, issued_at: datetime) -> Checkpoint:
    keys = trusted_keys.log_keys(origin)
    if not keys:
        raise VerificationError(
            Refusal.LOG_UNKNOWN,
            "transparencyLog",
            expected=f"one of {len(trusted_keys.logs)} trusted logs",
            found=shown(origin),
        )
    checkpoint = proof.checkpoint
    try:
        signed = checkpoint.origin == origin and proof.signers(keys)
    except NoteError as error:
        raise _bad_checkpoint(origin, error.message) from None
    if not signed:
        raise _bad_checkpoint(origin, f"one of {shown(checkpoint.origin)} without its signature")
    if not proof.signers([key for key in keys if key.in_use_at(issued_at)]):
        raise VerificationError(
            Refusal.KEY_EXPIRED,
            "logProof",
            expected=f"a checkpoint signed by a key of {shown(origin)} that was in use at {iso_utc(issued_at)}",
            found="one that only a key signed which went out of use before",
        )
    return checkpoint


def _cosignatures(proof: LogProof, trusted_keys: KeySet) -> list[Cosignature]:
    try:
        return [Cosignature.of(line) for line in proof.signers(trusted_keys.witnesses)]
    except NoteError as error:
        raise _bad_checkpoint("a witness", error.message) from None


def _bad_checkpoint(signer: str, found: str) -> VerificationError:
    return VerificationError(
        Refusal.CHECKPOINT_INVALID, "logProof", expected=f"a checkpoint signed by {shown(signer)}", found=found
    )


def _check_same_view(
    checkpoint: Checkpoint, trusted_keys: KeySet, known_checkpoints: Sequence[bytes], log: Read | None
) -> tuple[tuple[int, ...], str]:
    """Sizes of the known checkpoints that nothing at hand compares with this one, and a sentence about the rest."""
    if len(known_checkpoints) > MAX_CHECKPOINTS:
        raise VerificationError(
            Refusal.CHECKPOINT_INVALID,
            "checkpoints",
            expected=f"at most {MAX_CHECKPOINTS}",
            found=str(len(known_checkpoints)),
        )
    keys = trusted_keys.log_keys(checkpoint.origin)
    try:
        known = [Checkpoint.open(note, *keys) for note in known_checkpoints]
        newest = None if log is None else newest_of(log, keys)
    except NoteError as error:
        raise _bad_checkpoint(checkpoint.origin, error.message) from None
    except LogError as error:
        raise _unproved(error) from None
    views = [checkpoint, *known]
    if (clash := contradiction(views)) is not None:
        raise _split_view(*clash)
    if log is None or newest is None:
        others = tuple(sorted({each.size for each in known} - {checkpoint.size}))
        sizes = ", ".join(str(size) for size in others)
        return others, f"; that of {sizes} entries cannot be compared with it without the log's files" if others else ""
    for each in sorted(views, key=lambda view: view.size):
        try:
            agrees = begins_with(newest, each, log)
        except LogError as error:
            raise _unproved(error) from None
        if not agrees:
            raise _split_view(each, newest)
    return (), f"; all {len(views) + 1} checkpoints at hand tell one history, up to {newest.size} entries"


def _split_view(one: Checkpoint, other: Checkpoint) -> VerificationError:
    return VerificationError(
        Refusal.SPLIT_VIEW,
        "logProof",
        expected=f"one history, as of {one.size} entries with the root {one.root.hex()}",
        found=f"another, of {other.size} with {other.root.hex()}",
    )


def _unproved(error: LogError) -> VerificationError:
    return VerificationError(
        Refusal.CHECKPOINT_INVALID, "log", expected="the log's files, up to every checkpoint", found=error.message
    )


def _check_status(payload: Payload) -> None:
    if payload.status is not CertificateStatus.APPROVED:
        raise VerificationError(Refusal.STATUS_NOT_APPROVED, "status", expected="APPROVED", found=payload.status.value)


def _check_status_lists(
    payload: Payload, trusted_keys: KeySet, files: Sequence[bytes], at: datetime
) -> tuple[datetime | None, str]:
    """As of when every status list clears the certificate, and a sentence about it."""
    entry = payload.status_list
    if entry is None:
        return None, "it names no status list: whether it was suspended or revoked since only its issuer can say"
    if len(files) > MAX_STATUS_LISTS:
        raise VerificationError(
            Refusal.STATUS_LIST_INVALID, "statusList", expected=f"at most {MAX_STATUS_LISTS}", found=str(len(files))
        )
    wanted = {list_uri(entry.uri, status): status for status in PURPOSES}
    lists: dict[CertificateStatus, StatusList] = {}
    for data in files:
        listed = StatusList.open(data, trusted_keys)
        if wanted.get(listed.uri) is not listed.status:
            continue
        listed.check_current(at)
        if entry.index >= ENTRIES:
            raise VerificationError(
                Refusal.STATUS_LIST_INVALID, "statusList.index", expected=f"below {ENTRIES}", found=str(entry.index)
            )
        newest = max(listed, lists.get(listed.status, listed), key=lambda each: each.valid_from)
        lists[listed.status] = newest
    for status in PURPOSES:
        if status in lists and lists[status].holds(entry.index):
            raise VerificationError(
                Refusal(status.value),
                "status",
                expected=f"no {PURPOSES[status]} at entry {entry.index}",
                found=f"one, in the list of {iso_utc(lists[status].valid_from)}",
            )
    if not files:
        return None, f"no status list is at hand: whether it was suspended or revoked since is at {shown(entry.uri)}"
    if missing := [uri for uri, status in wanted.items() if status not in lists]:
        raise VerificationError(
            Refusal.STATUS_LIST_INVALID, "statusList", expected=f"the list {shown(missing[0])}", found="others only"
        )
    as_of = min(listed.valid_from for listed in lists.values())
    return as_of, f"it is neither suspended nor revoked in the status lists of {iso_utc(as_of)}"


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

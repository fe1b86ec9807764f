"""The monitor of the log: everything that was published, recomputed and held against what is on record.

It trusts no file: entries come from the published bundles, roots from the entries, and every checkpoint ever signed must be the
root of its size. It returns what it found instead of raising at the first fault, so that an operator sees all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
from sqlalchemy import select

from sigma_core.assembly.merkle import leaf_hash
from sigma_core.certificates.log.append import audit
from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.entry import EntryKind
from sigma_core.certificates.log.refusals import LogError, NoteError
from sigma_core.certificates.log.tree import TiledTree
from sigma_core.certificates.status_list import PURPOSES, StatusList
from sigma_core.certificates.verify import open_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment
from sigma_core.errors import SigmaError
from sigma_core.lifecycle.status_lists import current_lists, list_file
from sigma_core.lifecycle.transparency import BATCH, published_tree
from sigma_core.storage.protocol import CertificateRow, LogCheckpointRow, LogEntryRow, RoundRow
from sigma_core.timestamps import utc_now

MAX_FAULTS = 100


@dataclass(frozen=True, slots=True)
class LogAudit:
    """What the monitor looked at, and what does not hold (at most `MAX_FAULTS` sentences)."""

    size: int
    checkpoints: int
    certificates: int
    faults: tuple[str, ...]


def audit_log(deployment: Deployment) -> LogAudit:
    """Recompute the published log, every checkpoint, and what certificates and log say of each other."""
    with deployment.read_sessions() as session:
        checkpoints = list(session.scalars(select(LogCheckpointRow).order_by(LogCheckpointRow.size)))
        certificates = {row.id: row for row in session.scalars(select(CertificateRow).order_by(CertificateRow.id))}
        reruns = frozenset(session.scalars(select(RoundRow.id).where(RoundRow.number > 1)))
    size = checkpoints[-1].size if checkpoints else 0
    faults: list[str] = []
    for fault in _faults(deployment, checkpoints, certificates, reruns, size):
        faults.append(fault)
        if len(faults) == MAX_FAULTS:
            break
    return LogAudit(size, len(checkpoints), len(certificates), tuple(faults))


def _faults(
    deployment: Deployment,
    checkpoints: list[LogCheckpointRow],
    certificates: dict[str, CertificateRow],
    reruns: frozenset[str],
    size: int,
) -> Iterator[str]:
    tree = published_tree(deployment, size)
    published = deployment.log_folder.checkpoint()
    if checkpoints and published != checkpoints[-1].note:
        yield "the published checkpoint is not the newest that was signed"
    try:
        audit(tree, bytes.fromhex(checkpoints[-1].root) if checkpoints else tree.root())
        yield from _checkpoint_faults(deployment, tree, checkpoints)
        yield from _entry_faults(deployment, tree, certificates, reruns)
    except LogError as error:
        yield error.message


def _checkpoint_faults(deployment: Deployment, tree: TiledTree, checkpoints: list[LogCheckpointRow]) -> Iterator[str]:
    """Every checkpoint is signed and is the root of its size in the tree of today: so each is consistent with each."""
    keys = deployment.trusted_keys.log_keys(deployment.log_origin)
    for row in checkpoints:
        try:
            checkpoint = Checkpoint.open(row.note, *keys)
        except NoteError as error:
            yield f"checkpoint of {row.size} entries: {error.message}"
            continue
        if (checkpoint.size, checkpoint.root.hex()) != (row.size, row.root):
            yield f"checkpoint of {row.size} entries: the note says something else than the record"
        elif tree.root(row.size) != checkpoint.root:
            yield f"checkpoint of {row.size} entries: the log of today does not begin with it"


def _entry_faults(
    deployment: Deployment, tree: TiledTree, certificates: dict[str, CertificateRow], reruns: frozenset[str]
) -> Iterator[str]:
    """Published entries are those on record; certificates and their statuses are those that the log tells; no re-run was drawn
    before the log had it."""
    unlogged = set(certificates)
    bound: set[str] = set()
    status: dict[str, str] = {}
    recorded_rows = _recorded(deployment, tree.size)
    for published, (index, kind, subject, recorded) in zip(tree.entries(), recorded_rows, strict=True):
        if published != recorded or leaf_hash(recorded) != tree.leaf(index):
            yield f"entry {index}: published otherwise than recorded"
        elif kind == EntryKind.CERTIFICATE and subject in certificates:
            unlogged.discard(subject)
            certified = certificates[subject]
            if orjson.loads(recorded)["payloadHash"] != certified.payload_hash:
                yield f"entry {index}: another payload than that of {subject}"
            if certified.round_id in reruns and certified.round_id not in bound:
                yield f"entry {index}: {certified.round_id} is a re-run that no earlier entry binds"
        elif kind == EntryKind.RE_RUN:
            bound.add(subject)
        elif kind == EntryKind.STATUS:
            status[subject] = orjson.loads(recorded)["after"]
    for identifier, row in certificates.items():
        if identifier in unlogged and _names_a_log(deployment, row):
            yield f"{identifier} is not in the log"
        if row.status != status.get(identifier, CertificateStatus.APPROVED.value):
            yield f"{identifier} is {row.status}, which the log does not tell"


def _recorded(deployment: Deployment, size: int) -> Iterator[tuple[int, str, str, bytes]]:
    """(index, kind, subject, entry) of the first ``size`` entries on record. Raises LogError when one is missing."""
    for start in range(0, size, BATCH):
        end = min(size, start + BATCH)
        with deployment.read_sessions() as session:
            rows = session.execute(
                select(LogEntryRow.index, LogEntryRow.kind, LogEntryRow.subject, LogEntryRow.entry)
                .where(LogEntryRow.index >= start, LogEntryRow.index < end)
                .order_by(LogEntryRow.index)
            ).all()
        if len(rows) != end - start:
            raise LogError(f"of the entries {start} to {end - 1} only {len(rows)} are on record")
        yield from ((index, kind, subject, entry) for index, kind, subject, entry in rows)


def _names_a_log(deployment: Deployment, row: CertificateRow) -> bool:
    """Certificates from before there was a log are in none, and say so."""

    opened = open_bundle(deployment.blobs.get(row.bundle_sha256), deployment.trusted_keys)
    return opened.payload.transparency_log is not None


def status_list_faults(deployment: Deployment) -> list[str]:
    """What does not hold of the published status lists: missing, unreadable, stale, or with other bits than the records say."""
    now, faults = utc_now(), []
    for wanted in current_lists(deployment, now):
        number = int(wanted.uri.rsplit("/", 2)[1])
        path = list_file(deployment.settings.status_lists, number, wanted.status)
        try:
            held = StatusList.open(path.read_bytes(), deployment.trusted_keys)
            held.check_current(now)
        except (OSError, SigmaError) as error:
            faults.append(f"{PURPOSES[wanted.status]} list {number}: {error}")
            continue
        if (held.uri, held.status, held.bits) != (wanted.uri, wanted.status, wanted.bits):
            faults.append(f"{PURPOSES[wanted.status]} list {number}: says otherwise than the records")
    return faults

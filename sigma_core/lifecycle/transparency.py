"""The transparency log of a deployment: entries in the database, static files made from them, checkpoints signed over those.

In this order, each step repeatable: an entry is committed to the database with its index; tiles and entry bundles are made durable;
the checkpoint is signed and committed; the checkpoint file is replaced. Whoever publishes next finishes what a crash left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import re2
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.certificates.log.append import append
from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.cosignature import add_cosignatures, witness_request
from sigma_core.certificates.log.entry import EntryKind
from sigma_core.certificates.log.note import NoteKey
from sigma_core.certificates.log.proof import LogProof
from sigma_core.certificates.log.refusals import LogError
from sigma_core.certificates.log.tree import EMPTY_ROOT, TiledTree
from sigma_core.deployment import Deployment
from sigma_core.storage.engine import one_at_a_time
from sigma_core.storage.protocol import LogCheckpointRow, LogEntryRow
from sigma_core.timestamps import utc_now

BATCH = 10_000
"""Entries that are turned into files at once: what bounds memory when a log is written anew."""


_LOG_PATH = re2.compile(
    r"checkpoint|tile/(?:entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{3}/){0,6}[0-9]{3}"
    r"(?:\.p/(?:[1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What is to be logged. ``key`` names it for ever: an entry of the same key is never appended twice."""

    key: str
    kind: EntryKind
    subject: str
    entry: bytes = field(repr=False)
    sealed_sha256: str | None = None


@contextmanager
def appending(deployment: Deployment) -> Iterator[Session]:
    """A transaction that may append: one at a time, so that indices have no gaps and are in the order of commits."""
    with one_at_a_time(deployment.protocol, "sigma log entries"), deployment.sessions.begin() as session:
        yield session


def append_entries(session: Session, entries: Sequence[NewEntry]) -> list[LogEntryRow]:
    """The rows of ``entries`` in the same order, appended where their keys are new; in a transaction of `appending`."""
    keys = [entry.key for entry in entries]
    known = {row.entry_key: row for row in session.scalars(select(LogEntryRow).where(LogEntryRow.entry_key.in_(keys)))}
    next_index = session.scalar(select(func.coalesce(func.max(LogEntryRow.index) + 1, 0))) or 0
    for entry in entries:
        if entry.key not in known:
            row = LogEntryRow(
                index=next_index,
                entry_key=entry.key,
                kind=entry.kind.value,
                subject=entry.subject,
                entry=entry.entry,
                sealed_sha256=entry.sealed_sha256,
                appended_at=utc_now(),
            )
            session.add(row)
            known[entry.key] = row
            next_index += 1
    return [known[key] for key in keys]


def publish_log(deployment: Deployment) -> Checkpoint:
    """Bring files and checkpoint up to the newest entry, and return that checkpoint. Publishing again changes nothing.

    Files that are missing are written anew from the entries. Raises LogError when the files or a checkpoint contradict the
    entries: LOG_ROLLED_BACK when entries that were published are gone, LOG_CORRUPT for files that were changed.
    """
    folder, origin = deployment.log_folder, deployment.log_origin
    with folder.lock(), one_at_a_time(deployment.protocol, "sigma log files"):
        keys = deployment.trusted_keys.log_keys(origin)
        with deployment.read_sessions() as session:
            newest = session.scalar(select(LogCheckpointRow).order_by(LogCheckpointRow.size.desc()).limit(1))
            size = session.scalar(select(func.count()).select_from(LogEntryRow)) or 0
        signed = Checkpoint(origin, 0, EMPTY_ROOT) if newest is None else Checkpoint.open(newest.note, *keys)
        _refuse_rollback(folder.checkpoint(), signed, size, keys)
        if newest is not None and size == signed.size:
            _restore_missing(deployment, signed)
            folder.publish(newest.note)
            return signed
        grown, written = _write_files(deployment, signed, size)
        now = utc_now()
        note = grown.sign(*deployment.log_keys_at(now))
        with deployment.sessions.begin() as session:
            session.add(LogCheckpointRow(size=grown.size, root=grown.root.hex(), note=note, signed_at=now))
        folder.publish(note)
        folder.drop_superseded(written)
        return grown


def newest_checkpoint(deployment: Deployment) -> LogCheckpointRow | None:
    """The last checkpoint that was signed, if there is one."""
    with deployment.read_sessions() as session:
        return session.scalar(select(LogCheckpointRow).order_by(LogCheckpointRow.size.desc()).limit(1))


def published_file(deployment: Deployment, path: str) -> bytes | None:
    """The log's file at ``path``, which a stranger may have written; None for what the format does not name or is not there."""
    return deployment.log_folder.read(path) if _LOG_PATH.fullmatch(path) else None


def is_published(deployment: Deployment, index: int) -> bool:
    """Whether entry ``index`` is under the checkpoint that everybody can read, and that is the newest."""
    newest = newest_checkpoint(deployment)
    return newest is not None and index < newest.size and deployment.log_folder.checkpoint() == newest.note


def published_tree(deployment: Deployment, size: int) -> TiledTree:
    """The tree of ``size`` entries over the log's files."""
    return TiledTree(size, deployment.log_folder.read)


def prove(deployment: Deployment, index: int) -> LogProof:
    """The proof of entry ``index`` under the newest checkpoint. Raises LogError, also when that does not reach it yet."""
    newest = newest_checkpoint(deployment)
    if newest is None or newest.size <= index:
        raise LogError(f"entry {index} is under no checkpoint yet", hint="publish the log first")
    tree = published_tree(deployment, newest.size)
    return LogProof(index, tree.inclusion_proof(index), newest.note)


def request_for_witness(deployment: Deployment, known_size: int) -> bytes:
    """What to send to a witness that knows the first ``known_size`` entries (c2sp.org/tlog-witness, ``add-checkpoint``)."""
    newest = newest_checkpoint(deployment)
    if newest is None or not 0 <= known_size <= newest.size:
        raise LogError(f"no checkpoint of {known_size} entries or more", hint="publish the log first")
    proof = published_tree(deployment, newest.size).consistency_proof(known_size)
    return witness_request(newest.note, known_size, proof)


def keep_cosignatures(deployment: Deployment, size: int, answer: bytes) -> LogCheckpointRow:
    """Add a witness's ``answer`` (signature lines) to the checkpoint of ``size``. Raises NoteError unless its key is in the key set,
    LogError when no checkpoint has that size."""
    with deployment.log_folder.lock(), deployment.sessions.begin() as session:
        row = session.get(LogCheckpointRow, size, with_for_update=True)
        if row is None:
            raise LogError(f"no checkpoint of {size} entries was signed")
        row.note = add_cosignatures(row.note, answer, deployment.trusted_keys.witnesses)
        newest = session.scalar(select(func.max(LogCheckpointRow.size)))
        session.flush()
        if size == newest:
            deployment.log_folder.publish(row.note)
    return row


def _refuse_rollback(published: bytes | None, signed: Checkpoint, size: int, keys: Sequence[NoteKey]) -> None:
    """What was published once is in the database: otherwise signing on would fork the log."""
    shown = signed if published is None else Checkpoint.open(published, *keys)
    if shown.size > signed.size or signed.size > size or (shown.size == signed.size and shown.root != signed.root):
        raise LogError(
            f"the log was published with {max(shown.size, signed.size)} entries, and the database holds {size} that differ",
            code="LOG_ROLLED_BACK",
            hint="the database was set back: restore a newer backup; signing on would show two histories",
        )


def _write_files(deployment: Deployment, signed: Checkpoint, size: int) -> tuple[Checkpoint, list[str]]:
    """Write the files from the signed tree to the tree of all ``size`` entries; returns that tree and their paths."""
    _restore_missing(deployment, signed)
    grown, written = signed, []
    for entries in _entries(deployment, signed.size, size):
        grown, names = _grow(deployment, grown, entries)
        written += names
    return grown, written


def _restore_missing(deployment: Deployment, signed: Checkpoint) -> None:
    """Write the signed tree anew where files of its right edge are gone, as after a move to another machine."""
    try:
        published_tree(deployment, signed.size).root()
        return
    except LogError as error:
        if error.code != "LOG_FILE_MISSING":
            raise
    tree = Checkpoint(signed.origin, 0, EMPTY_ROOT)
    for entries in _entries(deployment, 0, signed.size):
        tree, _ = _grow(deployment, tree, entries)
    if tree.root != signed.root:
        raise LogError(f"the {signed.size} entries in the database do not have the root of their signed checkpoint")


def _grow(deployment: Deployment, tree: Checkpoint, entries: Sequence[bytes]) -> tuple[Checkpoint, list[str]]:
    folder = deployment.log_folder
    appended = append(TiledTree(tree.size, folder.read), tree.root, entries)
    folder.write(appended.files)
    return Checkpoint(tree.origin, appended.size, appended.root), list(appended.files)


def _entries(deployment: Deployment, first: int, last: int) -> Iterator[list[bytes]]:
    for start in range(first, last, BATCH):
        with deployment.read_sessions() as session:
            yield list(
                session.scalars(
                    select(LogEntryRow.entry)
                    .where(LogEntryRow.index >= start, LogEntryRow.index < min(last, start + BATCH))
                    .order_by(LogEntryRow.index)
                )
            )

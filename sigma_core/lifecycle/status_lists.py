"""The published status lists: made from the certificates on record, signed again when a bit changes or half their time is over."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from sigma_core.certificates.payload import StatusListEntry
from sigma_core.certificates.refusals import VerificationError
from sigma_core.certificates.status_list import ENTRIES, MAX_FILE_BYTES, PURPOSES, StatusList, bits_of, list_uri
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.deployment import Deployment, public_base
from sigma_core.storage.files import write_whole
from sigma_core.storage.protocol import CertificateRow, StatusPositionRow
from sigma_core.timestamps import utc_now


def list_base(deployment: Deployment, number: int) -> str:
    """The ``uri`` that certificates in list ``number`` carry."""
    return f"{public_base(deployment.settings)}/status-lists/{number}"


def list_file(folder: Path, number: int, status: CertificateStatus) -> Path:
    """``<folder>/<number>/<purpose>``: served under the list's own address."""
    return folder / str(number) / PURPOSES[status]


def published_list(deployment: Deployment, number: int, purpose: str) -> bytes | None:
    """The list of ``purpose`` that was published under ``number``; None where there is none."""
    status = next((status for status, name in PURPOSES.items() if name == purpose), None)
    if status is None or number < 0:
        return None
    try:
        return list_file(deployment.settings.status_lists, number, status).read_bytes()
    except FileNotFoundError:
        return None


def publish_status_lists(deployment: Deployment, *, now: datetime | None = None) -> list[StatusList]:
    """Write the lists that changed or have less than half of their time left; returns those written.

    A list that is on disk and says what the records say is left as it is, so that caches stay good.
    """
    now = now or utc_now()
    written = []
    with deployment.log_folder.lock():
        for listed in current_lists(deployment, now):
            base, _, _purpose = listed.uri.rpartition("/")
            path = list_file(deployment.settings.status_lists, _number(base), listed.status)
            held = _held(deployment, path)
            if held is None or not _is_fresh(held, now) or not _says_the_same(held, listed):
                write_whole(path, listed.sign(deployment.signing_key_at(listed.valid_from)))
                written.append(listed)
    return written


def ensure_status_lists(deployment: Deployment, entry: StatusListEntry) -> None:
    """Publish the lists that ``entry`` points at unless they are out and fresh; asks no database when they are.

    What they say is not looked at: a change of status publishes them itself.
    """
    now = utc_now()
    for status in PURPOSES:
        held = _held(deployment, list_file(deployment.settings.status_lists, _number(entry.uri), status))
        if held is None or held.uri != list_uri(entry.uri, status) or not _is_fresh(held, now):
            publish_status_lists(deployment, now=now)
            return


def current_lists(deployment: Deployment, now: datetime) -> list[StatusList]:
    """What every list says by the records, good from ``now`` on."""
    with deployment.read_sessions() as session:
        last = session.scalar(select(func.max(StatusPositionRow.position)))
        rows = session.execute(
            select(CertificateRow.status, StatusPositionRow.position)
            .join(StatusPositionRow, StatusPositionRow.certificate_id == CertificateRow.id)
            .where(CertificateRow.status.in_([status.value for status in PURPOSES]))
        ).all()
    set_bits: dict[tuple[int, str], list[int]] = defaultdict(list)
    for status, position in rows:
        set_bits[position // ENTRIES, status].append(position % ENTRIES)
    rules = deployment.policy.certificate
    return [
        StatusList(
            uri=list_uri(list_base(deployment, number), status),
            status=status,
            valid_from=now,
            valid_until=now + timedelta(hours=rules.status_list_validity_hours),
            ttl=timedelta(seconds=rules.status_list_ttl_seconds),
            bits=bits_of(set_bits[number, status.value]),
        )
        for number in range(0 if last is None else last // ENTRIES + 1)
        for status in PURPOSES
    ]


def _number(base: str) -> int:
    return int(base.rsplit("/", 1)[1])


def _held(deployment: Deployment, path: Path) -> StatusList | None:
    """The list in the file, where a trusted key signed it."""
    try:
        with path.open("rb") as file:
            return StatusList.open(file.read(MAX_FILE_BYTES + 1), deployment.trusted_keys)
    except (FileNotFoundError, VerificationError):
        return None


def _is_fresh(held: StatusList, now: datetime) -> bool:
    return held.valid_from <= now < held.valid_until - (held.valid_until - held.valid_from) / 2


def _says_the_same(held: StatusList, wanted: StatusList) -> bool:
    return (held.uri, held.status, held.ttl, held.bits) == (wanted.uri, wanted.status, wanted.ttl, wanted.bits)

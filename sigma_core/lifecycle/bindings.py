"""What a round is bound to before its panels can be drawn: a beacon round without a value and, for a re-run, the weights.

A first round is bound by its submission. A re-run is bound here, by an entry in the transparency log that is under a published
checkpoint before the beacon round gets its value: how often somebody drew again is there for all to see. A binding must be
opened before the same submission can be bound again, so that nobody chooses among several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.certificates.log.entry import EntryKind, rerun_entry
from sigma_core.deployment import Deployment
from sigma_core.identifiers import round_id
from sigma_core.lifecycle.beacon import commitment_to, due_at, next_beacon_round
from sigma_core.lifecycle.transparency import NewEntry, append_entries, appending, is_published, publish_log
from sigma_core.storage.protocol import RoundBindingRow, RoundRow, SubmissionRow, WeightEpochRow
from sigma_core.timestamps import utc_now


@dataclass(frozen=True, slots=True)
class Binding:
    """The next round of a submission: its number and beacon round. ``weights_epoch`` is None for a first round, which takes the
    newest."""

    submission_id: str
    number: int
    beacon_chain: str
    beacon_round: int
    weights_epoch: int | None


def bind_next_rounds(deployment: Deployment, submission_ids: Sequence[str]) -> list[Binding]:
    """Bind the next round of each submission, or return how it is bound already; when this returns, the log says so publicly.

    Raises Unavailable when a value cannot be made, LogError when the log cannot be published.
    """
    bindings, newest = [], -1
    with deployment.read_sessions() as session:
        known = {submission_id: _known(session, submission_id) for submission_id in submission_ids}
    for submission_id in submission_ids:
        binding, index = known[submission_id] or _bound(deployment, submission_id)
        bindings.append(binding)
        newest = max(newest, index)
    if newest >= 0 and not is_published(deployment, newest):
        publish_log(deployment)
    return bindings


def last_due(deployment: Deployment, bindings: Sequence[Binding]) -> datetime | None:
    """When the last of these beacon rounds is due; None when none has a time."""
    times = [due_at(deployment, *place) for place in {(each.beacon_chain, each.beacon_round) for each in bindings}]
    return max((time for time in times if time is not None), default=None)


def _bound(deployment: Deployment, submission_id: str) -> tuple[Binding, int]:
    """The binding and the index of its log entry, made where it has none."""
    with appending(deployment) as session:
        # Another worker may have bound it since.
        return _known(session, submission_id) or _bind(deployment, session, submission_id)


def _known(session: Session, submission_id: str) -> tuple[Binding, int] | None:
    number = _next_number(session, submission_id)
    if number == 1:
        submission = session.get_one(SubmissionRow, submission_id)
        return Binding(submission_id, 1, submission.beacon_chain, submission.beacon_round, None), -1
    row = session.get(RoundBindingRow, (submission_id, number))
    if row is None:
        return None
    return Binding(submission_id, number, row.beacon_chain, row.beacon_round, row.weights_epoch), row.log_index


def _next_number(session: Session, submission_id: str) -> int:
    last = session.scalar(select(func.max(RoundRow.number)).where(RoundRow.submission_id == submission_id))
    return (last or 0) + 1


def _bind(deployment: Deployment, session: Session, submission_id: str) -> tuple[Binding, int]:
    number, now = _next_number(session, submission_id), utc_now()
    identifier = round_id(submission_id, number)
    submission = session.get_one(SubmissionRow, submission_id)
    epoch = session.scalars(select(WeightEpochRow).order_by(WeightEpochRow.epoch.desc()).limit(1)).one()
    chain, beacon_round = next_beacon_round(deployment, session)
    content = rerun_entry(
        round_id=identifier,
        round_number=number,
        submission_id=submission_id,
        tree_hash=submission.tree_hash,
        weights_merkle_root=epoch.merkle_root,
        beacon_chain=chain,
        beacon_round=beacon_round,
        beacon_commitment=commitment_to(deployment, session, chain, beacon_round),
        at=now,
    )
    entry = NewEntry(f"re-run/{identifier}", EntryKind.RE_RUN, identifier, content)
    [logged] = append_entries(session, [entry])
    session.flush()
    session.add(
        RoundBindingRow(
            submission_id=submission_id,
            number=number,
            beacon_chain=chain,
            beacon_round=beacon_round,
            weights_epoch=epoch.epoch,
            log_index=logged.index,
            bound_at=now,
        )
    )
    return Binding(submission_id, number, chain, beacon_round, epoch.epoch), logged.index

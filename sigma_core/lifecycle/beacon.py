"""The deployment's own beacon: its secret in a file, how far it is revealed in the database.

A submission is bound to the round after the last revealed one in the transaction that records it, and rounds are
revealed under the same row lock: no submission can end up bound to a value that is already out.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from sigma_core.assembly.beacon import BeaconValue, NotYet
from sigma_core.deployment import BEACON_ROUNDS, Deployment
from sigma_core.errors import SigmaError, Unavailable
from sigma_core.storage.protocol import BeaconChainRow, BeaconValueRow
from sigma_core.timestamps import utc_now


class BeaconSecretLost(SigmaError):
    """A round is bound to a chain whose secret is not in this deployment's key file."""

    code = "BEACON_SECRET_LOST"


def settle_beacon(deployment: Deployment) -> None:
    """Put the chain's anchor on record before the first submission is bound to it."""
    with deployment.read_sessions() as session:
        if session.scalar(select(BeaconChainRow.anchor).limit(1)) is not None:
            return
    anchor = deployment.beacon.chain_id
    with deployment.sessions.begin() as session:
        if session.get(BeaconChainRow, anchor) is None:
            session.add(BeaconChainRow(anchor=anchor, length=BEACON_ROUNDS, revealed_round=0, created_at=utc_now()))


def next_beacon_round(session: Session) -> tuple[str, int]:
    """(anchor, round): the earliest round that is not revealed, held until the transaction ends.

    Raises Unavailable when the chain is used up.
    """
    row = session.scalars(
        select(BeaconChainRow).order_by(BeaconChainRow.created_at.desc()).limit(1).with_for_update()
    ).one()
    if row.revealed_round >= row.length:
        raise Unavailable(f"all {row.length} rounds of the beacon chain are used", hint="start a new chain")
    return row.anchor, row.revealed_round + 1


def reveal(deployment: Deployment, session: Session, anchor: str, round_number: int) -> BeaconValue:
    """Make the value of ``round_number`` public (once) and return it. Raises BeaconSecretLost."""
    row = session.scalars(select(BeaconChainRow).where(BeaconChainRow.anchor == anchor).with_for_update()).one()
    public = session.get(BeaconValueRow, (anchor, round_number))
    if public is not None:
        return BeaconValue(anchor, round_number, public.value)
    if deployment.beacon.chain_id != anchor:
        raise BeaconSecretLost(
            f"beacon round {round_number} of chain {anchor[:16]}… cannot be revealed: its secret is not in "
            f"{deployment.settings.beacon_key}",
            hint="restore the key file, or re-run the submission as a new round",
        )
    value = deployment.beacon.reveal_to(round_number).value(round_number)
    assert not isinstance(value, NotYet)
    row.revealed_round = max(row.revealed_round, round_number)
    session.add(BeaconValueRow(chain=anchor, round=round_number, value=value.value, revealed_at=utc_now()))
    return value

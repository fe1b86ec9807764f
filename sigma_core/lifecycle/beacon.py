"""What panels are drawn from: the deployment's own hash chain, or the drand network of the policy (``SIGMA_BEACON``).

Own chain: the secret is in a file, how far it is revealed in the database. A submission is bound to the round after the last
revealed one in the transaction that records it, and rounds are revealed under the same row lock: no submission can end
up bound to a value that is already out. When a chain is used up, the next one is put on record before anything is bound to it.

drand: a submission is bound to the first round that is signed after now. Its value is fetched when it is due, verified offline and
kept with its signature; what was bound to it waits for it, and is never drawn from anything else.
"""

from __future__ import annotations

import importlib.util
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.assembly.beacon import BeaconChain, BeaconValue, HashChain, NotYet
from sigma_core.assembly.drand import DrandChain
from sigma_core.deployment import BEACON_ROUNDS, Deployment
from sigma_core.errors import SigmaError, Unavailable
from sigma_core.lifecycle.drand_relays import ask_relays
from sigma_core.policy import PolicyError
from sigma_core.storage.protocol import BeaconChainRow, BeaconValueRow, DrandChainRow, DrandRoundRow
from sigma_core.timestamps import iso_utc, utc_now


class BeaconSecretLost(SigmaError):
    """A round is bound to a chain whose secret is not in this deployment's key file."""

    code = "BEACON_SECRET_LOST"


class BeaconNotDue(Unavailable):
    """A round is bound to a beacon round that will be signed at ``due_at``."""

    code = "BEACON_NOT_DUE"

    def __init__(self, chain: str, round_number: int, due_at: datetime) -> None:
        super().__init__(
            f"the beacon round {round_number} of drand chain {chain[:16]}… is due at {iso_utc(due_at)}",
            hint="the round waits for it",
        )
        self.due_at = due_at


def settle_beacon(deployment: Deployment) -> None:
    """Put the chain on record before the first submission is bound to it.

    Raises PolicyError when drand is asked for and the policy's network is none or contradicts itself, Unavailable when its
    signatures cannot be verified here.
    """
    if deployment.settings.beacon == "drand":
        _settle_drand(deployment)
    else:
        _settle_own_chain(deployment)


def _settle_own_chain(deployment: Deployment) -> None:
    with deployment.read_sessions() as session:
        if session.scalar(select(BeaconChainRow.anchor).limit(1)) is not None:
            return
    anchor = deployment.own_beacon(0).chain_id
    with deployment.sessions.begin() as session:
        if session.get(BeaconChainRow, anchor) is None:
            session.add(_chain_row(anchor, utc_now()))


def _chain_row(anchor: str, now: datetime) -> BeaconChainRow:
    return BeaconChainRow(anchor=anchor, length=BEACON_ROUNDS, revealed_round=0, created_at=now)


def _settle_drand(deployment: Deployment) -> None:
    chain = drand_chain(deployment)
    if importlib.util.find_spec("py_ecc") is None:
        raise Unavailable(
            "SIGMA_BEACON=drand needs the package py_ecc, which verifies its signatures",
            code="BEACON_VERIFIER_MISSING",
            hint="install the extra sigma-verification[chain]",
        )
    with deployment.sessions.begin() as session:
        if session.get(DrandChainRow, chain.id) is None:
            session.add(DrandChainRow(id=chain.id, description=chain.as_json(), first_used_at=utc_now()))


def drand_chain(deployment: Deployment) -> DrandChain:
    """The drand network of the policy. Raises PolicyError."""
    network = deployment.policy.beacon.drand
    where = deployment.settings.policy_file
    if network is None:
        raise PolicyError(f"{where}: SIGMA_BEACON is drand, and the policy names no network", hint="add [beacon.drand]")
    chain = DrandChain(**network.model_dump(exclude={"chain_hash"}))
    if chain.id != network.chain_hash:
        raise PolicyError(f"{where}: beacon.drand.chain_hash is not the hash of that network, which is {chain.id}")
    return chain


def next_beacon_round(deployment: Deployment, session: Session) -> tuple[str, int]:
    """(chain, round): the earliest round whose value does not exist yet. On the own chain it is held until the transaction ends."""
    if deployment.settings.beacon == "drand":
        chain = drand_chain(deployment)
        latest = int(utc_now().timestamp()) + deployment.policy.beacon.max_clock_skew_seconds
        return chain.id, chain.first_round_after(latest)
    newest = select(BeaconChainRow).order_by(BeaconChainRow.created_at.desc()).limit(1).with_for_update()
    row = session.scalars(newest).one()
    if row.revealed_round >= row.length:
        # Whoever was first with the lock has made the next one.
        used_up, row = row, session.scalars(newest).one()
        if row is used_up:
            row = _chain_row(
                deployment.own_beacon(_own_chains(session)).chain_id,
                max(utc_now(), used_up.created_at + timedelta(milliseconds=1)),  # the newest, whatever the clock says
            )
            session.add(row)
    return row.anchor, row.revealed_round + 1


def _own_chains(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(BeaconChainRow)) or 0


def commitment_to(deployment: Deployment, session: Session, chain_id: str, round_number: int) -> str | None:
    """The published value that the value of ``round_number`` will hash to (64 hex digits). None on a drand chain, whose values
    nobody knows before."""
    if session.get(BeaconChainRow, chain_id) is None:
        return None
    return chain_id if round_number == 1 else _own_value(deployment, session, chain_id, round_number - 1).value


def public_chain(deployment: Deployment, chain_id: str) -> BeaconChain:
    """The public description of a chain that a submission of this deployment was bound to. Raises BeaconSecretLost."""
    with deployment.read_sessions() as session:
        if session.get(BeaconChainRow, chain_id) is not None:
            return HashChain(chain_id)
        row = session.get(DrandChainRow, chain_id)
    if row is None:
        raise BeaconSecretLost(f"beacon chain {chain_id[:16]}… is not on record here", hint="restore the database")
    return _described(row.description)


def _described(description: dict[str, Any]) -> DrandChain:
    return DrandChain(
        public_key=description["publicKey"],
        period_seconds=description["periodSeconds"],
        genesis_time=description["genesisTime"],
        group_hash=description["groupHash"],
        beacon_id=description["beaconId"],
    )


def due_at(deployment: Deployment, chain_id: str, round_number: int) -> datetime | None:
    """When a drand round is signed; None for the own chain, whose rounds are revealed when they are needed."""
    with deployment.read_sessions() as session:
        row = session.get(DrandChainRow, chain_id)
    return None if row is None else _described(row.description).signed_at(round_number)


def beacon_value(deployment: Deployment, chain_id: str, round_number: int) -> BeaconValue:
    """The value of a beacon round that something is bound to: revealed or fetched once, then the one that was kept.

    Raises BeaconNotDue, Unavailable when no relay gives the round, BeaconSecretLost.
    """
    with deployment.read_sessions() as session:
        known = kept_value(session, chain_id, round_number)
    if known is not None:
        return known
    chain = public_chain(deployment, chain_id)
    if isinstance(chain, DrandChain):
        return _fetched(deployment, chain, round_number)
    return _revealed(deployment, chain_id, round_number)


def check_relays(deployment: Deployment) -> None:
    """Ask the relays once for a round that was signed just now. Raises BeaconUnreachable, PolicyError."""
    chain = drand_chain(deployment)
    signed = max(1, chain.first_round_after(int(utc_now().timestamp())) - 2)
    ask_relays(deployment.settings.drand_urls, chain, signed, turns=1)


def kept_value(session: Session, chain_id: str, round_number: int) -> BeaconValue | None:
    """The value as it was kept, if the round is out here."""
    own = session.get(BeaconValueRow, (chain_id, round_number))
    if own is not None:
        return BeaconValue(chain_id, round_number, own.value)
    drand = session.get(DrandRoundRow, (chain_id, round_number))
    return None if drand is None else BeaconValue(chain_id, round_number, drand.value, drand.signature)


def _fetched(deployment: Deployment, chain: DrandChain, round_number: int) -> BeaconValue:
    due = chain.signed_at(round_number)
    if utc_now() < due:
        raise BeaconNotDue(chain.id, round_number, due)
    relayed = ask_relays(deployment.settings.drand_urls, chain, round_number)
    row = DrandRoundRow(
        chain=chain.id,
        round=round_number,
        value=relayed.value.value,
        signature=relayed.value.proof,
        relay=relayed.url,
        answer_sha256=deployment.blobs.put(relayed.answer),
        fetched_at=utc_now(),
    )
    with deployment.sessions.begin() as session:
        # Two workers may fetch it at once; a signature of a round is unique, so both have the same.
        session.merge(row)
    return relayed.value


def _revealed(deployment: Deployment, anchor: str, round_number: int) -> BeaconValue:
    """Make the value of a round of the own chain public, once."""
    with deployment.sessions.begin() as session:
        row = session.scalars(select(BeaconChainRow).where(BeaconChainRow.anchor == anchor).with_for_update()).one()
        public = session.get(BeaconValueRow, (anchor, round_number))
        if public is not None:
            return BeaconValue(anchor, round_number, public.value)
        value = _own_value(deployment, session, anchor, round_number)
        row.revealed_round = max(row.revealed_round, round_number)
        session.add(BeaconValueRow(chain=anchor, round=round_number, value=value.value, revealed_at=utc_now()))
    return value


def _own_value(deployment: Deployment, session: Session, anchor: str, round_number: int) -> BeaconValue:
    chains = (deployment.own_beacon(number) for number in range(_own_chains(session)))
    chain = next((chain for chain in chains if chain.chain_id == anchor), None)
    if chain is None:
        raise BeaconSecretLost(
            f"beacon round {round_number} of chain {anchor[:16]}… cannot be revealed: its secret is not in "
            f"{deployment.settings.beacon_key}",
            hint="restore the key file, or set SIGMA_BEACON=drand and re-run the submission as a new round",
        )
    value = chain.reveal_to(round_number).value(round_number)
    assert not isinstance(value, NotYet)
    return value

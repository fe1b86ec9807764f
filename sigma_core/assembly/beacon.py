"""The beacon: a value that nobody outside could know when a package was submitted, and that everybody can check
afterwards.

A submission is bound to the earliest round whose value does not exist yet; panels are drawn from that round's value
once it exists. Without it an author could rebuild the archive until the draw seats friends: at a third of the weight
some 45,000 rebuilds give an even chance of ten friendly seats.

The default is a hash chain that the deployment keeps itself. From a secret s come s, H(s), H(H(s)), … H^N(s); the
last one, the *anchor*, is published first and the value of round i is H^(N−i)(s). Each value hashes to the one before
it, so no value can be changed once the anchor is out, and the ones to come cannot be computed from those that are.
What it does not do: bind an operator who looks ahead at its own secret. A deployment that must answer that doubt uses
`sigma_core.assembly.drand`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from sigma_core.assembly.transcript import is_hex
from sigma_core.errors import ExitCode, SigmaError

_LINK = b"sigma-beacon-link-v1\x00"

PEBBLE_SPACING = 256
"""Every 256th link is kept: a value costs at most 255 hashes, and a chain of 65,536 rounds keeps 256 links."""

MAX_LENGTH = 1 << 22
"""Longest chain: bounds what checking a value from the anchor may cost (about two seconds)."""


class BeaconError(SigmaError):
    """A beacon value, chain or round number that breaks a rule."""

    code = "BEACON_INVALID"


class BeaconExhaustedError(SigmaError):
    """All rounds of a hash chain are used up."""

    code = "BEACON_EXHAUSTED"
    exit_code = ExitCode.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class BeaconValue:
    """The value of one round: 64 hex digits. ``proof`` is the signature (hex) where the chain signs, else empty."""

    chain_id: str
    round: int
    value: str
    proof: str = ""


@dataclass(frozen=True, slots=True)
class NotYet:
    """The answer for a round whose value does not exist yet."""

    round: int


class BeaconChain(Protocol):
    """What everybody knows of a chain: enough to check any of its values."""

    @property
    def id(self) -> str:
        """The chain's name, 64 hex digits that follow from its public description."""
        ...

    def verify(self, value: BeaconValue) -> None:
        """Raises BeaconError unless ``value`` is the chain's value of its round."""
        ...

    def as_json(self) -> dict[str, Any]:
        """The public description, with its ``kind``."""
        ...


def _link(value: bytes) -> bytes:
    return hashlib.sha256(_LINK + value).digest()


def _links(value: bytes, count: int) -> bytes:
    for _ in range(count):
        value = _link(value)
    return value


@dataclass(frozen=True, slots=True)
class HashChain:
    """The public side of a hash chain: its anchor (64 hex digits), which is also its name."""

    anchor: str

    @property
    def id(self) -> str:
        """The anchor."""
        return self.anchor

    def verify(self, value: BeaconValue, since: BeaconValue | None = None) -> None:
        """Hash ``value`` back to the anchor, or to ``since``, an earlier value that is known to be good.

        Raises BeaconError, naming the round.
        """
        known_round, known_value = (since.round, since.value) if since else (0, self.anchor)
        if value.chain_id != self.id or (since is not None and since.chain_id != self.id):
            raise BeaconError(f"beacon round {value.round} is of another chain than {self.id}")
        if not known_round < value.round <= MAX_LENGTH:
            raise BeaconError(f"beacon round {value.round} is not within {known_round + 1} … {MAX_LENGTH}")
        if not is_hex(value.value, 64) or value.proof:
            raise BeaconError(f"beacon round {value.round}: a hash chain's value is 64 hex digits without a proof")
        if _links(bytes.fromhex(value.value), value.round - known_round).hex() != known_value:
            raise BeaconError(f"beacon round {value.round}: the value does not hash back to round {known_round}")

    def as_json(self) -> dict[str, Any]:
        """``{kind, anchor}``."""
        return {"kind": "hash-chain", "anchor": self.anchor}


@dataclass(frozen=True, slots=True)
class HashChainBeacon:
    """The deployment's own chain. ``pebbles`` are secret: number k is H^(256·k)(s). ``revealed`` is the last round that
    is public (0 = only the anchor).

    Revealing is one step of its own: submissions bound to a round must be on record before `reveal_to` makes it
    public.
    """

    chain: HashChain
    length: int
    pebbles: tuple[bytes, ...] = field(repr=False)
    revealed: int = 0

    @classmethod
    def create(cls, secret: bytes, length: int) -> Self:
        """The chain of ``length`` rounds from a secret of 32 random bytes; costs ``length`` hashes. Raises
        BeaconError."""
        if len(secret) != 32:
            raise BeaconError("the secret of a beacon chain has 32 bytes")
        if not 1 <= length <= MAX_LENGTH:
            raise BeaconError(f"a beacon chain has 1 to {MAX_LENGTH} rounds, not {length}")
        pebbles = [secret]
        for _ in range((length - 1) // PEBBLE_SPACING):
            pebbles.append(_links(pebbles[-1], PEBBLE_SPACING))
        anchor = _links(pebbles[-1], length - (len(pebbles) - 1) * PEBBLE_SPACING)
        return cls(HashChain(anchor.hex()), length, tuple(pebbles))

    @property
    def chain_id(self) -> str:
        """The chain's anchor."""
        return self.chain.id

    def value(self, round_number: int) -> BeaconValue | NotYet:
        """The value of a revealed round. Raises BeaconError below round 1, BeaconExhaustedError after the last."""
        if round_number < 1:
            raise BeaconError(f"beacon rounds start at 1, not {round_number}")
        if round_number > self.length:
            raise BeaconExhaustedError(
                f"beacon chain {self.chain_id} ends at round {self.length}; there is no round {round_number}"
            )
        if round_number > self.revealed:
            return NotYet(round_number)
        pebble, steps = divmod(self.length - round_number, PEBBLE_SPACING)
        return BeaconValue(self.chain_id, round_number, _links(self.pebbles[pebble], steps).hex())

    def verify(self, value: BeaconValue) -> None:
        """Raises BeaconError unless ``value`` is this chain's value of its round."""
        self.chain.verify(value)

    def reveal_to(self, round_number: int) -> Self:
        """The beacon with rounds up to ``round_number`` public; what is public stays. Raises BeaconExhaustedError."""
        if round_number > self.length:
            raise BeaconExhaustedError(
                f"beacon chain {self.chain_id} ends at round {self.length}; there is no round {round_number}"
            )
        return replace(self, revealed=max(self.revealed, round_number))

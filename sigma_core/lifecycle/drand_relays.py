"""Asking drand relays for a round. They are not trusted: an answer whose signature does not verify is as good as none.

The HTTP interface is drand's: ``GET {relay}/{chain hash}/public/{round}`` (https://docs.drand.love/developer/http-api).
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sigma_core.assembly.beacon import BeaconError, BeaconValue
from sigma_core.assembly.drand import MAX_RELAY_BYTES, DrandChain, relayed_value
from sigma_core.errors import Unavailable
from sigma_core.safe_fetch import FetchError, FetchRules, fetch
from sigma_core.timestamps import iso_utc

TURNS = 3
"""How often each relay is asked."""
PAUSE_SECONDS = 1.0
"""Before a further turn; twice as long before each next one."""
RELAY_SECONDS = 5.0


class BeaconUnreachable(Unavailable):
    """No relay gave a round that is due."""

    code = "BEACON_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class Relayed:
    """A verified round, the relay that gave it, and its answer as it came."""

    value: BeaconValue
    url: str
    answer: bytes = field(repr=False)


def ask_relays(
    urls: Sequence[str],
    chain: DrandChain,
    round_number: int,
    *,
    turns: int = TURNS,
    pause: Callable[[float], None] = time.sleep,
) -> Relayed:
    """The round from the first relay that gives it rightly, each asked up to ``turns`` times. ``pause`` waits (seconds).

    Raises BeaconUnreachable, with what each relay said last, or Unavailable without py_ecc.
    """
    said: dict[str, str] = {}
    for turn in range(turns):
        if turn:
            pause(PAUSE_SECONDS * 2 ** (turn - 1))
        for url in urls:
            try:
                answer = fetch(f"{url}/{chain.id}/public/{round_number}", _rules(url)).body
                return Relayed(relayed_value(chain, round_number, answer), url, answer)
            except (FetchError, BeaconError) as error:
                said[url] = error.message
    raise BeaconUnreachable(
        f"the beacon round {round_number} of drand chain {chain.id[:16]}… was due at "
        f"{iso_utc(chain.signed_at(round_number))}, and no relay gave it: {'; '.join(said.values())}",
        hint="check the network and SIGMA_DRAND_URLS; the round waits for this value and is drawn from no other",
    )


def _rules(url: str) -> FetchRules:
    """A relay that the operator names by its address may be at that address, whatever it is."""
    try:
        named = frozenset({str(ipaddress.ip_address(urlsplit(url).hostname or ""))})
    except ValueError:
        named = frozenset()
    return FetchRules(max_bytes=MAX_RELAY_BYTES, seconds=RELAY_SECONDS, also_allowed=named)

"""A beacon that no single party knows in advance: drand, the League of Entropy's public randomness, or any network
like it.

Every ``period`` seconds a threshold of independent nodes signs the round number; the randomness is SHA-256 of that
signature and anyone can check it with the network's public key. Scheme ``bls-unchained-g1-rfc9380`` only: signatures
on G1 of BLS12-381, public keys on G2, the message is SHA-256 of the round number in 8 bytes. Formats:
https://drand.love/docs/ and RFC 9380.

Fetching is the caller's (`sigma_core.lifecycle.drand_relays`). Nothing of a relay's answer is trusted before the signature is
checked, which takes some 0.2 s of CPU and the package ``py_ecc`` (extra ``chain``).
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sigma_core.assembly.beacon import BeaconError, BeaconValue
from sigma_core.assembly.transcript import is_hex
from sigma_core.canonical import NotCanonical, parse_strict_json
from sigma_core.errors import Unavailable

SCHEME = "bls-unchained-g1-rfc9380"
_HASH_TO_CURVE_TAG = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
MAX_RELAY_BYTES = 4_096


@dataclass(frozen=True)
class DrandChain:
    """The public description of a drand network; times in whole seconds, genesis in seconds since 1970 UTC."""

    public_key: str
    period_seconds: int
    genesis_time: int
    group_hash: str
    beacon_id: str

    def __post_init__(self) -> None:
        if not is_hex(self.public_key, 192) or not is_hex(self.group_hash, 64):
            raise BeaconError("a drand chain has a public key of 192 and a group hash of 64 hex digits")
        if not 0 < self.period_seconds < 1 << 32 or not 0 <= self.genesis_time < 1 << 63:
            raise BeaconError("a drand chain has a period of at least one second and a genesis time since 1970")

    @cached_property
    def id(self) -> str:
        """The chain hash, recomputed as drand does: SHA-256(period ‖ genesis ‖ public key ‖ group hash ‖ beacon id)."""
        head = self.period_seconds.to_bytes(4, "big") + self.genesis_time.to_bytes(8, "big")
        name = b"" if self.beacon_id == "default" else self.beacon_id.encode()
        return hashlib.sha256(head + bytes.fromhex(self.public_key) + bytes.fromhex(self.group_hash) + name).hexdigest()

    def first_round_after(self, seconds: int) -> int:
        """The first round that is signed later than ``seconds`` since 1970; round 1 is signed at genesis."""
        return max(1, (seconds - self.genesis_time) // self.period_seconds + 2)

    def signed_at(self, round_number: int) -> datetime:
        """When the round is due, UTC."""
        return datetime.fromtimestamp(self.genesis_time + (round_number - 1) * self.period_seconds, UTC)

    def verify(self, value: BeaconValue) -> None:
        """Check the signature and the randomness. Raises BeaconError, or Unavailable where py_ecc is not installed."""
        where = f"drand round {value.round}"
        if value.chain_id != self.id:
            raise BeaconError(f"{where} is of another chain than {self.id}")
        if not 0 < value.round < 1 << 63:
            raise BeaconError(f"{where}: rounds start at 1")
        if not is_hex(value.proof, 96):
            raise BeaconError(f"{where}: the signature must be 96 hex digits")
        signature = bytes.fromhex(value.proof)
        if hashlib.sha256(signature).hexdigest() != value.value:
            raise BeaconError(f"{where}: the value is not the SHA-256 of the signature")
        message = hashlib.sha256(value.round.to_bytes(8, "big")).digest()
        if not _signature_holds(bytes.fromhex(self.public_key), message, signature):
            raise BeaconError(f"{where}: the signature does not verify under the chain's public key")

    def as_json(self) -> dict[str, Any]:
        """``{kind, publicKey, periodSeconds, genesisTime, groupHash, beaconId}``."""
        return {
            "kind": "drand",
            "publicKey": self.public_key,
            "periodSeconds": self.period_seconds,
            "genesisTime": self.genesis_time,
            "groupHash": self.group_hash,
            "beaconId": self.beacon_id,
        }


QUICKNET = DrandChain(
    public_key="83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
    "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a",
    period_seconds=3,
    genesis_time=1_692_803_367,
    group_hash="f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e",
    beacon_id="quicknet",
)
"""The League of Entropy's public network with a round every three seconds; chain hash 52db9ba7…e971."""


def relayed_value(chain: DrandChain, round_number: int, answer: bytes) -> BeaconValue:
    """The value in a relay's JSON ``{round, randomness, signature}``, verified. Raises BeaconError for any other answer, Unavailable
    without py_ecc."""
    value = _parse_relay_answer(chain.id, round_number, answer)
    chain.verify(value)
    return value


def _parse_relay_answer(chain_id: str, round_number: int, answer: bytes) -> BeaconValue:
    where = f"drand round {round_number}"
    if len(answer) > MAX_RELAY_BYTES:
        raise BeaconError(f"{where}: the relay's answer has more than {MAX_RELAY_BYTES} bytes")
    try:
        document = parse_strict_json(answer)
    except NotCanonical as error:
        raise BeaconError(f"{where}: the relay's answer is {error.message}") from None
    if not isinstance(document, dict) or type(document.get("round")) is not int or document["round"] != round_number:
        raise BeaconError(f"{where}: the relay answered another round")
    randomness, signature = document.get("randomness"), document.get("signature")
    if not isinstance(signature, str) or not isinstance(randomness, str):
        raise BeaconError(f"{where}: the relay's answer lacks randomness or signature")
    return BeaconValue(chain_id, round_number, randomness, signature)


def _signature_holds(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether e(signature, g2) = e(H(message), public key), both points of the right order and neither at infinity."""
    # py_ecc raises the interpreter's recursion limit to 100,000 when it is imported. With that, a deeply nested JSON
    # text of a hostile package would overflow the C stack instead of raising RecursionError.
    recursion_limit = sys.getrecursionlimit()
    try:
        from py_ecc.bls.g2_primitives import subgroup_check  # noqa: PLC0415 - 0.3 s, needed by few deployments
        from py_ecc.bls.hash_to_curve import hash_to_G1  # noqa: PLC0415
        from py_ecc.bls.point_compression import decompress_G1, decompress_G2  # noqa: PLC0415
        from py_ecc.bls.typing import G1Compressed, G2Compressed  # noqa: PLC0415
        from py_ecc.fields import optimized_bls12_381_FQ12 as FQ12  # noqa: PLC0415
        from py_ecc.optimized_bls12_381.optimized_curve import G2, is_inf, neg  # noqa: PLC0415
        from py_ecc.optimized_bls12_381.optimized_pairing import final_exponentiate, pairing  # noqa: PLC0415
    except ImportError:
        raise Unavailable(
            "verifying a drand signature needs the package py_ecc",
            code="BEACON_VERIFIER_MISSING",
            hint="install the extra sigma-verification[chain]",
        ) from None
    finally:
        sys.setrecursionlimit(recursion_limit)
    try:
        signed = decompress_G1(G1Compressed(int.from_bytes(signature, "big")))
        key = decompress_G2(
            G2Compressed((int.from_bytes(public_key[:48], "big"), int.from_bytes(public_key[48:], "big")))
        )
    except ValueError:
        return False
    if is_inf(signed) or is_inf(key) or not subgroup_check(signed) or not subgroup_check(key):
        return False
    # py_ecc annotates the hash constructor as an instance.
    hashed = hash_to_G1(message, _HASH_TO_CURVE_TAG, hashlib.sha256)  # type: ignore[arg-type]
    product = pairing(G2, signed, final_exponentiate=False) * pairing(key, neg(hashed), final_exponentiate=False)
    return bool(final_exponentiate(product) == FQ12.one())

"""DSSE envelope: exactly one Ed25519 signature over the pre-authentication encoding of a typed body.

Format: secure-systems-lab/dsse, protocol.md and envelope.md, version 1. Stricter than it asks: standard base64 with
padding only, one signature, its key id present. The key id is a hint that chooses a trusted key and proves nothing
by itself.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sigma_core.certificates.refusals import Refusal, VerificationError, shown

if TYPE_CHECKING:  # a verifier never loads what handles secret keys
    from sigma_core.certificates.signing_key import SigningKey

SIGNATURE_BYTES = 64
MAX_KEY_ID_CHARACTERS = 64


def pae(payload_type: str, body: bytes) -> bytes:
    """DSSE v1 pre-authentication encoding: each part with its length, so that neither can run into the other."""
    encoded = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(encoded), encoded, len(body), body)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed body. ``signature`` is 64 raw bytes."""

    payload_type: str
    body: bytes = field(repr=False)
    key_id: str
    signature: bytes = field(repr=False)

    @classmethod
    def sign(cls, payload_type: str, body: bytes, key: SigningKey) -> Envelope:
        """``body`` signed by ``key``."""
        return cls(payload_type, body, key.key_id, key.sign(pae(payload_type, body)))

    @property
    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return pae(self.payload_type, self.body)

    def as_json(self) -> dict[str, Any]:
        """``{payload, payloadType, signatures: [{keyid, sig}]}``."""
        return {
            "payload": b64encode(self.body).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": self.key_id, "sig": b64encode(self.signature).decode()}],
        }

    @classmethod
    def parse(cls, value: Any, place: str) -> Envelope:
        """The envelope in parsed JSON. Raises VerificationError BUNDLE_MALFORMED; checks form only, no signature."""
        _expect_object(value, {"payload", "payloadType", "signatures"}, place)
        signatures = value["signatures"]
        if not isinstance(signatures, list) or len(signatures) != 1:
            raise _malformed(f"{place}.signatures", "a list of exactly one signature", shown(signatures))
        _expect_object(signatures[0], {"keyid", "sig"}, f"{place}.signatures[0]")
        key_id, payload_type = signatures[0]["keyid"], value["payloadType"]
        if not isinstance(key_id, str) or not 0 < len(key_id) <= MAX_KEY_ID_CHARACTERS:
            raise _malformed(f"{place}.signatures[0].keyid", "a key id", shown(key_id))
        if not isinstance(payload_type, str):
            raise _malformed(f"{place}.payloadType", "a media type", shown(payload_type))
        signature = _strict_base64(signatures[0]["sig"], f"{place}.signatures[0].sig")
        if len(signature) != SIGNATURE_BYTES:
            raise _malformed(f"{place}.signatures[0].sig", f"{SIGNATURE_BYTES} bytes", f"{len(signature)} bytes")
        return cls(payload_type, _strict_base64(value["payload"], f"{place}.payload"), key_id, signature)


def _malformed(place: str, expected: str, found: str) -> VerificationError:
    return VerificationError(Refusal.BUNDLE_MALFORMED, place, expected=expected, found=found)


def _expect_object(value: Any, names: set[str], place: str) -> None:
    if not isinstance(value, dict) or value.keys() != names:
        found = ", ".join(shown(name, 20) for name in sorted(value)[:8]) if isinstance(value, dict) else shown(value)
        raise _malformed(place, f"an object with {', '.join(sorted(names))}", found or "nothing")


def _strict_base64(text: Any, place: str) -> bytes:
    """The bytes whose one standard base64 form is ``text``: decoding skips what it does not know, so the way back counts."""
    try:
        data = b64decode(text)
    except (TypeError, ValueError):
        data = None
    if data is None or b64encode(data).decode() != text:
        raise _malformed(place, "standard base64 with padding", shown(text))
    return data

"""Ed25519 held to one meaning: keys and signatures that some verifiers take and others refuse are refused.

Why: RFC 8032, section 5.1.7, leaves open what to do with keys of small order and with encodings beyond the field, and libraries differ
(Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs", 2020). With a key of small order one signature fits many messages.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
FIELD = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER_Y = frozenset({0, 1, FIELD - 1, _ORDER_8, FIELD - _ORDER_8})
"""The y coordinates of the eight points whose order divides the cofactor."""


def strict_public_key(raw: bytes) -> Ed25519PublicKey:
    """The key in 32 raw bytes. Raises ValueError for another length, a coordinate beyond the field, or a point of small order."""
    if len(raw) != PUBLIC_KEY_BYTES:
        raise ValueError(f"{len(raw)} bytes, not {PUBLIC_KEY_BYTES}")
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= FIELD:
        raise ValueError("its coordinate is beyond the field")
    if y in SMALL_ORDER_Y:
        raise ValueError("a point of small order")
    return Ed25519PublicKey.from_public_bytes(raw)


def signed(public_key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` is the one that the key's owner made over ``message``; S + L, a second form of it, is not."""
    if len(signature) != SIGNATURE_BYTES or int.from_bytes(signature[32:], "little") >= GROUP_ORDER:
        return False
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        return False
    return True

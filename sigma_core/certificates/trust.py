"""Who signed an envelope: the one place where a signature is held against trusted keys and their time."""

from __future__ import annotations

from datetime import datetime

from sigma_core.certificates.envelope import Envelope
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.refusals import Refusal, VerificationError, shown
from sigma_core.timestamps import iso_utc


def signer_of(envelope: Envelope, payload_type: str, trusted_keys: KeySet) -> TrustedKey:
    """The trusted key that signed ``envelope``.

    Raises VerificationError: MEDIA_TYPE_UNKNOWN, KEY_UNKNOWN or SIGNATURE_INVALID.
    """
    if envelope.payload_type != payload_type:
        raise VerificationError(
            Refusal.MEDIA_TYPE_UNKNOWN,
            "envelope.payloadType",
            expected=payload_type,
            found=shown(envelope.payload_type),
        )
    key = trusted_keys.by_id.get(envelope.key_id)
    if key is None:
        raise VerificationError(
            Refusal.KEY_UNKNOWN,
            "envelope.signatures[0].keyid",
            expected=f"one of {len(trusted_keys.by_id)} trusted keys",
            found=shown(envelope.key_id),
        )
    if not key.signed(envelope.signature, envelope.signed_bytes):
        raise VerificationError(
            Refusal.SIGNATURE_INVALID,
            "envelope.signatures[0].sig",
            expected=f"the signature of key {key.key_id[:16]}… over the payload",
            found="one that does not match",
        )
    return key


def check_in_use(key: TrustedKey, dated: datetime, place: str) -> None:
    """What ``key`` signed is dated within its time, which is half-open. Raises KEY_NOT_YET_VALID or KEY_EXPIRED."""
    if dated < key.valid_from:
        in_use = f"a date from {iso_utc(key.valid_from)}, when its key came into use"
        raise VerificationError(Refusal.KEY_NOT_YET_VALID, place, expected=in_use, found=iso_utc(dated))
    if key.valid_until is not None and dated >= key.valid_until:
        in_use = f"a date before {iso_utc(key.valid_until)}, when its key went out of use"
        raise VerificationError(Refusal.KEY_EXPIRED, place, expected=in_use, found=iso_utc(dated))

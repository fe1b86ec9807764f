"""Status lists: which certificates are suspended or revoked, as one bit each, signed and good for a short time.

Format: W3C Bitstring Status List v1.0, one list for each purpose, in a DSSE envelope like a certificate. A list under the
``uri`` of a certificate's ``statusList`` has the purpose as its last path segment; both have the same index. Bit 0 is the first
(most significant) bit of the first byte.
"""

from __future__ import annotations

import gzip
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sigma_core.canonical import NotCanonical, canonical_json, parse_canonical_json
from sigma_core.certificates.envelope import Envelope
from sigma_core.certificates.keyset import KeySet
from sigma_core.certificates.refusals import Refusal, VerificationError, shown
from sigma_core.certificates.trust import check_in_use, signer_of
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.timestamps import iso_utc, parse_iso_utc

if TYPE_CHECKING:  # a verifier never loads what handles secret keys
    from sigma_core.certificates.signing_key import SigningKey

PAYLOAD_TYPE = "application/vc"
MEDIA_TYPE = "application/vnd.sigma.status-list.v1+json"

ENTRIES = 131_072
"""Of every list: the least that the format allows, so that no list tells how many certificates there are."""

LIST_BYTES = ENTRIES // 8
MAX_FILE_BYTES = 64 * 1024
MAX_PUNCTUATION = 32
MAX_TTL = timedelta(days=7)

PURPOSES = {CertificateStatus.REVOKED: "revocation", CertificateStatus.SUSPENDED: "suspension"}
"""Which status each list shows; when a bit is set in both, the first counts."""

_CONTEXT = "https://www.w3.org/ns/credentials/v2"


def list_uri(base: str, status: CertificateStatus) -> str:
    """Address of the list for ``status``, one of `PURPOSES`, under the ``uri`` of a certificate."""
    return f"{base}/{PURPOSES[status]}"


@dataclass(frozen=True, slots=True)
class StatusList:
    """Which entries have ``status`` (a key of `PURPOSES`): ``bits`` is `LIST_BYTES` long.

    It is good from ``valid_from`` to ``valid_until``, the end excluded; a reader may keep it for ``ttl`` before it asks again.
    """

    uri: str
    status: CertificateStatus
    valid_from: datetime
    valid_until: datetime
    ttl: timedelta
    bits: bytes = field(repr=False)

    def holds(self, index: int) -> bool:
        """Whether the bit of entry ``index`` is set. Raises IndexError beyond the list."""
        if not 0 <= index < ENTRIES:
            raise IndexError(f"no entry {index} in a list of {ENTRIES}")
        return bool(self.bits[index // 8] & 0x80 >> index % 8)

    def sign(self, key: SigningKey) -> bytes:
        """The list's file: canonical JSON of the envelope."""
        body = canonical_json(_document(self, key.key_id, _encoded(self.bits)))
        return canonical_json(Envelope.sign(PAYLOAD_TYPE, body, key).as_json())

    @classmethod
    def open(cls, data: bytes, trusted_keys: KeySet) -> StatusList:
        """The list in the file ``data``, whoever's time it is (`current_at` is another check).

        Raises VerificationError: STATUS_LIST_INVALID, or what `signer_of` and `check_in_use` raise.
        """
        envelope = _parse_envelope(data)
        key = signer_of(envelope, PAYLOAD_TYPE, trusted_keys)
        found = _parse_document(envelope.body, key.key_id)
        check_in_use(key, found.valid_from, "statusList.validFrom")
        return found

    def check_current(self, at: datetime) -> None:
        """Raises VerificationError STATUS_LIST_STALE unless the list is good at ``at``."""
        if not self.valid_from <= at < self.valid_until:
            raise VerificationError(
                Refusal.STATUS_LIST_STALE,
                "statusList",
                expected=f"a list that is good at {iso_utc(at)}",
                found=f"one from {iso_utc(self.valid_from)} to {iso_utc(self.valid_until)}",
            )


def bits_of(indices: Iterable[int]) -> bytes:
    """A list with these entries set. Raises IndexError for one beyond it."""
    bits = bytearray(LIST_BYTES)
    for index in indices:
        if not 0 <= index < ENTRIES:
            raise IndexError(f"no entry {index} in a list of {ENTRIES}")
        bits[index // 8] |= 0x80 >> index % 8
    return bytes(bits)


def _document(listed: StatusList, key_id: str, encoded: str) -> dict[str, Any]:
    return {
        "@context": [_CONTEXT],
        "id": listed.uri,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": f"urn:sigma:key:{key_id}",
        "validFrom": iso_utc(listed.valid_from),
        "validUntil": iso_utc(listed.valid_until),
        "credentialSubject": {
            "id": f"{listed.uri}#list",
            "type": "BitstringStatusList",
            "statusPurpose": PURPOSES[listed.status],
            "encodedList": encoded,
            "ttl": listed.ttl // timedelta(milliseconds=1),
        },
    }


def _encoded(bits: bytes) -> str:
    """Multibase base64url (``u``) of the gzip form."""
    return "u" + urlsafe_b64encode(gzip.compress(bits, mtime=0)).decode().rstrip("=")


def _decoded(text: Any) -> bytes:
    """The bits, never more than a list has, whatever the text unpacks to."""
    place = "statusList.encodedList"
    if not isinstance(text, str) or not text.startswith("u"):
        raise _invalid(place, "multibase base64url", shown(text))
    try:
        packed = urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4))
        unpack = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # gzip only
        bits = unpack.decompress(packed, LIST_BYTES + 1)
    except (ValueError, zlib.error) as error:
        raise _invalid(place, "gzip in base64url", shown(str(error))) from None
    if urlsafe_b64encode(packed).decode().rstrip("=") != text[1:]:
        raise _invalid(place, "the one base64url form", shown(text))
    if len(bits) != LIST_BYTES or not unpack.eof or unpack.unused_data:
        found = "more" if len(bits) > LIST_BYTES or unpack.unused_data else f"{len(bits)}"
        raise _invalid(place, f"exactly {LIST_BYTES} bytes of bits", found)
    return bits


def _parse_envelope(data: bytes) -> Envelope:
    if len(data) > MAX_FILE_BYTES:
        raise _invalid("statusList", f"at most {MAX_FILE_BYTES} bytes", f"{len(data)} bytes")
    punctuation = sum(map(data.count, (b"{", b"[", b",")))
    if punctuation > MAX_PUNCTUATION:
        raise _invalid("statusList", f"at most {MAX_PUNCTUATION} brackets and commas", str(punctuation))
    try:
        return Envelope.parse(parse_canonical_json(data), "statusList")
    except NotCanonical as error:
        raise _invalid("statusList", "canonical JSON (RFC 8785)", error.message) from None
    except VerificationError as error:
        raise _invalid(error.place, error.expected, error.found) from None


def _parse_document(body: bytes, key_id: str) -> StatusList:
    """The list in a signed body: the one whose document is exactly that body."""
    try:
        document: Any = parse_canonical_json(body)
        subject = document["credentialSubject"]
        purpose = subject["statusPurpose"]
        ttl = subject["ttl"]
        if type(ttl) is not int or not 0 <= ttl <= MAX_TTL // timedelta(milliseconds=1):
            raise _invalid("statusList.ttl", f"milliseconds up to {MAX_TTL.days} days", shown(ttl))
        found = StatusList(
            uri=str(document["id"]),
            status=next(status for status, name in PURPOSES.items() if name == purpose),
            valid_from=parse_iso_utc(document["validFrom"]),
            valid_until=parse_iso_utc(document["validUntil"]),
            ttl=timedelta(milliseconds=ttl),
            bits=_decoded(subject["encodedList"]),
        )
    except (NotCanonical, KeyError, TypeError, ValueError, AttributeError, StopIteration):
        raise _invalid("statusList", "a status list credential of this version", shown(body)) from None
    if document != _document(found, key_id, subject["encodedList"]):
        raise _invalid("statusList", "a status list credential of this version", "other fields")
    if found.valid_until <= found.valid_from:
        raise _invalid("statusList.validUntil", "a time after validFrom", document["validUntil"])
    return found


def _invalid(place: str, expected: str, found: str) -> VerificationError:
    return VerificationError(Refusal.STATUS_LIST_INVALID, place, expected=expected, found=found)

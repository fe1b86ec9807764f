"""The bundle: one file with everything that a certificate needs to be verified with nothing but a public key.

``{"mediaType", "envelope", "payloadHash", "payloadHashLabel", "replay": {"roundId"}, "logProof"}``: canonical JSON. The
envelope carries the signed statement, which carries the payload, which names the log and the status lists; the other fields
are what catalogues and chains refer to, and each must agree with the payload. The envelope's key id is the hint to the public key.
``logProof`` is a text of the form c2sp.org/tlog-proof@v1; bundles from before there was a log have none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sigma_core.canonical import NotCanonical, NotJson, canonical_json, parse_canonical_json
from sigma_core.certificates.envelope import Envelope
from sigma_core.certificates.log.proof import LogProof
from sigma_core.certificates.log.refusals import NoteError
from sigma_core.certificates.payload import Payload
from sigma_core.certificates.payload_shape import MAX_PAYLOAD_BYTES
from sigma_core.certificates.refusals import Refusal, VerificationError, shown
from sigma_core.certificates.statement import PAYLOAD_TYPE, statement_bytes
from sigma_core.certificates.vocabulary import HASH_LABEL

if TYPE_CHECKING:  # a verifier never loads what handles secret keys
    from sigma_core.certificates.signing_key import SigningKey

MEDIA_TYPE = "application/vnd.sigma.bundle.v1+json"

MAX_BUNDLE_BYTES = 2 * MAX_PAYLOAD_BYTES
"""Base64 makes four bytes of three; the rest of a bundle is a few kilobytes."""

MAX_PUNCTUATION = 64
"""Most opening brackets and commas in a bundle: it has a dozen, and none of its texts holds one. So a megabyte of nested
or countless lists is refused by counting bytes, before any parser has made objects of it."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as it stands in its file. Parsed is not verified: see `sigma_core.certificates.verify`."""

    envelope: Envelope
    payload_hash: str
    round_id: str
    log_proof: LogProof | None = None

    def to_bytes(self) -> bytes:
        """The file: canonical, so equal bundles are equal files."""
        return canonical_json(
            {
                "mediaType": MEDIA_TYPE,
                "envelope": self.envelope.as_json(),
                "payloadHash": self.payload_hash,
                "payloadHashLabel": HASH_LABEL,
                "replay": {"roundId": self.round_id},
                **({} if self.log_proof is None else {"logProof": self.log_proof.to_text()}),
            }
        )

    def with_proof(self, proof: LogProof) -> Bundle:
        """The same certificate with the proof that it is in the log."""
        return replace(self, log_proof=proof)

    @classmethod
    def parse(cls, data: bytes) -> Bundle:
        """The bundle in ``data``, form only.

        Raises VerificationError: BUNDLE_TOO_LARGE, BUNDLE_MALFORMED, NOT_CANONICAL or MEDIA_TYPE_UNKNOWN.
        """
        if len(data) > MAX_BUNDLE_BYTES:
            raise VerificationError(
                Refusal.BUNDLE_TOO_LARGE,
                "bundle",
                expected=f"at most {MAX_BUNDLE_BYTES} bytes",
                found=f"{len(data)} bytes",
            )
        punctuation = sum(map(data.count, (b"{", b"[", b",")))
        if punctuation > MAX_PUNCTUATION:
            raise _malformed("bundle", f"at most {MAX_PUNCTUATION} brackets and commas", str(punctuation))
        try:
            document = parse_canonical_json(data)
        except NotJson as error:
            raise _malformed("bundle", "JSON", error.message) from None
        except NotCanonical as error:
            raise VerificationError(
                Refusal.NOT_CANONICAL, "bundle", expected="canonical JSON (RFC 8785)", found=error.message
            ) from None
        if not isinstance(document, dict):
            raise _malformed("bundle", "an object", shown(document))
        if document.get("mediaType") != MEDIA_TYPE:
            raise VerificationError(
                Refusal.MEDIA_TYPE_UNKNOWN, "mediaType", expected=MEDIA_TYPE, found=shown(document.get("mediaType"))
            )
        names = {"mediaType", "envelope", "payloadHash", "payloadHashLabel", "replay"}
        if document.keys() - {"logProof"} != names:
            odd = sorted((document.keys() - {"logProof"}) ^ names)[0]
            raise _malformed("bundle", f"the fields {', '.join(sorted(names))}", f"{shown(odd)} too many or missing")
        if document["payloadHashLabel"] != HASH_LABEL:
            raise _malformed("payloadHashLabel", HASH_LABEL, shown(document["payloadHashLabel"]))
        payload_hash, replay = document["payloadHash"], document["replay"]
        if not isinstance(payload_hash, str):
            raise _malformed("payloadHash", "a hash", shown(payload_hash))
        if not isinstance(replay, dict) or replay.keys() != {"roundId"} or not isinstance(replay["roundId"], str):
            raise _malformed("replay", "an object with roundId", shown(replay))
        envelope = Envelope.parse(document["envelope"], "envelope")
        return cls(envelope, payload_hash, replay["roundId"], _parse_proof(document))


def issue(payload: Payload, key: SigningKey) -> Bundle:
    """Seal ``payload``: statement, envelope, hash. The same payload and key always give the same bytes.

    A bundle that names a log is not whole before it carries the log's proof (`Bundle.with_proof`).
    """
    return Bundle(Envelope.sign(PAYLOAD_TYPE, statement_bytes(payload), key), payload.hash, payload.round_id)


def _parse_proof(document: dict[str, Any]) -> LogProof | None:
    if "logProof" not in document:
        return None
    text = document["logProof"]
    if not isinstance(text, str):
        raise _malformed("logProof", "a text", shown(text))
    try:
        return LogProof.parse(text)
    except NoteError as error:
        raise _malformed("logProof", "an inclusion proof with its checkpoint", error.message) from None


def _malformed(place: str, expected: str, found: str) -> VerificationError:
    return VerificationError(Refusal.BUNDLE_MALFORMED, place, expected=expected, found=found)

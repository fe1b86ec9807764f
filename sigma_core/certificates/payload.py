"""The sealed payload of a certificate: what is hashed, signed and, where a chain is configured, committed.

Field names are those of spec/surfaces.md. The payload holds strings, integers, booleans, null, lists and objects
only, and never changes after issue; whatever may change (status, monitoring, flags, views, chain commitment, site)
is outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sigma_core.canonical import Json, canonical_json, keccak256_hex, sha256_of
from sigma_core.certificates.payload_shape import MAX_PAYLOAD_BYTES, PayloadError, check_shape
from sigma_core.certificates.vocabulary import CertificateStatus, RoundType, TriggerSource
from sigma_core.submissions.package import SourceType
from sigma_core.timestamps import parse_iso_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionSeal:
    """What the developer handed in. For GitHub, ``source_ref`` is the commit hash and ``source_url`` the repository;
    for an upload, ``source_ref`` is the file name and ``source_url`` None. ``entry`` is the package's entry
    point."""

    submission_id: str
    skill_name: str
    skill_version: str | None
    source_type: SourceType
    source_ref: str | None
    source_url: str | None
    entry: str
    dev_notes: str = ""
    smart_contract: Json = None


@dataclass(frozen=True, slots=True)
class PhaseVotes:
    """Revealed votes of one phase, counted. An abstention is never a SAFE vote."""

    phase: int
    safe: int
    unsafe: int
    abstain: int


@dataclass(frozen=True, slots=True)
class BeaconValue:
    """The randomness that the panels were drawn with: a value of ``chain`` that did not exist at submit time."""

    chain: str
    round: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundSeal:
    """What the assembly did. ``n_eff_ppm`` is the effective number of independent votes in ppm, ``assurance_level``
    1 to 3, hashes 64 hex digits; ``diversity_degraded`` says whether any seat was drawn under a relaxed rule."""

    round_id: str
    round_number: int
    round_type: RoundType
    trigger_source: TriggerSource
    policy_hash: str
    weights_epoch: int
    weights_merkle_root: str
    beacon: BeaconValue
    votes: Sequence[PhaseVotes]
    diversity_degraded: bool
    assurance_level: int
    n_eff_ppm: int


@dataclass(frozen=True, slots=True)
class StatusListEntry:
    """Where suspension and revocation of this certificate will show: bit ``index`` of the two lists under ``uri``."""

    uri: str
    index: int


@dataclass(frozen=True)
class Payload:
    """A checked payload and its canonical bytes. Made by `Payload.of` only."""

    document: Mapping[str, Any]
    canonical_bytes: bytes = field(repr=False)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Payload:
        """The payload in ``document``. Raises PayloadError naming the field and the rule, or NotCanonical."""
        check_shape(document)
        canonical = canonical_json(document)
        if len(canonical) > MAX_PAYLOAD_BYTES:
            raise PayloadError(f"payload: {len(canonical)} bytes, more than {MAX_PAYLOAD_BYTES}")
        return cls(document, canonical)

    @cached_property
    def hash(self) -> str:
        """The payload hash, by `vocabulary.HASH_LABEL`."""
        return keccak256_hex(self.canonical_bytes)

    @property
    def certificate_id(self) -> str:
        """``certificateId``."""
        return str(self.document["certificateId"])

    @property
    def round_id(self) -> str:
        """``roundId``: what `sigma replay` recomputes."""
        return str(self.document["roundId"])

    @property
    def status(self) -> CertificateStatus:
        """The status at issue; what became of it since is not in here."""
        return CertificateStatus(self.document["status"])

    @property
    def transparency_log(self) -> str | None:
        """The origin of the log that this certificate is in; None for one from before there was a log."""
        origin = self.document.get("transparencyLog")
        return None if origin is None else str(origin)

    @property
    def status_list(self) -> StatusListEntry | None:
        """Where its status shows, if anywhere."""
        entry = self.document["statusList"]
        return None if entry is None else StatusListEntry(entry["uri"], entry["index"])

    @cached_property
    def issued_at(self) -> datetime:
        """First instant at which the certificate is good."""
        return parse_iso_utc(self.document["issuedAt"])

    @cached_property
    def expires_at(self) -> datetime:
        """First instant at which it no longer is."""
        return parse_iso_utc(self.document["expiresAt"])


def tree_hash_of(files: list[dict[str, Any]]) -> str:
    """`Package.tree_hash` from the tree alone, as it stands in a payload."""
    return sha256_of({"schema": "sigma-tree-v1", "files": files})

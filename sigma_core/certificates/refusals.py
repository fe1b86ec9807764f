"""Why a certificate does not verify: one error type, and the one table of its codes and what each means to a person."""

from __future__ import annotations

from enum import StrEnum

from sigma_core.errors import ExitCode, SigmaError


class Refusal(StrEnum):
    """Stable codes, in the order in which verification looks."""

    BUNDLE_TOO_LARGE = "BUNDLE_TOO_LARGE"
    BUNDLE_MALFORMED = "BUNDLE_MALFORMED"
    NOT_CANONICAL = "NOT_CANONICAL"
    MEDIA_TYPE_UNKNOWN = "MEDIA_TYPE_UNKNOWN"
    KEY_UNKNOWN = "KEY_UNKNOWN"
    SIGNATURE_INVALID = "SIGNATURE_INVALID"
    STATEMENT_MALFORMED = "STATEMENT_MALFORMED"
    SUBJECT_MISMATCH = "SUBJECT_MISMATCH"
    PAYLOAD_HASH_MISMATCH = "PAYLOAD_HASH_MISMATCH"
    REPLAY_MISMATCH = "REPLAY_MISMATCH"
    KEY_NOT_YET_VALID = "KEY_NOT_YET_VALID"
    KEY_EXPIRED = "KEY_EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    PROOF_MISSING = "PROOF_MISSING"
    LOG_UNKNOWN = "LOG_UNKNOWN"
    CHECKPOINT_INVALID = "CHECKPOINT_INVALID"
    PROOF_INVALID = "PROOF_INVALID"
    SPLIT_VIEW = "SPLIT_VIEW"
    STATUS_NOT_APPROVED = "STATUS_NOT_APPROVED"
    STATUS_LIST_INVALID = "STATUS_LIST_INVALID"
    STATUS_LIST_STALE = "STATUS_LIST_STALE"
    REVOKED = "REVOKED"
    SUSPENDED = "SUSPENDED"
    DRIFT = "DRIFT"


MEANING: dict[Refusal, str] = {
    Refusal.BUNDLE_TOO_LARGE: "no certificate is this large; the file is something else",
    Refusal.BUNDLE_MALFORMED: "the file is damaged, cut off, or not a SIGMA bundle; fetch it again",
    Refusal.NOT_CANONICAL: "two programs could read this file differently, so it is refused; fetch the original again",
    Refusal.MEDIA_TYPE_UNKNOWN: "this is another kind or a newer version of document than this verifier knows",
    Refusal.KEY_UNKNOWN: "none of the keys that you trust signed this; check that you hold the right key set",
    Refusal.SIGNATURE_INVALID: "the content or its signature was changed after signing; do not rely on it",
    Refusal.STATEMENT_MALFORMED: "a trusted key signed this, but it is no certificate of this version; update SIGMA",
    Refusal.SUBJECT_MISMATCH: "the certificate is about another package than the one it was presented for",
    Refusal.PAYLOAD_HASH_MISMATCH: "the hash beside the certificate is not its own; one of them was changed",
    Refusal.REPLAY_MISMATCH: "the bundle points to the replay of another round than the one that was certified",
    Refusal.KEY_NOT_YET_VALID: "the certificate is dated before its key came into use; one of the dates is wrong",
    Refusal.KEY_EXPIRED: "it is dated after its key went out of use; whoever holds the old key may have made it",
    Refusal.NOT_YET_VALID: "the certificate is dated in the future; check the clock of this machine",
    Refusal.EXPIRED: "the certificate was good, but for a limited time that is over; ask for a renewal",
    Refusal.PROOF_MISSING: "it says that it is in a public log and shows no proof; ask the issuer for the whole bundle",
    Refusal.LOG_UNKNOWN: "your key set has no key of the log that this is in; fetch the issuer's newest key set",
    Refusal.CHECKPOINT_INVALID: "the log's checkpoint was changed, or no key signed it that you hold of this log; fetch the issuer's "
    "newest key set, and unless that helps do not rely on it",
    Refusal.PROOF_INVALID: "the log's proof is about something else: this certificate may never have been published",
    Refusal.SPLIT_VIEW: "the log shows different people different histories; keep both checkpoints as evidence",
    Refusal.STATUS_NOT_APPROVED: "a genuine record of a package that was not approved; do not rely on it",
    Refusal.STATUS_LIST_INVALID: "this is no status list for this certificate, or it was changed; fetch it again",
    Refusal.STATUS_LIST_STALE: "the status list is not for this time; fetch the newest one",
    Refusal.REVOKED: "the issuer has withdrawn the certificate for good; do not rely on it",
    Refusal.SUSPENDED: "the issuer has suspended the certificate while something is looked into; wait",
    Refusal.DRIFT: "what is at hand is not what was certified; nothing was verified about the files named here",
}


def shown(value: object, limit: int = 80) -> str:
    """``value`` as short printable ASCII, for messages about bytes that somebody else wrote."""
    text = ascii(value[:limit] if isinstance(value, str | bytes) else value)
    return text if len(text) <= limit else f"{text[:limit]}..."


class VerificationError(SigmaError):
    """A certificate is refused. ``code`` is a `Refusal`; ``place`` names the field or step, ``expected`` and
    ``found`` are printable, and the hint says what it means to a person."""

    exit_code = ExitCode.NEGATIVE

    def __init__(self, refusal: Refusal, place: str, *, expected: str, found: str) -> None:
        super().__init__(f"{place}: expected {expected}, found {found}", code=refusal.value, hint=MEANING[refusal])
        self.refusal = refusal
        self.place = place
        self.expected = expected
        self.found = found

    def as_json(self) -> dict[str, object]:
        """``{code, place, expected, found, meaning}``."""
        return {
            "code": self.code,
            "place": self.place,
            "expected": self.expected,
            "found": self.found,
            "meaning": self.hint,
        }


class DriftError(VerificationError):
    """The package at hand is not the certified one: paths ``changed`` (bytes or executable bit), ``added`` and
    ``removed``, each sorted."""

    def __init__(self, *, changed: tuple[str, ...], added: tuple[str, ...], removed: tuple[str, ...]) -> None:
        self.changed = changed
        self.added = added
        self.removed = removed
        kinds = (("changed", changed), ("added", added), ("removed", removed))
        super().__init__(
            Refusal.DRIFT,
            "package",
            expected="exactly the certified files",
            found="; ".join(f"{_listed(paths)} {kind}" for kind, paths in kinds if paths),
        )

    def as_json(self) -> dict[str, object]:
        """The common fields with ``changed``, ``added`` and ``removed`` in full."""
        return super().as_json() | {
            "changed": list(self.changed),
            "added": list(self.added),
            "removed": list(self.removed),
        }


def _listed(paths: tuple[str, ...], most: int = 5) -> str:
    names = ", ".join(shown(path) for path in paths[:most])
    return names if len(paths) <= most else f"{names} and {len(paths) - most} more"

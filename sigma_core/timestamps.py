"""Time on the wire: ISO 8601, UTC, milliseconds, ``Z``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """The current instant, UTC, cut to milliseconds so that it survives storage and the wire unchanged."""
    return truncate_to_milliseconds(datetime.now(UTC))


def truncate_to_milliseconds(moment: datetime) -> datetime:
    """``moment`` in UTC without its microseconds below one millisecond. Raises ValueError for a naive date-time."""
    if moment.tzinfo is None:
        raise ValueError("a date-time without a time zone is ambiguous")
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def iso_utc(moment: datetime) -> str:
    """``2026-11-21T03:52:00.000Z``. Raises ValueError for a naive date-time."""
    return truncate_to_milliseconds(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso_utc(text: str) -> datetime:
    """The inverse of `iso_utc`; raises ValueError for any other form."""
    moment = datetime.fromisoformat(text)
    # `fromisoformat` also takes week dates, other offsets and other precisions.
    if moment.tzinfo is None or iso_utc(moment) != text:
        raise ValueError(f"{text!r} is not a UTC time to the millisecond, as in 2026-11-21T03:52:00.000Z")
    return moment


def day_number(moment: datetime) -> int:
    """Whole UTC days since 1970-01-01; the unit of the standing ledgers. Raises ValueError for a naive date-time."""
    return (truncate_to_milliseconds(moment) - EPOCH).days


def epoch_milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970-01-01, UTC. Raises ValueError for a naive date-time."""
    return (truncate_to_milliseconds(moment) - EPOCH) // timedelta(milliseconds=1)

"""One clock for everybody who holds a deadline against it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sigma_core.timestamps import truncate_to_milliseconds, utc_now


def shared_now(session: Session) -> datetime:
    """The current instant, UTC, to the millisecond: by the database server's clock where there is a server, as the clocks of its workers
    may differ by more than a deadline allows; SQLite is used on one machine, and by that machine's clock."""
    if session.get_bind().dialect.name != "postgresql":
        return utc_now()
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    return truncate_to_milliseconds(now)

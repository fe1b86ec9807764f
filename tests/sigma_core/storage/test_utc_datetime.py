"""A stored time comes back as the same instant, aware, UTC, to the millisecond, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, literal, select
from sqlalchemy.exc import StatementError

from sigma_core.storage.engine import open_engine
from sigma_core.storage.types import UtcDateTime

METADATA = MetaData()
MOMENTS = Table("moments", METADATA, Column("id", Integer, primary_key=True), Column("at", UtcDateTime))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def stored(engine: Engine, *moments: datetime | None) -> list[datetime | None]:
    with engine.begin() as connection:
        connection.execute(insert(MOMENTS), [{"id": number, "at": moment} for number, moment in enumerate(moments)])
        return list(connection.execute(select(MOMENTS.c.at).order_by(MOMENTS.c.id)).scalars())


def test_an_instant_comes_back_in_utc_whatever_zone_it_was_given_in(engine: Engine) -> None:
    utc = datetime(2026, 11, 21, 3, 52, 1, 234_000, tzinfo=UTC)
    elsewhere = utc.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    back = stored(engine, utc, elsewhere, None)
    assert back == [utc, utc, None]
    assert [moment.tzinfo for moment in back if moment] == [UTC, UTC]


def test_the_time_zone_of_the_session_changes_nothing(engine: Engine, backend: str) -> None:
    moment = datetime(2026, 11, 21, 3, 52, tzinfo=UTC)
    stored(engine, moment)
    with engine.connect() as connection:
        if backend == "postgresql":
            connection.exec_driver_sql("SET TIME ZONE 'Asia/Kathmandu'")
        back = connection.execute(select(MOMENTS.c.at)).scalar_one()
    assert (back, back.tzinfo) == (moment, UTC)


def test_what_is_finer_than_a_millisecond_is_cut_off_not_rounded(engine: Engine) -> None:
    assert stored(engine, datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == [
        datetime(2026, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)
    ]


def test_a_naive_time_is_refused(engine: Engine) -> None:
    with pytest.raises(StatementError, match="without a time zone is ambiguous"):
        stored(engine, datetime(2026, 11, 21, 3, 52))  # noqa: DTZ001


def test_times_are_compared_and_sorted_as_instants(engine: Engine) -> None:
    start = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    moments = [start + timedelta(milliseconds=step) for step in (0, 1, 999, 1_000, 3_600_000)]
    stored(engine, *reversed(moments))
    with engine.connect() as connection:
        assert list(connection.execute(select(MOMENTS.c.at).order_by(MOMENTS.c.at)).scalars()) == moments
        after = select(MOMENTS.c.at).where(MOMENTS.c.at > moments[2]).order_by(MOMENTS.c.at)
        assert list(connection.execute(after).scalars()) == moments[3:]


def test_a_literal_time_means_the_same_as_a_bound_one(engine: Engine) -> None:
    moment = datetime(2026, 11, 21, 3, 52, 1, 234_000, tzinfo=UTC)
    stored(engine, moment)
    query = select(MOMENTS.c.id).where(MOMENTS.c.at == literal(moment, UtcDateTime))
    text = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
    with engine.connect() as connection:
        assert connection.exec_driver_sql(text).scalars().all() == [0]

"""What the databases promise: transactions that wait instead of failing, readers that never wait, errors that say what to do."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from sigma_core.errors import ExitCode, SigmaError, Unavailable
from sigma_core.storage import engine as engine_module
from sigma_core.storage.engine import open_engine, read_only_engine, session_factory
from sigma_core.storage.migrations import upgrade
from sigma_core.storage.protocol import BeaconChainRow, BeaconValueRow, OutboxRow, PolicyRow
from sigma_core.timestamps import utc_now


@pytest.fixture
def open_database(database_url: str) -> Iterator[Callable[[], Engine]]:
    """Open one more engine, with a pool of its own, on the same migrated database."""
    opened: list[Engine] = []

    def open_() -> Engine:
        opened.append(open_engine(database_url))
        upgrade(opened[-1], "protocol")
        return opened[-1]

    yield open_
    for engine in opened:
        engine.dispose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a lock fails at once instead."""
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_MS", 1)


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/deep/er/protocol.db")
    upgrade(engine, "protocol")
    yield engine
    engine.dispose()


def a_policy(name: str = "ab") -> PolicyRow:
    return PolicyRow(hash=name, version="1", first_used_at=utc_now())


def policies(engine: Engine) -> list[str]:
    with session_factory(engine, read_only=True)() as session:
        return list(session.scalars(select(PolicyRow.hash).order_by(PolicyRow.hash)))


# Transactions


def test_sqlite_connections_have_the_pragmas(sqlite_engine: Engine) -> None:
    with sqlite_engine.connect() as first, sqlite_engine.execution_options(sigma_read_only=True).connect() as second:
        for connection in (first, second):
            values = [
                connection.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
            assert values == ["wal", 1, 1, 5_000]


def test_a_row_that_points_nowhere_is_refused(open_database: Callable[[], Engine]) -> None:
    orphan = BeaconValueRow(chain="no such chain", round=1, value="ab", revealed_at=utc_now())
    with pytest.raises(IntegrityError), session_factory(open_database()).begin() as session:
        session.add(orphan)


def test_threads_that_read_then_write_wait_for_each_other_and_lose_nothing(
    open_database: Callable[[], Engine],
) -> None:
    sessions = session_factory(open_database())
    with sessions.begin() as session:
        session.add(BeaconChainRow(anchor="ab", length=1_000, revealed_round=0, created_at=utc_now()))

    def reveal_ten_more(_: int) -> None:
        for _ in range(10):
            with sessions.begin() as session:
                row = session.scalars(select(BeaconChainRow).with_for_update()).one()
                row.revealed_round += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(reveal_ten_more, range(8)))
    with sessions() as session:
        assert session.scalars(select(BeaconChainRow.revealed_round)).one() == 80


@pytest.mark.usefixtures("impatient")
def test_a_read_only_session_neither_waits_for_a_writer_nor_sees_what_is_not_committed(
    open_database: Callable[[], Engine],
) -> None:
    engine = open_database()
    with session_factory(engine).begin() as writer:
        writer.add(a_policy())
        writer.flush()
        assert policies(engine) == []
    assert policies(engine) == ["ab"]


@pytest.mark.usefixtures("impatient")
def test_finding_out_whether_to_migrate_does_not_wait_for_a_writer(open_database: Callable[[], Engine]) -> None:
    with session_factory(open_database()).begin() as writer:
        writer.add(a_policy())
        writer.flush()
        open_database()


def test_a_read_only_session_cannot_write(open_database: Callable[[], Engine]) -> None:
    engine = open_database()
    with pytest.raises(DBAPIError, match=r"(?i)read-?only"), session_factory(engine, read_only=True).begin() as session:
        session.add(a_policy())
    with session_factory(engine).begin() as session:  # the same pooled connection
        session.add(a_policy())
    assert policies(engine) == ["ab"]


def test_rows_stay_readable_after_commit(open_database: Callable[[], Engine]) -> None:
    row = a_policy()
    with session_factory(open_database()).begin() as session:
        session.add(row)
    assert row.version == "1"


# What cannot be used


@pytest.mark.usefixtures("impatient")
def test_a_sqlite_database_that_another_process_has_locked(sqlite_engine: Engine) -> None:
    other = open_engine(str(sqlite_engine.url))
    with sqlite_engine.begin(), pytest.raises(Unavailable) as refusal, other.begin():
        pass
    other.dispose()
    assert refusal.value.message == f"the database {sqlite_engine.url.database} is locked by another process"
    assert refusal.value.hint == "wait for it to finish, then try again"
    assert refusal.value.code == "DATABASE_UNAVAILABLE"
    assert refusal.value.exit_code == ExitCode.UNAVAILABLE


def test_a_full_disk_is_named_and_leaves_nothing_half_written(sqlite_engine: Engine) -> None:
    @event.listens_for(sqlite_engine, "connect")
    def small_disk(connection: object, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[attr-defined]
        connection.execute(f"PRAGMA max_page_count={pages + 2}")  # type: ignore[attr-defined]

    sqlite_engine.dispose()  # so that the next connection is a new one
    sessions = session_factory(sqlite_engine)
    with sessions() as session:
        session.add(a_policy())
        session.flush()
        session.add(OutboxRow(topic="t", subject="s", detail={"x": "y" * 100_000}, created_at=utc_now()))
        with pytest.raises(Unavailable, match=r"disk that holds .*protocol\.db is full \(free some space"):
            session.commit()
    assert policies(sqlite_engine) == []
    with sessions.begin() as session:
        session.add(a_policy())
    assert policies(sqlite_engine) == ["ab"]


def test_a_folder_where_the_database_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "protocol.db").mkdir()
    with pytest.raises(Unavailable, match=r"protocol\.db cannot be opened or written \(check SIGMA_HOME"):
        upgrade(open_engine(f"sqlite:///{tmp_path}/protocol.db"), "protocol")


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(Unavailable, match=r"home: File exists \(check SIGMA_HOME and its permissions\)"):
        open_engine(f"sqlite:///{tmp_path}/home/protocol.db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "protocol.db").write_text("My notes, which nobody meant to be a database.\n" * 40)
    with pytest.raises(Unavailable, match=r"protocol\.db is damaged or no database \(restore it"):
        upgrade(open_engine(f"sqlite:///{tmp_path}/protocol.db"), "protocol")


SECRET = "correct-horse-battery"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        (f"sigma:{SECRET}@127.0.0.1:1/protocol", "protocol at 127.0.0.1"),
        (f"sigma@127.0.0.1:1/protocol?password={SECRET}", "protocol at 127.0.0.1"),
        (f"sigma:{SECRET}@/protocol?host=/no/such/folder", "protocol at the local socket"),
    ],
)
def test_a_postgresql_that_does_not_answer(address: str, place: str) -> None:
    with pytest.raises(Unavailable) as refusal:
        upgrade(open_engine(f"postgresql://{address}"), "protocol")
    assert str(refusal.value) == (
        f"the database {place} cannot be reached (check that it runs and that its URL is right)"
    )
    assert SECRET not in "".join(traceback.format_exception(refusal.value))


def test_a_postgresql_database_that_does_not_exist(postgres_url: str) -> None:
    with pytest.raises(Unavailable, match="the database nowhere at the local socket cannot be reached"):
        upgrade(open_engine(postgres_url.replace("/postgres?", "/nowhere?")), "protocol")


def test_a_postgresql_that_goes_away_is_unavailable_once_and_then_used_again(postgres_url: str) -> None:
    engine = open_engine(postgres_url)
    with engine.connect() as connection:
        me = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        with engine.connect() as other:
            other.execute(text(f"SELECT pg_terminate_backend({me})"))
        with pytest.raises(Unavailable, match="cannot be reached"):
            connection.execute(text("SELECT 1"))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


@pytest.mark.parametrize("phrase", ["database is locked", "disk is full", "malformed"])
def test_a_value_that_sounds_like_a_failure_is_not_taken_for_one(
    open_database: Callable[[], Engine], phrase: str
) -> None:
    sessions = session_factory(open_database())
    with sessions.begin() as session:
        session.add(a_policy(phrase))
    with pytest.raises(IntegrityError), sessions.begin() as session:
        session.add(a_policy(phrase))


# URLs


@pytest.mark.parametrize("url", ["", "protocol.db", f"postgresql://sigma:{SECRET}@host:port/protocol"])
def test_a_url_that_cannot_be_parsed_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(SigmaError, match=r"cannot be parsed .*SIGMA_DATABASE_URL") as refusal:
        open_engine(url)
    assert refusal.value.code == "SETTINGS_INVALID"
    assert SECRET not in "".join(traceback.format_exception(refusal.value))


def test_other_databases_are_refused_by_name() -> None:
    with pytest.raises(SigmaError, match="database 'mysql' is not supported: use sqlite or postgresql"):
        open_engine(f"mysql://sigma:{SECRET}@host/protocol")


def test_postgresql_means_the_driver_that_sigma_ships(postgres_url: str) -> None:
    for scheme in ("postgresql", "postgresql+psycopg2"):
        assert open_engine(postgres_url.replace("postgresql", scheme, 1)).dialect.driver == "psycopg"


def test_a_read_only_engine_shares_the_pool(sqlite_engine: Engine) -> None:
    assert read_only_engine(sqlite_engine).pool is sqlite_engine.pool

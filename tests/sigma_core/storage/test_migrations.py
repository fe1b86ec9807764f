"""The two databases are made and changed by migrations alone, the same ones on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
from alembic import command
from sqlalchemy import Engine, inspect, text

from sigma_core.errors import SigmaError
from sigma_core.storage.engine import open_engine
from sigma_core.storage.migrations import (
    Database,
    DatabaseNewer,
    alembic_config,
    current_revision,
    revisions,
    upgrade,
)
from sigma_core.storage.protocol import ProtocolBase
from sigma_core.storage.usage import UsageBase

ROOT = Path(__file__).resolve().parents[3]
MODELS = {"protocol": ProtocolBase.metadata, "usage": UsageBase.metadata}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(params=get_args(Database))
def database(request: pytest.FixtureRequest) -> Database:
    return request.param


def run_alembic(engine: Engine, database: Database, action: Callable[..., object], *arguments: str) -> None:
    with engine.connect() as connection:
        config = alembic_config(database)
        config.attributes["connection"] = connection
        action(config, *arguments)
        connection.commit()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_an_empty_database_gets_every_table_of_the_models(engine: Engine, database: Database) -> None:
    assert current_revision(engine) is None
    upgrade(engine, database)
    assert current_revision(engine) == revisions(database)[-1]
    assert tables(engine) == set(MODELS[database].tables)


def test_models_and_migrations_agree(engine: Engine, database: Database) -> None:
    """When this fails: docs/migrations.md, "When a model changes"."""
    upgrade(engine, database)
    run_alembic(engine, database, command.check)


def test_a_downgrade_leaves_nothing_and_can_be_upgraded_again(engine: Engine, database: Database) -> None:
    upgrade(engine, database)
    run_alembic(engine, database, command.downgrade, "base")
    assert tables(engine) == set()
    upgrade(engine, database)
    assert tables(engine) == set(MODELS[database].tables)


def test_upgrading_an_upgraded_database_changes_nothing(engine: Engine) -> None:
    upgrade(engine, "protocol")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO policies VALUES ('ab', 'v', '2026-11-21 00:00:00')"))
    upgrade(engine, "protocol")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT hash FROM policies")).scalars().all() == ["ab"]


def test_revisions_form_one_line_in_the_order_of_their_numbers(database: Database) -> None:
    from alembic.script import ScriptDirectory

    line = [revision.revision for revision in ScriptDirectory.from_config(alembic_config(database)).walk_revisions()]
    assert line[::-1] == revisions(database) == [f"{database}_{number + 1:04}" for number in range(len(line))]


def test_threads_may_upgrade_the_same_and_different_databases_at_once(new_database_url: Callable[[], str]) -> None:
    first, second = new_database_url(), new_database_url()
    work: list[tuple[Engine, Database]] = [
        (open_engine(url), database) for _ in range(3) for url, database in ((first, "protocol"), (second, "usage"))
    ]
    with ThreadPoolExecutor(len(work)) as pool:
        list(pool.map(lambda engine_and_name: upgrade(*engine_and_name), work))
    assert tables(work[0][0]) == set(ProtocolBase.metadata.tables)
    assert tables(work[1][0]) == set(UsageBase.metadata.tables)
    for engine, _ in work:
        engine.dispose()


def test_processes_may_upgrade_the_same_sqlite_file_at_once(tmp_path: Path) -> None:
    """SQLite's locks are not the same between processes as they are inside one."""
    url = f"sqlite:///{tmp_path}/usage.db"
    program = (
        "import sys; from sigma_core.storage.engine import open_engine; from sigma_core.storage.migrations import upgrade;"
        "engine = open_engine(sys.argv[1]); print(flush=True); sys.stdin.read(1); upgrade(engine, 'usage')"
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    started = [subprocess.Popen([sys.executable, "-c", program, url], **pipes, cwd=ROOT) for _ in range(2)]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in started:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint.decode()
    engine = open_engine(url)
    assert tables(engine) == set(UsageBase.metadata.tables)
    engine.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE stage_failures (id INTEGER PRIMARY KEY)"))  # in the way of ours
    with pytest.raises(Exception, match="stage_failures"):
        upgrade(engine, "protocol")
    assert tables(engine) == {"stage_failures"}
    assert current_revision(engine) is None


def test_a_database_of_a_newer_sigma_is_refused(engine: Engine, database: Database) -> None:
    upgrade(engine, database)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{database}_9999'"))
    with pytest.raises(DatabaseNewer, match=rf"{database} database is at revision {database}_9999.*upgrade SIGMA"):
        upgrade(engine, database)


def test_one_database_for_both_is_refused(engine: Engine) -> None:
    upgrade(engine, "protocol")
    with pytest.raises(SigmaError, match="usage database is set to a database that holds other tables") as refusal:
        upgrade(engine, "usage")
    assert refusal.value.code == "SETTINGS_INVALID"

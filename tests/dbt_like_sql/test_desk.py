"""The analyst's desk: every built model can be read, and nothing else can be reached."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dbt_like_sql.desk import NothingBuilt, QueryRefused, QueryTooLong, query, tables


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    lake = tmp_path / "it's a lake"
    (lake / "models").mkdir(parents=True)
    pl.DataFrame({"name": ["ada", "bo", "ci"], "points": [3, 1, 2]}).write_parquet(lake / "models" / "standing.parquet")
    pl.DataFrame({"name": ["ada"]}).write_parquet(lake / "models" / "rounds.parquet")
    (lake / "protocol").mkdir()
    pl.DataFrame({"secret": [1]}).write_parquet(lake / "protocol" / "rounds.parquet")
    return lake


def test_models_are_tables(lake: Path) -> None:
    answer = query(lake, "SELECT name, points FROM standing JOIN rounds USING (name)")
    assert (answer.frame.rows(), answer.cut) == ([("ada", 3)], False)
    assert list(tables(lake)) == ["rounds", "standing"]


def test_a_query_may_be_explained_and_end_with_a_semicolon(lake: Path) -> None:
    assert query(lake, "EXPLAIN SELECT 1").frame.height
    assert query(lake, "WITH one AS (SELECT 1 AS x) FROM one;").frame.rows() == [(1,)]


def test_more_rows_than_asked_for_are_cut_and_said_to_be(lake: Path) -> None:
    answer = query(lake, "SELECT name FROM standing ORDER BY points DESC", rows=2)
    assert (answer.frame["name"].to_list(), answer.cut) == (["ada", "ci"], True)
    assert not query(lake, "FROM standing", rows=3).cut


def test_a_query_without_end_is_stopped(lake: Path) -> None:
    with pytest.raises(QueryTooLong, match=r"more than 0\.2 s"):
        query(lake, "SELECT count(*) FROM range(10000000000) a, range(10000000000) b", seconds=0.2)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO standing VALUES ('x', 1)",
        "DROP VIEW standing",
        "COPY (SELECT 1) TO '{lake}/models/standing.parquet'",
        "COPY standing TO '/tmp/out.csv'",
        "ATTACH '{lake}/x.db'",
        "SET enable_external_access = true",
        "RESET allowed_paths",
        "PRAGMA version",
        "INSTALL httpfs",
        "LOAD httpfs",
        "EXPORT DATABASE '{lake}/out'",
        "CALL pragma_version()",
    ],
)
def test_what_is_not_one_select_is_refused_and_changes_nothing(lake: Path, sql: str) -> None:
    before = {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()}
    with pytest.raises(QueryRefused):
        query(lake, sql.format(lake=str(lake).replace("'", "''")))
    assert {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_text('/etc/passwd')",
        "FROM read_blob('/etc/hostname')",
        "FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "FROM glob('/*')",
        "FROM sniff_csv('/etc/passwd')",
        "FROM read_parquet('{lake}/protocol/rounds.parquet')",
        "FROM read_parquet('http://127.0.0.1:1/x.parquet')",
        "FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
        "FROM parquet_metadata('{lake}/protocol/rounds.parquet')",
        "SELECT getenv('HOME')",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{lake}/models/standing.parquet'",
        "FROM answer_of_the_caller",
    ],
)
def test_no_other_file_no_network_no_environment_no_variable_is_reached(lake: Path, sql: str) -> None:
    answer_of_the_caller = pl.DataFrame({"x": [1]})
    before = (lake / "models" / "standing.parquet").read_bytes()
    with pytest.raises(QueryRefused):
        query(lake, sql.format(lake=str(lake).replace("'", "''")))
    assert (lake / "models" / "standing.parquet").read_bytes() == before
    assert answer_of_the_caller.height == 1


def test_what_is_wrong_with_a_query_is_said(lake: Path) -> None:
    with pytest.raises(QueryRefused, match="nmae"):
        query(lake, "SELECT nmae FROM standing")


def test_a_damaged_model_is_named(lake: Path) -> None:
    (lake / "models" / "rounds.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(QueryRefused, match=r"model rounds: .*build it again"):
        query(lake, "FROM standing")


def test_a_deployment_without_models_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NothingBuilt, match="run the Dagster job `standing`"):
        query(tmp_path, "SELECT 1")

"""The loader: a project is refused with file, line and rule, or builds whole; its tests count what fails."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dbt_like_sql.loader import ModelError, ModelTest, ModelTestResult, Project
from sigma_core.errors import Unavailable

SOURCES = """
version: 2
sources:
  - name: shop
    description: A shop.
    tables:
      - name: orders
        description: Orders.
        columns:
          - {name: order_id, data_type: BIGINT, description: Which.}
          - {name: customer, data_type: VARCHAR, description: Whose.}
          - {name: placed_at, data_type: TIMESTAMPTZ, description: When.}
"""

STAGED = """
version: 2
models:
  - name: stg_orders
    description: Orders.
    columns:
      - {name: order_id, description: Which.}
      - {name: customer, description: Whose.}
  - name: customers
    description: Customers.
    columns:
      - {name: customer, description: Who.}
      - {name: orders, description: How many.}
"""

FILES = {
    "sources.yml": SOURCES,
    "schema.yml": STAGED,
    "staging/stg_orders.sql": "{{ config(materialized='table') }}\nSELECT order_id, customer\nFROM {{ source('shop', 'orders') }}\n",
    "marts/customers.sql": (
        "-- who orders\nSELECT customer, count(*) AS orders\nFROM {{ ref('stg_orders') }}\nGROUP BY customer ORDER BY customer\n"
    ),
}

ORDERS = {
    "order_id": [1, 2, 3],
    "customer": ["ada", "bo", "ada"],
    "placed_at": [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
    "not_described": [0, 0, 0],
}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    write_orders(tmp_path / "it's a lake", pl.DataFrame(ORDERS))
    return tmp_path / "it's a lake"


def write_orders(lake: Path, orders: pl.DataFrame) -> None:
    (lake / "shop").mkdir(parents=True, exist_ok=True)
    orders.write_parquet(lake / "shop" / "orders.parquet")


def project(tmp_path: Path, **changes: str | None) -> Project:
    """The project above with some files changed, added, or left out (None); ``__`` in a name is ``/`` and ``_sql`` ``.sql``."""
    folder = tmp_path / "project"
    named = {
        name.replace("__", "/").replace("_sql", ".sql").replace("_yml", ".yml"): text for name, text in changes.items()
    }
    for name, text in {**FILES, **named}.items():
        if text is not None:
            (folder / "models" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "models" / name).write_text(text, encoding="utf-8")
    return Project.load(folder)


def read_model(lake: Path, name: str) -> list[tuple[object, ...]]:
    return pl.read_parquet(lake / "models" / f"{name}.parquet").rows()


class TestLoading:
    def test_a_model_has_its_layer_documentation_sql_and_lineage(self, tmp_path: Path) -> None:
        loaded = project(tmp_path)
        staged, customers = loaded.models["stg_orders"], loaded.models["customers"]
        assert (staged.layer, staged.refs, staged.sources) == ("staging", (), (("shop", "orders"),))
        assert (customers.layer, customers.refs, customers.sources) == ("marts", ("stg_orders",), ())
        assert customers.columns == {"customer": "Who.", "orders": "How many."}
        assert customers.description == "Customers."
        assert staged.sql == '\nSELECT order_id, customer\nFROM "shop"."orders"'
        assert 'FROM "models"."stg_orders"' in customers.sql

    def test_models_are_in_build_order_whatever_the_order_of_files(self, tmp_path: Path) -> None:
        assert list(project(tmp_path).models) == ["stg_orders", "customers"]

    @pytest.mark.parametrize(
        ("file", "text", "error"),
        [
            ("sources_yml", "version: 2\nsources: [", r"models/sources.yml:2: not YAML"),
            ("sources_yml", "version: 2\nversion: 2", r"models/sources.yml:2: key 'version' appears twice"),
            ("sources_yml", "", r"models/sources.yml:1: file: "),
            ("sources_yml", SOURCES.replace("data_type: BIGINT, ", ""), r"sources.yml:10: .*data_type: Field required"),
            ("sources_yml", SOURCES.replace("tables:", "tabels:"), r"sources.yml:6: .*tabels: Extra inputs"),
            ("schema_yml", STAGED.replace("Orders.", "''"), r"schema.yml:5: models.0.description: String should have"),
            ("schema_yml", STAGED.replace("order_id", "customer"), r"schema.yml:6: .*'customer' is described twice"),
            ("schema_yml", STAGED.replace("Whose.}", "Whose., tests: [uniqe]}"), r"schema.yml:8: .*'uniqe' is no test"),
            ("schema_yml", STAGED.replace("Whose.}", "Whose., tests: [accepted_values]}"), r"accepted_values takes values"),
            (
                "schema_yml",
                STAGED.replace("Whose.}", "Whose., tests: [{relationships: {to: customers, field: customer}}]}"),
                r"schema.yml:8: .*to is ref\('model'\)",
            ),
            (
                "schema_yml",
                STAGED.replace("Whose.}", "Whose., tests: [{relationships: {to: ref('customer'), field: customer}}]}"),
                r"schema.yml:8: model stg_orders: test relationships_customer: ref\('customer'\): there is no such model",
            ),
            (
                "schema_yml",
                STAGED.replace("Whose.}", "Whose., tests: [{relationships: {to: ref('customers'), field: name}}]}"),
                r"schema.yml:8: model stg_orders: test relationships_customer: model customers has no column 'name'",
            ),
            ("schema_yml", STAGED.replace("Whose.}", "Whose., tests: [unique, unique]}"), r"unique_customer is there twice"),
            ("schema_yml", STAGED + STAGED.replace("version: 2\nmodels:\n", ""), r"model stg_orders is described twice"),
            ("schema_yml", STAGED.replace("name: customers", "name: clients"), r"schema.yml:9: model clients: there is no"),
            ("more__stray_sql", "SELECT 1", r"models/more/stray.sql: model stray is described in no YAML file"),
            ("more__customers_sql", "SELECT 1", r"more/customers.sql: model customers is also models/marts/customers.sql"),
            ("marts__customers_sql", "SELECT\n{{ ref('stg_odrers') }}", r"customers.sql:2: model customers: ref\('stg_odrers'\): there is no"),
            ("marts__customers_sql", "\n\n{{ source('shop', 'carts') }}", r"customers.sql:3: .*source\('shop', 'carts'\) is described in no"),
            ("marts__customers_sql", "SELECT 1\n{{ ref( }}", r"customers.sql:2: model customers: not Jinja"),
            ("marts__customers_sql", "SELECT 1\n{{ var('x') }}", r"customers.sql:2: model customers: 'var' is not defined"),
            ("marts__customers_sql", "{{ ref(1) }}", r"customers.sql:1: model customers: ref\(\) takes 1 literal names"),
            ("marts__customers_sql", "{% set x = 'a' %}{{ ref(x) }}", r"ref\(\) takes 1 literal names"),
            ("marts__customers_sql", "{{ config(materialized='view') }}", r"the options are config\(materialized='table'\)"),
            ("marts__customers_sql", "{{ config(materialized='incremental') }}", r"unique_key None: it is a described column"),
            ("marts__customers_sql", "{{ config(materialized='incremental', unique_key='name') }}", r"unique_key 'name': it is a described"),
            ("marts__customers_sql", "{% if is_incremental() %}SELECT 1{% endif %}", r"is_incremental\(\) is for config\(materialized='incremental'"),
            ("marts__customers_sql", "{{ ref.__class__.__mro__ }}", r"model customers: access to attribute '__class__'"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_refused_with_its_place(self, tmp_path: Path, file: str, text: str, error: str) -> None:
        with pytest.raises(ModelError, match=error):
            project(tmp_path, **{file: text})

    def test_a_circle_of_models_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"customers → stg_orders → customers|stg_orders → customers → stg_orders"):
            project(tmp_path, staging__stg_orders_sql="SELECT * FROM {{ ref('customers') }}")

    def test_a_model_that_refers_to_itself_is_a_circle(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="customers → customers"):
            project(tmp_path, marts__customers_sql="SELECT * FROM {{ ref('customers') }}")


class TestBuilding:
    def test_builds_all_in_order_and_tells_rows_and_columns(self, tmp_path: Path, lake: Path) -> None:
        staged, customers = project(tmp_path).build(lake)
        assert (staged.model, staged.row_count) == ("stg_orders", 3)
        assert (customers.model, customers.row_count) == ("customers", 2)
        assert customers.columns == [("customer", "VARCHAR"), ("orders", "BIGINT")]
        assert customers.seconds >= 0
        assert read_model(lake, "customers") == [("ada", 2), ("bo", 1)]

    def test_builds_a_selection_on_what_was_built_before(self, tmp_path: Path, lake: Path) -> None:
        loaded = project(tmp_path)
        with pytest.raises(ModelError, match="model stg_orders is not built"):
            loaded.build(lake, select=["customers"])
        loaded.build(lake, select=["stg_orders"])
        write_orders(lake, pl.DataFrame(ORDERS).head(1))
        (built,) = loaded.build(lake, select=["customers"])
        assert (built.model, built.row_count) == ("customers", 2)

    def test_a_built_model_that_is_damaged_is_named(self, tmp_path: Path, lake: Path) -> None:
        loaded = project(tmp_path)
        loaded.build(lake)
        (lake / "models" / "stg_orders.parquet").write_bytes(b"PAR1 and then nothing")
        with pytest.raises(ModelError, match=r"model stg_orders: .*stg_orders.parquet: .*\(build it again\)"):
            loaded.build(lake, select=["customers"])

    def test_an_unknown_selection_is_refused(self, tmp_path: Path, lake: Path) -> None:
        with pytest.raises(ModelError, match=r"there is no model nobody \(models: stg_orders, customers\)"):
            project(tmp_path).build(lake, select=["nobody"])

    def test_an_empty_source_gives_an_empty_model(self, tmp_path: Path, lake: Path) -> None:
        write_orders(lake, pl.DataFrame(ORDERS).clear())
        assert [result.row_count for result in project(tmp_path).build(lake)] == [0, 0]

    def test_a_source_is_read_as_the_described_types_and_only_them(self, tmp_path: Path, lake: Path) -> None:
        write_orders(lake, pl.DataFrame(ORDERS).with_columns(pl.col("order_id").cast(pl.Int16)))
        loaded = project(
            tmp_path,
            marts__customers_sql="SELECT typeof(order_id) AS customer, hour(placed_at) AS orders FROM {{ source('shop', 'orders') }}",
        )
        loaded.build(lake, select=["customers"])
        assert read_model(lake, "customers") == [("BIGINT", 0)] * 3
        broken = project(tmp_path, marts__customers_sql="SELECT not_described FROM {{ source('shop', 'orders') }}")
        with pytest.raises(ModelError, match="not_described"):
            broken.build(lake, select=["customers"])

    def test_a_missing_source_file_or_column_is_named(self, tmp_path: Path, lake: Path) -> None:
        write_orders(lake, pl.DataFrame(ORDERS).drop("placed_at"))
        with pytest.raises(ModelError, match=r"source shop.orders: .*orders.parquet has no column 'placed_at'"):
            project(tmp_path).build(lake)
        (lake / "shop" / "orders.parquet").unlink()
        with pytest.raises(ModelError, match=r"source shop.orders: there is no .*orders.parquet"):
            project(tmp_path).build(lake)

    def test_a_source_that_is_no_parquet_is_named(self, tmp_path: Path, lake: Path) -> None:
        (lake / "shop" / "orders.parquet").write_bytes(b"order_id,customer\n")
        with pytest.raises(ModelError, match=r"source shop.orders: .*orders.parquet"):
            project(tmp_path).build(lake)

    @pytest.mark.parametrize(
        ("sql", "error"),
        [
            (
                "SELECT customer,\n  ordres AS orders\nFROM {{ ref('stg_orders') }}",
                r"customers.sql:2: model customers: .*ordres",
            ),
            ("SELECT customer\nFROM\n{{ ref('stg_orders') }} WERE 1", r"customers.sql:3: model customers: "),
            ("SELECT 1 AS customer; SELECT 2", r"customers.sql: model customers: a model is one SELECT statement"),
            ("DROP SCHEMA models", r"customers.sql:\d: model customers: "),
            ("SELECT 1 AS customer", r"its columns are customer; described are customer, orders"),
            ("SELECT error('no') AS customer, 1 AS orders", r"customers.sql: model customers: .*no"),
        ],
    )
    def test_sql_that_fails_names_model_and_line_and_keeps_the_old_result(
        self, tmp_path: Path, lake: Path, sql: str, error: str
    ) -> None:
        project(tmp_path).build(lake)
        before = read_model(lake, "customers")
        with pytest.raises(ModelError, match=error):
            project(tmp_path, marts__customers_sql=sql).build(lake, select=["customers"])
        assert read_model(lake, "customers") == before
        assert sorted(path.name for path in (lake / "models").iterdir()) == ["customers.parquet", "stg_orders.parquet"]

    def test_a_result_is_replaced_by_rename_so_that_an_open_reader_keeps_the_old_one(
        self, tmp_path: Path, lake: Path
    ) -> None:
        loaded = project(tmp_path)
        loaded.build(lake)
        target = lake / "models" / "customers.parquet"
        with target.open("rb") as reader:
            write_orders(lake, pl.DataFrame(ORDERS).head(1))
            loaded.build(lake)
            assert os.fstat(reader.fileno()).st_ino != target.stat().st_ino
            assert pl.read_parquet(reader).rows() == [("ada", 2), ("bo", 1)]
        assert read_model(lake, "customers") == [("ada", 1)]

    def test_a_lake_that_cannot_be_written_is_unavailable(self, tmp_path: Path, lake: Path) -> None:
        (lake / "models").write_text("a file where the folder should be")
        with pytest.raises(Unavailable, match="model stg_orders"):
            project(tmp_path).build(lake)


class TestColumnTests:
    ROWS = pl.DataFrame(
        {"order_id": [1, 1, 1, 2, 2, 3, None, None], "customer": ["a", "b", "c", "c", "c", None, "x", "y"]}
    )

    def run(
        self, tmp_path: Path, lake: Path, column: str, test: str, rows: pl.DataFrame = ROWS
    ) -> tuple[ModelTest, ModelTestResult]:
        schema = STAGED.replace(f"name: {column}, ", f"name: {column}, tests: [{test}], ", 1)
        loaded = project(tmp_path, schema_yml=schema)
        (lake / "models").mkdir(exist_ok=True)
        rows.write_parquet(lake / "models" / "stg_orders.parquet")
        pl.DataFrame({"customer": ["a", "c", None], "orders": [1, 2, 3]}).write_parquet(
            lake / "models" / "customers.parquet"
        )
        (described,) = loaded.tests
        return described, loaded.run_test(described, lake)

    def test_unique_counts_each_duplicated_value_once_and_ignores_nulls(self, tmp_path: Path, lake: Path) -> None:
        test, result = self.run(tmp_path, lake, "order_id", "unique")
        assert (test.model, test.name, test.description) == (
            "stg_orders", "unique_order_id", "No two rows have the same order_id."
        )  # fmt: skip
        assert result == ModelTestResult(2, ["order_id", "rows"], [("1", "3"), ("2", "2")])

    def test_not_null_counts_rows(self, tmp_path: Path, lake: Path) -> None:
        _, result = self.run(tmp_path, lake, "customer", "not_null")
        assert result == ModelTestResult(1, ["order_id", "customer"], [("3", None)])

    def test_accepted_values_counts_each_wrong_value_once_and_ignores_nulls(self, tmp_path: Path, lake: Path) -> None:
        test, result = self.run(tmp_path, lake, "customer", '{accepted_values: {values: [a, b, "it\'s"]}}')
        assert test.description == "customer is one of a, b, it's."
        assert result == ModelTestResult(3, ["customer", "rows"], [("c", "3"), ("x", "1"), ("y", "1")])

    def test_accepted_values_may_be_integers_and_booleans(self, tmp_path: Path, lake: Path) -> None:
        test, result = self.run(tmp_path, lake, "order_id", "{accepted_values: {values: [1, 3, true]}}")
        assert test.test.values == ("1", "3", "true")
        assert result.sample == [("2", "2")]

    def test_relationships_counts_rows_without_a_parent_and_ignores_nulls_on_both_sides(
        self, tmp_path: Path, lake: Path
    ) -> None:
        test, result = self.run(tmp_path, lake, "customer", "{relationships: {to: ref('customers'), field: customer}}")
        assert test.description == "Every customer is a customer of customers."
        assert (result.failures, result.columns) == (3, ["order_id", "customer"])
        assert result.sample == [("1", "b"), (None, "x"), (None, "y")]

    def test_all_failures_are_counted_and_ten_are_shown(self, tmp_path: Path, lake: Path) -> None:
        rows = pl.DataFrame({"order_id": [None] * 25, "customer": ["a"] * 25})
        _, result = self.run(tmp_path, lake, "order_id", "not_null", rows)
        assert (result.failures, len(result.sample)) == (25, 10)

    def test_a_test_on_a_model_that_is_not_built_says_so(self, tmp_path: Path, lake: Path) -> None:
        loaded = project(tmp_path, schema_yml=STAGED.replace("Who.}", "Who., tests: [unique]}"))
        with pytest.raises(ModelError, match="model customers is not built"):
            loaded.run_test(loaded.tests[0], lake)

    def test_columns_that_cannot_be_compared_are_named(self, tmp_path: Path, lake: Path) -> None:
        with pytest.raises(ModelError, match="model stg_orders: test relationships_order_id: "):
            self.run(tmp_path, lake, "order_id", "{relationships: {to: ref('customers'), field: customer}}")


def test_results_open_in_any_reader(tmp_path: Path, lake: Path) -> None:
    project(tmp_path).build(lake)
    with duckdb.connect() as connection:
        rows = connection.read_parquet(str(lake / "models" / "customers.parquet")).fetchall()
    assert rows == [("ada", 2), ("bo", 1)]


INCREMENTAL = """{{ config(materialized='incremental', unique_key='customer') }}
SELECT customer, count(*) AS orders FROM {{ source('shop', 'orders') }}
{% if is_incremental() %}
WHERE customer NOT IN (SELECT customer FROM {{ this }}) OR customer = 'ada'
{% endif %}
GROUP BY customer
"""


class TestIncremental:
    def orders(self, *customers: str) -> pl.DataFrame:
        placed = pl.DataFrame(ORDERS)["placed_at"][0]
        return pl.DataFrame(
            {
                "order_id": range(1, len(customers) + 1),
                "customer": customers,
                "placed_at": [placed] * len(customers),
            }
        )

    def build(self, lake: Path, loaded: Project, *customers: str) -> list[tuple[object, ...]]:
        write_orders(lake, self.orders(*customers))
        loaded.build(lake, select=["customers"])
        return read_model(lake, "customers")

    def test_new_rows_replace_those_of_their_key_or_join_them_and_the_rest_stays(
        self, tmp_path: Path, lake: Path
    ) -> None:
        loaded = project(tmp_path, marts__customers_sql=INCREMENTAL)
        assert self.build(lake, loaded, "ada", "bo") == [("ada", 1), ("bo", 1)]
        # Bo's second order is not looked at, Ada's and Ci's are.
        assert self.build(lake, loaded, "ci", "bo", "bo", "ada", "ada") == [("ada", 2), ("bo", 1), ("ci", 1)]
        (result,) = loaded.build(lake, select=["customers"])
        assert result.row_count == 3

    def test_another_sql_builds_it_whole(self, tmp_path: Path, lake: Path) -> None:
        self.build(lake, project(tmp_path, marts__customers_sql=INCREMENTAL), "ada", "bo")
        changed = project(tmp_path, marts__customers_sql=INCREMENTAL.replace("count(*)", "10 * count(*)"))
        assert self.build(lake, changed, "bo", "bo") == [("bo", 20)]

    def test_a_file_that_something_else_wrote_is_built_anew(self, tmp_path: Path, lake: Path) -> None:
        loaded = project(tmp_path, marts__customers_sql=INCREMENTAL)
        self.build(lake, loaded, "bo")
        read = pl.read_parquet(lake / "models" / "customers.parquet")
        read.write_parquet(lake / "models" / "customers.parquet")
        assert self.build(lake, loaded, "bo", "bo") == [("bo", 2)]

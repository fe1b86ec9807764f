"""GET /api/v1/public/standing…: the newest epoch in pages, a validator over the epochs, and the snapshot that the Merkle root is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_client import Client, assert_problem
from sqlalchemy import select

from sigma_api.app import create_app
from sigma_api.public.standing import PublishedEpoch, StandingPage, ValidatorHistory
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.canonical import sha256_hex
from sigma_core.config import load_settings
from sigma_core.deployment import Deployment
from sigma_core.lifecycle.opening import record_policy
from sigma_core.lifecycle.population import settle_population
from sigma_core.lifecycle.standing import publish_weights
from sigma_core.storage.migrations import upgrade
from sigma_core.storage.protocol import ValidatorRow, WeightEpochRow
from sigma_core.timestamps import iso_utc

STANDING = "/api/v1/public/standing"


def restake(deployment: Deployment, number: int, **values: Any) -> str:
    """Change one validator and publish the next epoch; its id."""
    with deployment.sessions.begin() as session:
        validator = session.scalars(select(ValidatorRow).order_by(ValidatorRow.id)).all()[number]
        for name, value in values.items():
            setattr(validator, name, value)
        identifier = validator.id
    publish_weights(deployment)
    return identifier


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The embedded population in three epochs: as it was, with one suspended, with that one back and another's stake changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGMA_HOME", str(tmp_path_factory.mktemp("published")))
        patch.setenv("SIGMA_PUBLIC_RATE_REQUESTS", "1000000")
        deployment = Deployment(load_settings())
    upgrade(deployment.protocol, "protocol")
    record_policy(deployment)
    settle_population(deployment)
    restake(deployment, 0, status="SUSPENDED")
    restake(deployment, 0, status="ACTIVE", stake_micro_usd=1_000_000)
    yield deployment
    deployment.close()


@pytest.fixture(scope="module")
def reader(published: Deployment) -> Iterator[Client]:
    client = Client(create_app(published))
    yield client
    client.close()


def epochs(deployment: Deployment) -> list[WeightEpochRow]:
    with deployment.read_sessions() as session:
        return list(session.scalars(select(WeightEpochRow).order_by(WeightEpochRow.epoch)))


def pages(client: Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """All pages from the first to the last."""
    found = []
    while True:
        response = client.get(path, params=query)
        assert response.status_code == 200, response.text
        found.append(response.json())
        if found[-1]["nextCursor"] is None:
            return found
        query["cursor"] = found[-1]["nextCursor"]


class TestList:
    def test_is_of_the_newest_epoch_and_says_which(self, reader: Client, published: Deployment) -> None:
        response = reader.get(STANDING)
        page = StandingPage.model_validate_json(response.content, strict=True)
        newest = epochs(published)[-1]
        assert (page.epoch.epoch, page.epoch.merkle_root) == (3, newest.merkle_root)
        assert page.epoch.published_at == iso_utc(newest.published_at)
        assert len(page.items) == 20

    @pytest.mark.parametrize(
        ("sort", "name"),
        [
            ("weight", "weight"),
            ("accuracy", "accuracyPpm"),
            ("reputation", "reputationPpm"),
            ("stake", "stakeMicroUsd"),
        ],
    )
    @pytest.mark.parametrize("limit", [7, 100])
    def test_pages_lose_and_repeat_nobody_and_are_sorted(
        self, reader: Client, published: Deployment, sort: str, name: str, limit: int
    ) -> None:
        items = [item for page in pages(reader, STANDING, sort=sort, limit=limit) for item in page["items"]]
        assert items == sorted(items, key=lambda item: (-item[name], item["validatorId"]))
        with published.read_sessions() as session:
            assert {item["validatorId"] for item in items} == set(session.scalars(select(ValidatorRow.id)))
        assert len(items) == epochs(published)[-1].validator_count

    def test_rank_and_share_follow_the_weight(self, reader: Client, published: Deployment) -> None:
        items = [item for page in pages(reader, STANDING, limit=100) for item in page["items"]]
        weights = [item["weight"] for item in items]
        assert [item["rank"] for item in items] == [1 + weights.index(weight) for weight in weights]
        assert [item["weightPpm"] for item in items] == [weight * 10**6 // sum(weights) for weight in weights]
        assert sum(weights) == epochs(published)[-1].total_weight

    def test_a_page_after_a_new_epoch_is_still_of_the_epoch_of_the_first(
        self, home: Path, make_client: Callable[..., Client]
    ) -> None:
        deployment = Deployment(load_settings())
        upgrade(deployment.protocol, "protocol")
        record_policy(deployment)
        settle_population(deployment)
        client = make_client(create_app(deployment))
        whole = [item["validatorId"] for page in pages(client, STANDING, limit=100) for item in page["items"]]
        first = client.get(STANDING, params={"limit": 5}).json()
        restake(deployment, 3, status="SUSPENDED")
        rest = pages(client, STANDING, limit=100, cursor=first["nextCursor"])
        assert {page["epoch"]["epoch"] for page in [first, *rest]} == {1}
        assert [item["validatorId"] for page in [first, *rest] for item in page["items"]] == whole
        deployment.close()

    def test_a_cursor_of_another_order_is_refused(self, reader: Client) -> None:
        cursor = reader.get(STANDING, params={"sort": "accuracy"}).json()["nextCursor"]
        assert_problem(reader.get(STANDING, params={"cursor": cursor}), "invalid-cursor")

    @pytest.mark.parametrize(
        "cursor", ["", "x", "WzEsMl0", "W10", "WzEsMCwtMV0", "WzEuMCwwLDBd", "A" * 300, "WyIxIiwwLDBd"]
    )
    def test_a_cursor_that_is_not_ours_is_refused(self, reader: Client, cursor: str) -> None:
        assert_problem(reader.get(STANDING, params={"cursor": cursor}), "invalid-cursor")
        assert_problem(
            reader.get(f"{STANDING}/validators/{_some(reader)}", params={"cursor": cursor}), "invalid-cursor"
        )

    @pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"sort": "luck"}])
    def test_a_parameter_that_breaks_its_rule_is_refused(self, reader: Client, query: dict[str, Any]) -> None:
        assert_problem(reader.get(STANDING, params=query), "invalid-parameter")

    def test_where_nothing_is_published_nothing_is_there(
        self, own: Deployment, make_client: Callable[..., Client]
    ) -> None:
        assert_problem(make_client(create_app(own)).get(STANDING), "not-found")


def _some(client: Client) -> str:
    return str(client.get(STANDING).json()["items"][0]["validatorId"])


class TestValidator:
    def test_history_is_newest_first_and_says_what_moved(self, reader: Client, published: Deployment) -> None:
        with published.read_sessions() as session:
            validator = session.scalars(select(ValidatorRow.id).order_by(ValidatorRow.id)).first()
        response = reader.get(f"{STANDING}/validators/{validator}")
        history = ValidatorHistory.model_validate_json(response.content, strict=True)
        assert [item.epoch for item in history.items] == [3, 2, 1]
        assert [item.suspended for item in history.items] == [False, True, False]
        assert [item.published_at for item in history.items] == [
            iso_utc(epoch.published_at) for epoch in reversed(epochs(published))
        ]
        back, suspended, joined = (str(item.change) for item in history.items)
        assert "reinstated" in back
        assert "stake −" in back or "stake +" in back
        assert "suspended" in suspended
        assert joined == "joined"
        assert history.current == history.items[0]
        assert (history.items[1].weight, history.items[1].weight_ppm) == (0, 0)

    def test_pages_of_history_lose_and_repeat_nothing(self, reader: Client) -> None:
        found = pages(reader, f"{STANDING}/validators/{_some(reader)}", limit=1)
        assert [[item["epoch"] for item in page["items"]] for page in found] == [[3], [2], [1]]
        assert {page["current"]["epoch"] for page in found} == {3}

    @pytest.mark.parametrize("name", ["val_nobody", "..%2fepochs", "%00", "a" * 70, "é"])
    def test_an_unknown_name_is_not_found(self, reader: Client, name: str) -> None:
        assert_problem(reader.get(f"{STANDING}/validators/{name}"), "not-found")


class TestEpoch:
    def test_its_snapshot_has_the_merkle_root_and_hash_that_are_published(
        self, reader: Client, published: Deployment
    ) -> None:
        for row in epochs(published):
            response = reader.get(f"{STANDING}/epochs/{row.epoch}")
            told = PublishedEpoch.model_validate_json(response.content, strict=True)
            snapshot = reader.get(told.snapshot_url)
            assert sha256_hex(snapshot.content) == told.snapshot_sha256 == row.snapshot_sha256
            document = snapshot.json()
            assert document["merkleRoot"] == told.merkle_root
            rows = (
                WeightRow(one["validatorId"], one["operator"], one["family"], one["weight"], one["reputationPpm"])
                for one in document["rows"]
            )
            computed = WeightsSnapshot.of(told.epoch, told.policy_hash, rows)
            assert computed.merkle_root == told.merkle_root
            assert str(computed.total_weight) == told.total_weight
            assert len(computed.rows) == told.validator_count

    @pytest.mark.parametrize("path", ["epochs/4", "epochs/4/snapshot"])
    def test_one_that_is_not_published_is_not_found(self, reader: Client, path: str) -> None:
        assert_problem(reader.get(f"{STANDING}/{path}"), "not-found")

    @pytest.mark.parametrize("number", ["0", "-1", "newest", "9" * 30])
    def test_a_number_that_no_epoch_can_have_is_refused(self, reader: Client, number: str) -> None:
        assert_problem(reader.get(f"{STANDING}/epochs/{number}"), "invalid-parameter")


def test_every_answer_is_the_same_bytes_again_and_is_not_sent_to_who_holds_them(reader: Client) -> None:
    paths = ["", f"/validators/{_some(reader)}", "/epochs/3", "/epochs/3/snapshot"]
    for path in paths:
        first = reader.get(STANDING + path)
        again = reader.get(STANDING + path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path
        assert ("immutable" in first.headers["cache-control"]) == path.startswith("/epochs"), path


def test_where_the_lake_is_lost_the_published_documents_answer_the_same(
    published: Deployment, make_client: Callable[..., Client]
) -> None:
    paths = [STANDING, f"{STANDING}?sort=stake&limit=100"]
    before = [make_client(create_app(published)).get(path).content for path in paths]
    folder = published.settings.lake / "standing" / "epochs"
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    assert len(kept) == 3
    for path in kept:
        path.unlink()
    try:
        assert [make_client(create_app(published)).get(path).content for path in paths] == before
    finally:
        for path, content in kept.items():
            path.write_bytes(content)

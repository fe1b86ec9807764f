"""The deployment's own beacon does not end: when a chain is used up, the next one stands before anything is bound to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from issued import decided_round
from sqlalchemy import select

from sigma_core.deployment import Deployment
from sigma_core.lifecycle.intake import Provenance, load_submission, submit
from sigma_core.lifecycle.replay import replay_kept_round
from sigma_core.storage.protocol import BeaconChainRow, RoundRow
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import SourceType

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "changelog-writer"
ROUNDS = 3


@pytest.fixture
def short(
    monkeypatch: pytest.MonkeyPatch, make_deployment: Callable[..., Deployment], request: pytest.FixtureRequest
) -> Deployment:
    """A new deployment whose chains have three rounds each."""
    for module in ("sigma_core.deployment", "sigma_core.lifecycle.beacon"):
        monkeypatch.setattr(f"{module}.BEACON_ROUNDS", ROUNDS)
    if request.param == "sqlite":
        return make_deployment()
    new_url = request.getfixturevalue("new_postgres_url")
    return make_deployment(database_url=new_url(), usage_database_url=new_url())


def recorded(deployment: Deployment) -> str:
    package = read_package(EXAMPLE, deployment.policy)
    return submit(
        deployment, package, Provenance(SourceType.UPLOAD, package.source_name, None, "somebody"), scheduled=False
    )


def chains(deployment: Deployment) -> list[tuple[str, int]]:
    with deployment.read_sessions() as session:
        rows = session.scalars(select(BeaconChainRow).order_by(BeaconChainRow.created_at))
        return [(row.anchor, row.revealed_round) for row in rows]


@pytest.mark.parametrize("short", ["sqlite", "postgresql"], indirect=True)
def test_rounds_go_on_over_the_end_of_a_chain_and_all_of_them_replay(
    short: Deployment, make_deployment: Callable[..., Deployment]
) -> None:
    rounds = []
    for number in range(2 * ROUNDS + 1):
        deployment = (
            short if number % 2 else make_deployment()
        )  # another process makes the same chains of the one secret
        rounds.append(decided_round(deployment, recorded(deployment)))
    first, second, third = chains(short)
    assert [revealed for _, revealed in (first, second, third)] == [ROUNDS, ROUNDS, 1]
    assert len({first[0], second[0], third[0]}) == 3
    with short.read_sessions() as session:
        rows = [session.get_one(RoundRow, each) for each in rounds]
    places = [(anchor, number) for anchor, revealed in chains(short) for number in range(1, revealed + 1)]
    assert [(row.beacon_chain, row.beacon_round) for row in rows] == places
    for round_id in rounds:
        assert replay_kept_round(short, round_id).differences == ()


@pytest.mark.parametrize("short", ["sqlite"], indirect=True)
def test_what_was_bound_to_the_last_round_of_a_chain_is_drawn_from_it_though_the_next_one_stands(
    short: Deployment,
) -> None:
    for _ in range(ROUNDS - 1):
        decided_round(short, recorded(short))
    bound = [recorded(short), recorded(short)]
    decided_round(short, bound[1])
    late = load_submission(short, recorded(short))
    assert late.beacon_chain != load_submission(short, bound[0]).beacon_chain
    assert replay_kept_round(short, decided_round(short, bound[0])).differences == ()

"""The limit on requests per client address, and the headers that announce it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from http_client import Client, assert_problem
from hypothesis import given
from hypothesis import strategies as st

from sigma_api.app import create_app
from sigma_api.rate_limit import SlidingWindow, client_key
from sigma_core.config import Settings
from sigma_core.deployment import Deployment

LIST = "/api/v1/public/certificates"


class Clock:
    """Monotonic seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def limited(kept: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """`kept` with a limit of two requests in an hour."""
    settings = Settings(home=kept.settings.home, public_rate_requests=2, public_rate_window_seconds=3_600)
    monkeypatch.setattr(kept, "settings", settings)
    return kept


def test_a_client_beyond_the_limit_is_told_how_long_to_wait(
    limited: Deployment, make_client: Callable[..., Client]
) -> None:
    client = make_client(create_app(limited))
    answers = [client.get(LIST) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"public";q=2;w=3600'}
    assert [answer.headers["ratelimit"].split(";")[:2] for answer in answers] == [
        ['"public"', "r=1"],
        ['"public"', "r=0"],
        ['"public"', "r=0"],
    ]
    assert_problem(answers[2], "rate-limited")
    assert answers[2].headers["ratelimit"].endswith(f";t={answers[2].headers['retry-after']}")
    assert answers[2].headers["access-control-allow-origin"] == "*"


def test_another_client_is_not_held_back(limited: Deployment, make_client: Callable[..., Client]) -> None:
    app = create_app(limited)
    greedy, other = make_client(app, "192.0.2.1"), make_client(app, "192.0.2.2")
    assert [greedy.get(LIST).status_code for _ in range(3)][-1] == 429
    assert other.get(LIST).status_code == 200


def test_errors_and_unknown_paths_count_too(limited: Deployment, make_client: Callable[..., Client]) -> None:
    client = make_client(create_app(limited))
    assert [client.get(f"{LIST}/cert_0").status_code for _ in range(3)] == [404, 404, 429]


def test_health_is_never_limited(limited: Deployment, make_client: Callable[..., Client]) -> None:
    client = make_client(create_app(limited))
    answers = [client.get(path) for _ in range(4) for path in ("/livez", "/readyz")]
    assert {answer.status_code for answer in answers} == {200}
    assert all("ratelimit" not in answer.headers for answer in answers)


def test_the_budget_comes_back_bit_by_bit() -> None:
    clock = Clock()
    window = SlidingWindow(10, 100, clock=clock)
    assert [window.take("a").allowed for _ in range(11)] == [True] * 10 + [False]
    clock.now += 100  # the full window has just become the previous one, and still counts whole
    assert not window.take("a").allowed
    clock.now += 50  # half of it has faded
    assert [window.take("a").allowed for _ in range(6)] == [True] * 5 + [False]
    clock.now += 250
    assert window.take("a").remaining == 9


def test_a_refused_request_costs_nothing() -> None:
    clock = Clock()
    window = SlidingWindow(1, 100, clock=clock)
    window.take("a")
    for _ in range(50):
        assert not window.take("a").allowed
    clock.now += 200
    assert window.take("a").allowed


@given(
    st.integers(1, 20),
    st.integers(1, 60),
    st.lists(st.floats(min_value=0, max_value=30, allow_nan=False), max_size=200),
)
def test_no_client_gets_more_than_the_limit_in_one_fixed_window(
    limit: int, window_seconds: int, pauses: list[float]
) -> None:
    clock = Clock()
    window = SlidingWindow(limit, window_seconds, clock=clock)
    granted: dict[int, int] = {}
    for pause in pauses:
        clock.now += pause
        quota = window.take("a")
        assert 0 <= quota.remaining <= limit
        assert 1 <= quota.reset_seconds <= window_seconds
        slot = int(clock.now // window_seconds)
        granted[slot] = granted.get(slot, 0) + quota.allowed
    assert all(count <= limit for count in granted.values())


def test_memory_is_bounded_and_a_full_table_lets_new_clients_pass() -> None:
    window = SlidingWindow(1, 100, clock=Clock(), max_clients=3)
    assert all(window.take(f"client-{number}").allowed for number in range(50))
    assert not window.take("client-0").allowed
    assert window.take("client-49").allowed
    assert len(window._current) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        (None, None, True),
    ],
)
def test_whom_an_address_is_counted_as(one: str | None, other: str | None, same: bool) -> None:
    assert (client_key(one) == client_key(other)) is same

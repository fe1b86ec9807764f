"""The gates of the protocol on the protocol's own code: on seeds that nothing was tuned with, and on a population that nothing was
tuned on. The whole study, with more seeds, is docs/simulation."""

from __future__ import annotations

import pytest

from sigma_core.policy import PPM, Policy
from sigma_core.simulation.compare import Trial, failed_gates, trial
from sigma_core.simulation.population import SCENARIOS

FRESH = (7_001, 7_002)


@pytest.fixture(scope="module", params=sorted(SCENARIOS))
def fresh(request: pytest.FixtureRequest, policy: Policy) -> Trial:
    return trial("default", SCENARIOS[request.param], policy, FRESH)


def test_the_gates_hold(fresh: Trial) -> None:
    assert failed_gates(fresh) == []


def test_stake_does_not_buy_off_accuracy_and_splitting_it_gains_nothing(fresh: Trial) -> None:
    assert fresh.ratio_ppm("stake grinder")[2] < 300_000
    split, whole = fresh.ratio_ppm("sybil split")[0], fresh.ratio_ppm("sybil whole")[0]
    assert split * 100 <= whole * 105


def test_who_does_not_look_earns_next_to_nothing(fresh: Trial) -> None:
    honest = fresh.net_micro_usd("honest")
    for group in ("always safe", "random", "always unsafe", "copycat"):
        assert fresh.net_micro_usd(group) < honest // 10


def test_the_sleeper_clique_holds_less_than_the_honest_do(fresh: Trial) -> None:
    """No more than this is claimed: its curve is published as it is."""
    assert fresh.ratio_ppm("sleeper")[0] < fresh.ratio_ppm("honest")[0]


def test_hardly_anything_bad_is_certified(fresh: Trial) -> None:
    assert fresh.rate_ppm("unsafe_certified", "unsafe") < PPM // 500

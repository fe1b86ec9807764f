"""What is measured of the errors of language models on a bank is what their votes are worth together: counts kept, read by policy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly.independence import Calibration, effective_votes_ppm, error_correlation_ppm
from sigma_core.audit.families import calibration, embedded_families
from sigma_core.audit.model import Verdict
from sigma_core.lifecycle.error_correlation import Engine, calibration_with, correlation_document
from sigma_core.policy import PPM, IndependenceRules, Policy, Rung

SAFE, UNSAFE, ABSTAIN = Verdict.SAFE, Verdict.UNSAFE, Verdict.ABSTAIN
BANK = "ab" * 32
LABELS = (True, False) * 100
RULES = IndependenceRules(min_common_votes=40, prior_votes=0)


def wrong_on(*places: int) -> tuple[Verdict, ...]:
    """Votes on the bank that are right everywhere else."""
    return tuple(
        (SAFE if bad else UNSAFE) if at in places else (UNSAFE if bad else SAFE) for at, bad in enumerate(LABELS)
    )


def ladder(policy: Policy, *rungs: tuple[str, int, str]) -> Any:
    steps = tuple(Rung(family=family, tier=tier, provider="openai", model=model) for family, tier, model in rungs)
    return policy.language_models.model_copy(update={"ladder": steps})


def between(policy: Policy, *engines: Engine, rules: IndependenceRules = RULES) -> Calibration:
    models = ladder(policy, *((engine.family, engine.tier, engine.revision) for engine in engines if engine.tier))
    document = correlation_document(BANK, LABELS, engines)
    return calibration_with([engine.family for engine in engines], models, rules, document)


def test_models_that_err_together_are_one_voter_and_models_that_do_not_are_two(policy: Policy) -> None:
    gpt = Engine("gpt", 1, "gpt-x", wrong_on(*range(0, 20)))
    same, other = (Engine("claude", 1, "claude-x", wrong_on(*places)) for places in (range(0, 20), range(100, 120)))
    panel = ["claude", "gpt"]
    assert effective_votes_ppm(panel, between(policy, gpt, same)) == PPM
    assert effective_votes_ppm(panel, between(policy, gpt, other)) == 2 * PPM


def test_half_of_the_errors_in_common_is_the_phi_of_the_counts(policy: Policy) -> None:
    gpt = Engine("gpt", 1, "gpt-x", wrong_on(*range(20)))
    claude = Engine("claude", 1, "claude-x", wrong_on(*range(10, 30)))
    # (200·10 − 20·20) / √(20·180·20·180) = 1600/3600
    assert between(policy, gpt, claude).between("gpt", "claude") == 444_444


def test_a_language_model_is_measured_against_the_embedded_families_too(policy: Policy) -> None:
    embedded = embedded_families()[0]
    gpt = Engine("gpt", 1, "gpt-x", wrong_on(*range(20)))
    known = between(policy, gpt, Engine(embedded.family, 0, embedded.revision, wrong_on(*range(10, 30))))
    assert known.between("gpt", embedded.family) == 444_444
    # The embedded ones' own figures stay those of their own calibration.
    assert known.between(embedded.family, embedded.family) == calibration().between(embedded.family, embedded.family)


@pytest.mark.parametrize("stale", ["gpt", "embedded"])
def test_what_was_measured_of_an_engine_that_is_not_in_use_any_more_does_not_count(policy: Policy, stale: str) -> None:
    embedded = embedded_families()[0]
    engines = [
        Engine("gpt", 1, "gpt-x", wrong_on(*range(20))),
        Engine(embedded.family, 0, embedded.revision if stale == "gpt" else "another", wrong_on(*range(100, 120))),
    ]
    models = ladder(policy, ("gpt", 1, "gpt-y" if stale == "gpt" else "gpt-x"))
    document = correlation_document(BANK, LABELS, engines)
    known = calibration_with(["gpt", embedded.family], models, RULES, document)
    assert known.between("gpt", embedded.family) == PPM


def test_two_validators_of_one_model_family_are_one_voter(policy: Policy) -> None:
    tiers = [Engine("gpt", tier, f"gpt-{tier}", wrong_on(*range(tier * 20, tier * 20 + 20))) for tier in (1, 2)]
    assert effective_votes_ppm(["gpt", "gpt"], between(policy, *tiers)) == PPM


def test_of_several_tiers_the_pair_that_errs_together_most_counts(policy: Policy) -> None:
    engines = [
        Engine("gpt", 1, "gpt-1", wrong_on(*range(20))),
        Engine("gpt", 2, "gpt-2", wrong_on(*range(100, 120))),
        Engine("claude", 1, "claude-1", wrong_on(*range(20))),
    ]
    assert between(policy, *engines).between("gpt", "claude") == PPM


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (wrong_on(), wrong_on(1, 2)),  # one that never errs says nothing about errors in common
        (wrong_on(1, 2, 3), (ABSTAIN,) * 161 + wrong_on(180)[161:]),  # 39 common votes
    ],
)
def test_what_cannot_be_said_counts_as_one_voter(
    policy: Policy, first: tuple[Verdict, ...], second: tuple[Verdict, ...]
) -> None:
    known = between(policy, Engine("gpt", 1, "gpt-x", first), Engine("claude", 1, "claude-x", second))
    assert known.between("gpt", "claude") == PPM


def test_abstentions_are_no_votes(policy: Policy) -> None:
    document = correlation_document(
        BANK,
        LABELS,
        [
            Engine("gpt", 1, "gpt-x", (ABSTAIN,) * 50 + wrong_on(60)[50:]),
            Engine("claude", 1, "claude-x", wrong_on(10, 60, 70)),
        ],
    )
    [pair] = document["pairs"]
    assert (pair["votes"], pair["errors"], pair["common"]) == (150, [2, 1], 1)
    assert pair["families"] == ["claude", "gpt"]


def test_the_prior_counts_as_votes_on_which_both_erred_alike(policy: Policy) -> None:
    gpt = Engine("gpt", 1, "gpt-x", wrong_on(*range(20)))
    claude = Engine("claude", 1, "claude-x", wrong_on(*range(10, 30)))
    rules = IndependenceRules(min_common_votes=40, prior_votes=200)
    # Half of 444,444 and half of 1,000,000.
    assert between(policy, gpt, claude, rules=rules).between("gpt", "claude") == 722_222


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_the_integer_phi_is_the_correlation_of_the_two_series(errors: list[tuple[bool, bool]]) -> None:
    votes, first, second = len(errors), sum(one for one, _ in errors), sum(other for _, other in errors)
    found = error_correlation_ppm(votes, first, second, sum(one and other for one, other in errors))
    if len({one for one, _ in errors}) < 2 or len({other for _, other in errors}) < 2:
        assert found is None
        return
    assert found is not None
    spread = (first * (votes - first) * second * (votes - second)) ** 0.5
    covariance = sum((one - first / votes) * (other - second / votes) for one, other in errors) * votes
    # The root is rounded down by less than one.
    assert found == pytest.approx(PPM * covariance / spread, abs=PPM / int(spread) + 2)
    assert found == error_correlation_ppm(votes, second, first, sum(one and other for one, other in errors))

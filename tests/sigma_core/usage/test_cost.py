"""The price table and the cost rules: integers, rounded once, and unknown is never nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.audit.language_models.attempts import Attempt, AttemptState, Call, Tokens
from sigma_core.usage.cost import Costing, cost_of, most_micro_usd
from sigma_core.usage.prices import Price, PriceTableError, load_prices

PRICES = load_prices()
CALL = Call("k", "rnd_1", "sub_1", 1, "val_1", "audit", "openai", "gpt-4o-mini", b"{}", 1_000, 1_000)
TOKENS = Tokens(3_000, 9_000, 0, 800, 0)
DONE = Attempt(CALL, 1, AttemptState.DONE, "stop", 200, tokens=TOKENS, billed=True, response=b"x" * 300)
FAILED = Attempt(CALL, 1, AttemptState.FAILED, "http_500", 500)
counts = st.integers(0, 10**6)


def costed(attempt: Attempt, **changes: Any) -> Costing:
    return cost_of(replace(attempt, **changes), PRICES)


@pytest.mark.parametrize(
    ("provider", "model", "micro_usd"),
    [
        ("openai", "gpt-4o-mini", 1_605),
        ("openai", "gpt-5", 12_875),
        ("anthropic", "claude-sonnet-4-5", 23_700),
        ("anthropic", "claude-opus-4-5", 39_500),
        ("openrouter", "google/gemini-2.5-flash", 3_170),
    ],
)
def test_twelve_thousand_tokens_in_of_which_nine_cached_and_800_out(provider: str, model: str, micro_usd: int) -> None:
    """The figures that were measured with another price library (design/measured/llm.md)."""
    price = PRICES.price(provider, model)
    assert price is not None
    assert price.cost_micro_usd(TOKENS) == micro_usd


@given(st.tuples(counts, counts, counts, counts, counts), st.tuples(*[st.integers(0, 10**8)] * 4))
def test_a_cost_is_rounded_half_up_once_and_never_above_what_was_held(
    buckets: tuple[int, ...], prices: tuple[int, ...]
) -> None:
    uncached, read, written, out = prices
    price = Price(provider="p", model="m", uncached_in=uncached, cache_read=read, cache_write=written, out=out)
    tokens = Tokens(*buckets)
    exact = tokens.uncached_in * uncached + tokens.cache_read * read + tokens.cache_write * written
    exact += (tokens.out + tokens.reasoning) * out
    cost = price.cost_micro_usd(tokens)
    assert -500_000 < cost * 10**6 - exact <= 500_000
    assert cost <= price.most_micro_usd(sum(buckets[:3]), tokens.out + tokens.reasoning)


def test_the_providers_own_figure_comes_before_the_table() -> None:
    assert costed(DONE, reported_cost_micro_usd=7) == Costing(TOKENS, "provider", 7, "provider")
    assert costed(DONE) == Costing(TOKENS, "provider", 1_605, "table")


def test_what_is_not_billed_is_known_to_be_nothing() -> None:
    assert costed(FAILED, billed=False) == Costing(Tokens(), "none", 0, "zero")
    own = replace(CALL, provider="vllm", model="Qwen/Qwen3-32B", local=True)
    assert costed(DONE, call=own) == Costing(TOKENS, "provider", 0, "zero")


def test_a_rented_machine_is_paid_by_the_price_that_its_operator_gives_it() -> None:
    rented = replace(CALL, local=True)  # the table names this model
    assert costed(DONE, call=rented) == Costing(TOKENS, "provider", 1_605, "table")
    assert costed(DONE, call=rented, tokens=None).micro_usd is None
    assert most_micro_usd(rented, PRICES, 250_000) == 150 + 600


@pytest.mark.parametrize(
    "attempt",
    [
        FAILED,
        replace(FAILED, code="deadline", http_status=None),
        replace(FAILED, state=AttemptState.CANCELLED),
        replace(FAILED, state=AttemptState.LOST),
        replace(DONE, call=replace(CALL, model="unheard-of")),
        replace(DONE, state=AttemptState.FAILED, code="other_model"),
        replace(DONE, tokens=None),
    ],
    ids=lambda attempt: f"{attempt.state.value}-{attempt.code}-{attempt.call.model}",
)
def test_what_is_not_known_is_unknown_and_not_nothing(attempt: Attempt) -> None:
    costing = cost_of(attempt, PRICES)
    assert (costing.micro_usd, costing.cost_source) == (None, "unknown")


def test_an_answer_without_counts_has_estimated_tokens_and_no_cost() -> None:
    assert costed(DONE, tokens=None) == Costing(Tokens(uncached_in=1_000, out=100), "estimated", None, "unknown")


def test_an_attempt_holds_the_most_that_it_can_cost() -> None:
    assert most_micro_usd(CALL, PRICES, 250_000) == 150 + 600
    assert most_micro_usd(replace(CALL, model="unheard-of"), PRICES, 250_000) == 250_000
    assert most_micro_usd(replace(CALL, provider="vllm", local=True), PRICES, 250_000) == 0


def test_the_table_is_named_by_its_date_and_hash(tmp_path: Path) -> None:
    assert PRICES.name.startswith("2026-11-21/")
    assert len(PRICES.name) <= 80
    (tmp_path / "same.toml").write_text(f"# other words\n{_text()}")
    (tmp_path / "other.toml").write_text(_text().replace("out = 600_000", "out = 600_001"))
    assert load_prices(tmp_path / "same.toml").name == PRICES.name
    assert load_prices(tmp_path / "other.toml").name != PRICES.name


def _text() -> str:
    from sigma_core.usage.prices import DEFAULT_PRICE_FILE

    return DEFAULT_PRICE_FILE.read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("snapshot = ", "not TOML"),
        ('snapshot = "x"', "models: Field required"),
        ('snapshot = "x"\nmodels = []\nextra = 1', "extra: Extra inputs are not permitted"),
        (
            'snapshot = "x"\n[[models]]\nprovider = "p"\nmodel = "m"\nuncached_in = 0.5\ncache_read = 1\ncache_write = 1\nout = 1',
            "models.0.uncached_in: Input should be a valid integer",
        ),
        (
            'snapshot = "x"\n[[models]]\nprovider = "p"\nmodel = "m"\nuncached_in = -1\ncache_read = 1\ncache_write = 1\nout = 1',
            "models.0.uncached_in: Input should be greater than or equal to 0",
        ),
    ],
)
def test_a_price_file_that_breaks_a_rule_is_refused_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(text)
    with pytest.raises(PriceTableError, match=said):
        load_prices(tmp_path / "prices.toml")


def test_a_model_with_two_prices_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.toml").write_text(_text() + _text().partition("\n\n")[2])
    with pytest.raises(PriceTableError, match="openai/gpt-4o-mini has two prices"):
        load_prices(tmp_path / "twice.toml")
    with pytest.raises(PriceTableError, match="No such file"):
        load_prices(tmp_path / "none.toml")

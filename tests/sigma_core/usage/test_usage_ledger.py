"""The ledger on both databases: claims, budgets that stop before spending, one row an attempt, books that agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from sigma_core.audit.language_models.attempts import Attempt, AttemptState, BudgetSpent, Call, CallTaken, Tokens
from sigma_core.policy import LanguageModelRules
from sigma_core.storage.blobs import Blobs
from sigma_core.storage.engine import open_engine, session_factory
from sigma_core.storage.migrations import upgrade
from sigma_core.storage.usage import BudgetRow, CallAttemptRow, CallRow
from sigma_core.usage.ledger import UsageLedger
from sigma_core.usage.prices import load_prices
from sigma_core.usage.reconciliation import ProviderTotal, budgets_that_disagree, reconcile

START = datetime(2026, 11, 21, 23, 59, 0, tzinfo=UTC)
CALL = Call(
    "rnd_1/1/3/val_1/audit1", "rnd_1", "sub_1", 1, "val_1", "audit", "openai", "gpt-4o-mini", b'{"q": 1}', 1_000, 1_000
)
HELD = 750
COST = 1_605
TOKENS = Tokens(3_000, 9_000, 0, 600, 200)


class Books:
    """A ledger with a clock of its own."""

    def __init__(self, sessions: sessionmaker[Session], blobs: Blobs, **limits: int) -> None:
        self.sessions, self.blobs, self.now = sessions, blobs, START
        self.ledger = UsageLedger(sessions, blobs, load_prices(), LanguageModelRules(**limits), lambda: self.now)

    def rows(self) -> list[CallAttemptRow]:
        with self.sessions() as session:
            return list(
                session.scalars(select(CallAttemptRow).order_by(CallAttemptRow.call_key, CallAttemptRow.attempt_number))
            )

    def budgets(self) -> dict[str, int]:
        with self.sessions() as session:
            return {row.scope: row.committed_micro_usd for row in session.scalars(select(BudgetRow))}

    def make(self, call: Call = CALL, number: int = 1, **fields: Any) -> None:
        """One attempt from its reservation to its row."""
        reservation = self.ledger.reserve(call, number)
        self.ledger.record(attempt(call, number, **fields), reservation)


def attempt(call: Call = CALL, number: int = 1, **fields: Any) -> Attempt:
    done: dict[str, Any] = {
        "state": AttemptState.DONE,
        "code": "stop",
        "http_status": 200,
        "tokens": TOKENS,
        "billed": True,
        "response": b'{"a": 1}',
        "model_echoed": "gpt-4o-mini-2024-07-18",
    }
    return Attempt(call, number, **{**done, **fields})


FAILED: dict[str, Any] = {
    "state": AttemptState.FAILED,
    "code": "http_500",
    "http_status": 500,
    "tokens": None,
    "billed": None,
}


@pytest.fixture
def make_books(database_url: str) -> Iterator[Callable[..., Books]]:
    engine = open_engine(database_url)
    upgrade(engine, "usage")
    blobs = Blobs("memory://")
    yield lambda **limits: Books(session_factory(engine), blobs, **limits)
    engine.dispose()


@pytest.fixture
def books(make_books: Callable[..., Books]) -> Books:
    return make_books()


def test_a_call_is_claimed_once_and_then_answered_from_its_record(books: Books) -> None:
    assert books.ledger.claim(CALL).next_attempt == 1
    assert books.ledger.claim(CALL).wait_ms == 100_000  # an attempt's deadline and a margin
    books.make()
    assert books.ledger.claim(CALL).response == b'{"a": 1}'


def test_a_call_that_was_given_up_may_be_made_again_and_goes_on_counting(books: Books) -> None:
    books.ledger.claim(CALL)
    books.make(**FAILED)
    books.ledger.release(CALL)
    assert books.ledger.claim(CALL).next_attempt == 2


def test_what_a_killed_worker_had_begun_is_recorded_as_lost_and_stays_paid_for(books: Books) -> None:
    books.ledger.claim(CALL)
    books.make(**FAILED)
    books.ledger.reserve(CALL, 2)  # and then it is killed
    books.now += timedelta(seconds=101)
    assert books.ledger.claim(CALL).next_attempt == 3
    lost = books.rows()[1]
    assert (lost.attempt_number, lost.state, lost.cost_micro_usd, lost.budget_micro_usd) == (2, "lost", None, HELD)
    assert books.budgets()["round/rnd_1"] == 2 * HELD
    books.make(number=3)
    assert budgets_that_disagree(books.sessions, books.now) == ()


def test_a_worker_whose_claim_lapsed_cannot_go_on_beside_its_successor(books: Books) -> None:
    books.ledger.claim(CALL)
    books.ledger.reserve(CALL, 1)
    books.now += timedelta(seconds=101)
    assert books.ledger.claim(CALL).next_attempt == 2
    books.ledger.reserve(CALL, 2)
    with pytest.raises(CallTaken):
        books.ledger.reserve(CALL, 2)


def test_each_attempt_renews_the_claim(books: Books) -> None:
    books.ledger.claim(CALL)
    books.now += timedelta(seconds=90)
    books.make(**FAILED)
    books.now += timedelta(seconds=90)
    assert books.ledger.claim(CALL).wait_ms == 10_000


def test_only_one_of_many_workers_gets_the_call(books: Books) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: books.ledger.claim(CALL), range(16)))
    assert sum(claim.wait_ms == 0 for claim in claims) == 1


def test_the_same_question_under_another_key_is_answered_from_the_first(books: Books) -> None:
    books.ledger.claim(CALL)
    books.make()
    again = replace(CALL, key="rnd_1/1/4/val_1/audit1")
    assert books.ledger.claim(again).response == b'{"a": 1}'
    for other in (
        replace(again, key="k2", body=b"{}"),
        replace(again, key="k3", model="gpt-5"),
        replace(again, key="k4", provider="vllm"),
    ):
        assert books.ledger.claim(other).response is None
    assert len(books.rows()) == 1


def test_a_row_says_what_the_attempt_was_and_took(books: Books) -> None:
    books.ledger.claim(CALL)
    books.make()
    row = books.rows()[0]
    assert (row.uncached_in, row.cache_read, row.cache_write, row.tokens_out, row.reasoning) == (
        3_000,
        9_000,
        0,
        600,
        200,
    )
    assert (row.usage_source, row.cost_micro_usd, row.cost_source, row.budget_micro_usd) == (
        "provider",
        COST,
        "table",
        COST,
    )
    assert row.model_revision == "gpt-4o-mini-2024-07-18"
    assert row.price_snapshot == load_prices().name
    assert books.blobs.get(row.price_snapshot.partition("/")[2]) == load_prices().canonical_bytes
    assert books.blobs.get(row.request_sha256) == CALL.body
    assert books.blobs.get(str(row.response_sha256)) == b'{"a": 1}'


def test_recording_an_attempt_again_adds_nothing_and_settles_nothing(books: Books) -> None:
    books.ledger.claim(CALL)
    reservation = books.ledger.reserve(CALL, 1)
    for _ in range(2):
        books.ledger.record(attempt(), reservation)
    assert len(books.rows()) == 1
    assert books.budgets()["round/rnd_1"] == COST


def test_where_both_of_a_hedged_pair_answer_both_are_paid_and_the_first_answer_stays(books: Books) -> None:
    books.ledger.claim(CALL)
    pair = [books.ledger.reserve(CALL, number) for number in (1, 2)]
    for number in (2, 1):
        books.ledger.record(attempt(number=number, response=b'{"a": %d}' % number), pair[number - 1])
    assert books.ledger.claim(CALL).response == b'{"a": 2}'
    assert [row.state for row in books.rows()] == ["done", "done"]
    assert books.budgets()["round/rnd_1"] == 2 * COST


def test_money_is_held_before_and_settled_after(books: Books) -> None:
    books.ledger.claim(CALL)
    reservation = books.ledger.reserve(CALL, 1)
    assert books.budgets() == {"round/rnd_1": HELD, "day/2026-11-21": HELD}
    books.now += timedelta(minutes=2)  # midnight passes: the day that was held is the day that is settled
    books.ledger.record(attempt(), reservation)
    assert books.budgets() == {"round/rnd_1": COST, "day/2026-11-21": COST}


def test_an_attempt_of_unknown_cost_keeps_what_was_held_and_one_that_is_not_billed_gives_it_back(books: Books) -> None:
    books.ledger.claim(CALL)
    books.make(**FAILED)
    assert books.budgets()["round/rnd_1"] == HELD
    books.make(number=2, **{**FAILED, "code": "http_429", "billed": False})
    assert books.budgets()["round/rnd_1"] == HELD
    assert [row.cost_micro_usd for row in books.rows()] == [None, 0]


@pytest.mark.parametrize(
    ("limits", "scope"),
    [
        ({"round_budget_micro_usd": 2 * HELD + 1}, "round/rnd_1"),
        ({"day_budget_micro_usd": 2 * HELD + 1}, "day/2026-11-21"),
    ],
)
def test_a_budget_stops_before_it_is_overspent_and_holds_nothing_then(
    make_books: Callable[..., Books], limits: dict[str, int], scope: str
) -> None:
    books = make_books(**limits)
    books.ledger.claim(CALL)
    for number in (1, 2):
        books.ledger.reserve(CALL, number)
    before = books.budgets()
    with pytest.raises(BudgetSpent, match=rf"the budget of {scope} is spent: 1500 of 1501 micro-USD .* may take 750"):
        books.ledger.reserve(CALL, 3)
    assert books.budgets() == before == {"round/rnd_1": 2 * HELD, "day/2026-11-21": 2 * HELD}


def test_a_new_day_and_a_new_round_have_budgets_of_their_own(make_books: Callable[..., Books]) -> None:
    books = make_books(day_budget_micro_usd=HELD, round_budget_micro_usd=2 * HELD)
    books.ledger.claim(CALL)
    books.ledger.reserve(CALL, 1)
    books.now += timedelta(days=1)
    books.ledger.reserve(CALL, 2)
    with pytest.raises(BudgetSpent, match="round/rnd_1"):
        books.ledger.reserve(CALL, 3)
    books.now += timedelta(days=1)
    other = replace(CALL, key="rnd_2/call", round_id="rnd_2", body=b"{}")
    books.ledger.claim(other)
    books.ledger.reserve(other, 1)


def test_workers_that_spend_at_once_spend_no_more_than_there_is(make_books: Callable[..., Books]) -> None:
    books = make_books(day_budget_micro_usd=10 * HELD)

    def spend(number: int) -> bool:
        call = replace(CALL, key=f"call-{number}", round_id=f"rnd_{number % 3}", body=b"%d" % number)
        books.ledger.claim(call)
        try:
            books.ledger.reserve(call, 1)
        except BudgetSpent:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        spent = list(pool.map(spend, range(30)))
    assert sum(spent) == 10
    assert books.budgets()["day/2026-11-21"] == 10 * HELD


def test_a_model_on_the_operators_own_machine_is_on_no_budget(make_books: Callable[..., Books]) -> None:
    books = make_books(day_budget_micro_usd=0, round_budget_micro_usd=0)
    books.ledger.claim(CALL)
    books.make(replace(CALL, provider="vllm", local=True))
    assert books.budgets() == {}
    assert (books.rows()[0].cost_micro_usd, books.rows()[0].cost_source) == (0, "zero")


# Reconciliation


def test_a_row_that_is_missing_or_changed_shows_in_the_rounds_budget(books: Books) -> None:
    books.ledger.claim(CALL)
    books.make()
    assert budgets_that_disagree(books.sessions, books.now) == ()
    with books.sessions.begin() as session:
        session.scalars(select(CallAttemptRow)).one().budget_micro_usd -= 1
    day, round_ = budgets_that_disagree(books.sessions, books.now)
    assert str(round_) == f"round/rnd_1: micro-USD is {COST - 1} here and {COST} there; unexplained"
    assert str(day).startswith("day/2026-11-21: ")


def test_a_budget_that_is_missing_shows(books: Books) -> None:
    books.ledger.claim(CALL)
    books.make()
    with books.sessions.begin() as session:
        session.delete(session.get_one(BudgetRow, "day/2026-11-21"))
    (found,) = budgets_that_disagree(books.sessions, books.now)
    assert (found.subject, found.ours, found.theirs) == ("day/2026-11-21", COST, 0)


def test_an_attempt_that_runs_over_midnight_is_of_the_utc_day_on_which_it_began(books: Books) -> None:
    books.ledger.claim(CALL)
    reservation = books.ledger.reserve(CALL, 1)
    books.now += timedelta(minutes=2)
    books.ledger.record(attempt(), reservation)
    assert (books.rows()[0].begun_on, f"{books.rows()[0].created_at:%Y-%m-%d}") == ("2026-11-21", "2026-11-22")
    assert budgets_that_disagree(books.sessions, books.now) == ()
    assert reconcile(books.sessions, [ProviderTotal("openai", "gpt-4o-mini", "2026-11-21", 12_000, 800, COST)]) == ()


def test_an_attempt_of_a_worker_that_died_explains_that_more_is_held_than_was_spent_and_never_less(
    books: Books,
) -> None:
    books.ledger.claim(CALL)
    books.ledger.reserve(CALL, 1)
    books.now += timedelta(seconds=101)
    found = budgets_that_disagree(books.sessions, books.now)
    assert {(each.subject, each.ours, each.theirs, each.explained) for each in found} == {
        ("round/rnd_1", 0, HELD, True),
        ("day/2026-11-21", 0, HELD, True),
    }
    other = replace(CALL, key="rnd_1/other", body=b"{}")
    books.ledger.claim(other)
    books.make(other)
    with books.sessions.begin() as session:
        session.get_one(BudgetRow, "round/rnd_1").committed_micro_usd = COST - 1
    assert not budgets_that_disagree(books.sessions, books.now)[-1].explained


def test_a_round_with_a_call_under_way_is_not_held_against_its_budget_yet(books: Books) -> None:
    books.ledger.claim(CALL)
    books.ledger.reserve(CALL, 1)
    assert budgets_that_disagree(books.sessions, books.now) == ()


TOTAL = ProviderTotal("openai", "gpt-4o-mini", "2026-11-21", 24_000, 1_600, 2 * COST)


def two_answers(books: Books) -> None:
    for name in ("one", "two"):
        call = replace(CALL, key=name, body=name.encode())
        books.ledger.claim(call)
        books.make(call)


def test_our_rows_give_the_providers_totals(books: Books) -> None:
    two_answers(books)
    assert reconcile(books.sessions, [TOTAL]) == ()
    assert reconcile(books.sessions, [replace(TOTAL, cost_micro_usd=2 * COST + 1)]) == ()  # half a micro-USD each


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"tokens_in": 24_001}, "tokens in"),
        ({"tokens_out": 1_599}, "tokens out"),
        ({"cost_micro_usd": 2 * COST + 2}, "micro-USD"),
    ],
)
def test_a_total_that_we_do_not_have_is_named(books: Books, changes: dict[str, int], what: str) -> None:
    two_answers(books)
    (found,) = reconcile(books.sessions, [replace(TOTAL, **changes)])
    assert (found.what, found.explained) == (what, False)


def test_attempts_of_unknown_usage_explain_that_the_provider_has_more_and_never_that_it_has_less(books: Books) -> None:
    two_answers(books)
    call = replace(CALL, key="cut")
    books.ledger.claim(call)
    books.make(call, **FAILED)
    (more,) = reconcile(books.sessions, [replace(TOTAL, tokens_in=25_000)])
    (less,) = reconcile(books.sessions, [replace(TOTAL, tokens_in=23_000)])
    assert (more.explanation, less.explanation) == ("1 attempts of which nobody told us can explain it", "")


def test_a_model_without_a_price_explains_another_sum_of_money_and_no_other_tokens(books: Books) -> None:
    call = replace(CALL, key="unpriced", model="gpt-9")
    books.ledger.claim(call)
    books.make(call)
    total = ProviderTotal("openai", "gpt-9", "2026-11-21", 12_001, 800, 5_000)
    assert [(each.what, each.explained) for each in reconcile(books.sessions, [total])] == [
        ("tokens in", False),
        ("micro-USD", True),
    ]


def test_the_answer_of_another_model_is_on_that_models_bill(books: Books) -> None:
    books.ledger.claim(CALL)
    books.make(state=AttemptState.FAILED, code="other_model", billed=None, model_echoed="gpt-5")
    assert reconcile(books.sessions, [ProviderTotal("openai", "gpt-4o-mini", "2026-11-21", 0, 0, 0)]) == ()


def test_what_is_billed_by_the_name_with_a_date_is_held_against_the_model_that_was_asked(books: Books) -> None:
    two_answers(books)
    third = replace(CALL, key="three", body=b"three")
    books.ledger.claim(third)
    books.make(third, model_echoed="gpt-4o-mini-2025-02-02")
    old = replace(TOTAL, model="gpt-4o-mini-2024-07-18")
    new = ProviderTotal("openai", "gpt-4o-mini-2025-02-02", "2026-11-21", 12_000, 800, COST)
    assert reconcile(books.sessions, [old, new]) == ()
    assert [(each.subject, each.what) for each in reconcile(books.sessions, [old])] == [
        ("openai/gpt-4o-mini on 2026-11-21", what) for what in ("tokens in", "tokens out", "micro-USD")
    ]


def test_another_day_is_another_total_and_a_model_that_a_provider_does_not_list_was_not_billed(books: Books) -> None:
    two_answers(books)
    empty = replace(TOTAL, tokens_in=0, tokens_out=0, cost_micro_usd=0)
    assert reconcile(books.sessions, [replace(empty, day="2026-11-22"), replace(empty, provider="vllm")]) == ()
    found = reconcile(books.sessions, [replace(empty, model="gpt-5")])
    assert [(each.subject, each.what, each.theirs) for each in found] == [
        ("openai/gpt-4o-mini on 2026-11-21", "tokens in", 0),
        ("openai/gpt-4o-mini on 2026-11-21", "tokens out", 0),
    ]


def test_answers_are_on_record_even_where_the_table_of_calls_says_they_are_not_done(books: Books) -> None:
    """The two are written in one transaction."""
    books.ledger.claim(CALL)
    books.make()
    with books.sessions() as session:
        row = session.scalars(select(CallRow)).one()
    assert (row.state, row.response_sha256) == ("done", books.rows()[0].response_sha256)

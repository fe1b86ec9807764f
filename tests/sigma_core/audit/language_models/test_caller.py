"""Calls against the scripted server: limits, hedges, the breaker, deadlines, and a call that is never made twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from model_samples import PLACE, POLICY, MemoryLedger, call, endpoint, request, rules, rung

from sigma_core.audit.language_models.attempts import (
    Attempt,
    AttemptState,
    BudgetSpent,
    Call,
    CallTaken,
    Claim,
    Reservation,
)
from sigma_core.audit.language_models.caller import Caller
from sigma_core.errors import Unavailable
from tests.scripted_models import FAULTS, OK, ScriptedModels, Step, changed, error, serving, slow

BODY = json.dumps(
    {"model": "m1", "messages": [{"role": "user", "content": '\nfiles shown: ["a"]\nTask: x. Canary: c'}]}
).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedModels]:
    with serving() as models:
        yield models


@pytest.fixture(autouse=True)
def _fresh(server: ScriptedModels) -> None:
    server.script.clear()
    server.by_model.clear()
    server.asked.clear()
    server.most_at_once = 0


def question(name: str = "audit1", model: str = "m1") -> Call:
    return call(f"rnd_1/1/3/val_1/{name}", model=model, body=BODY.replace(b"m1", model.encode()))


def suppressed(asking: Asking, *calls: Call) -> None:
    """Ask until the caller is closed."""
    with suppress(BaseException):
        asking.ask(*calls)


class Asking:
    """A caller on the scripted server with a ledger in memory."""

    def __init__(self, server: ScriptedModels, ledger: MemoryLedger | None = None, **fields: Any) -> None:
        self.ledger = ledger or MemoryLedger()
        self.caller = Caller({"openai": endpoint(server.url)}, rules(**fields), self.ledger)

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.caller.close()

    def ask(self, *calls: Call) -> list[str]:
        """Each call's fault, empty where it was answered."""
        return [settled.fault for settled in self.caller.ask_all(calls)]


def test_a_call_that_was_answered_is_never_made_again(server: ScriptedModels) -> None:
    with Asking(server) as asking:
        first = asking.caller.ask_all([question()])
        again = asking.caller.ask_all([question()])
    assert first == again
    assert len(server.asked) == len(asking.ledger.rows) == 1


def test_attempts_go_on_counting_where_a_killed_worker_stopped(server: ScriptedModels) -> None:
    ledger = MemoryLedger(begun={question().key: 2})
    with Asking(server, ledger) as asking:
        asking.ask(question())
    assert [attempt.number for attempt in ledger.rows] == [3]


def test_a_call_that_another_worker_has_taken_over_is_left_to_it_and_its_answer_is_waited_for(
    server: ScriptedModels,
) -> None:
    class TakenOver(MemoryLedger):
        """The claim lapses before the attempt begins; the other worker answers a moment later."""

        taken = waited = False
        released: ClassVar[list[str]] = []

        def claim(self, call: Call) -> Claim:
            if self.taken and not self.waited:
                self.waited = True
                return Claim(wait_ms=5)
            if self.taken:
                self.answers[call.key] = self.answers[question("theirs").key]
            return super().claim(call)

        def reserve(self, call: Call, attempt_number: int) -> Reservation:
            if call.key == question("theirs").key:
                return super().reserve(call, attempt_number)
            self.taken = True
            raise CallTaken("another worker makes this call")

        def release(self, call: Call) -> None:
            self.released.append(call.key)

    with Asking(server, ledger := TakenOver()) as asking:
        assert asking.ask(question("theirs")) == asking.ask(question("ours")) == [""]
    assert (ledger.waited, ledger.released) == (True, [])  # to release it would be to take it from them
    assert len(server.asked) == len(ledger.rows) == 1


def test_no_more_calls_at_once_than_the_policy_allows(server: ScriptedModels) -> None:
    server.play(*[slow(0.1)] * 12)
    with Asking(server, calls_at_once=3) as asking:
        assert asking.ask(*(question(f"audit{number}") for number in range(12))) == [""] * 12
    assert server.most_at_once == 3


def test_a_storm_of_429_is_sat_out_and_every_refusal_is_a_record(server: ScriptedModels) -> None:
    server.play(*[error(429, "0"), error(429)] * 8)
    with Asking(server, attempts_per_call=16) as asking:
        assert asking.ask(*(question(f"audit{number}") for number in range(8))) == [""] * 8
    assert len(server.asked) == len(asking.ledger.rows) == 16 + 8
    assert asking.ledger.codes.count("http_429") == 16


def test_a_provider_that_asks_for_too_long_a_wait_is_given_up(server: ScriptedModels) -> None:
    server.play(error(429, "3600"))
    with Asking(server, retry_after_cap_ms=60_000) as asking:
        assert asking.ask(question()) == ["openai asks to wait for 3600 s, which is too long"]
    assert asking.ledger.codes == ["http_429"]


def test_a_provider_that_is_down_and_says_for_how_long_is_believed(server: ScriptedModels) -> None:
    server.play(error(503, "3600"), error(529, "50"))
    with Asking(server) as asking:  # 50 s are less than the cap and more than the call's deadline
        assert asking.ask(question("one")) == ["openai asks to wait for 3600 s, which is too long"]
        assert asking.ask(question("two")) == [
            "openai did not answer: http_529, the fault is the provider's, and no time was left to ask again"
        ]


def test_a_response_that_comes_drop_by_drop_is_cut_at_the_attempts_deadline(server: ScriptedModels) -> None:
    server.play(Step("drip", drip=0.2))
    with Asking(server, attempt_deadline_ms=1_500) as asking:
        assert asking.ask(question()) == [""]
    assert asking.ledger.codes == ["deadline", "stop"]


def test_a_cookie_is_not_sent_back(server: ScriptedModels) -> None:
    server.play(Step("cookie", headers=(("set-cookie", "seat=1; path=/"),)))
    with Asking(server) as asking:
        asking.ask(*(question(f"audit{number}") for number in range(4)))
        asking.ask(*(question(f"again{number}") for number in range(8)))
    assert not any("cookie" in asked.headers for asked in server.asked)


def test_a_wait_that_the_deadline_does_not_cover_is_not_waited(server: ScriptedModels) -> None:
    server.play(error(429, "50"))
    with Asking(server, call_deadline_ms=2_000) as asking:
        assert asking.ask(question()) == [
            "openai did not answer: http_429, too many requests, and no time was left to ask again"
        ]


def test_an_attempt_that_hangs_is_cut_at_its_deadline_and_asked_again(server: ScriptedModels) -> None:
    server.play(slow(30))
    with Asking(server, attempt_deadline_ms=1_500) as asking:
        assert asking.ask(question()) == [""]
    assert asking.ledger.codes == ["deadline", "stop"]
    assert asking.ledger.rows[0].billed is None  # it may have been answered, and paid, all the same


def test_one_slow_model_does_not_hold_up_another(server: ScriptedModels) -> None:
    """Each provider and model has limits of its own."""
    server.play(*[slow(30)] * 2, model="slow")
    with Asking(server, calls_at_once=2) as asking:
        waiting = threading.Thread(target=suppressed, args=[asking, question("a", "slow"), question("b", "slow")])
        waiting.start()
        while len(server.asked) < 2:
            waiting.join(0.01)
        assert asking.ask(*(question(f"audit{number}") for number in range(8))) == [""] * 8
        assert {attempt.call.model for attempt in asking.ledger.rows} == {"m1"}
    waiting.join()


def test_a_call_slower_than_95_of_100_is_asked_twice_and_both_are_recorded(server: ScriptedModels) -> None:
    with Asking(server, hedge_after_calls=5) as asking:
        asking.ask(*(question(f"audit{number}") for number in range(10)))
        server.play(slow(30), OK)
        assert asking.ask(question("late")) == [""]
    late = [attempt for attempt in asking.ledger.rows if attempt.call.key.endswith("late")]
    assert sorted((attempt.number, attempt.state) for attempt in late) == [
        (1, AttemptState.CANCELLED),
        (2, AttemptState.DONE),
    ]
    assert next(attempt for attempt in late if attempt.number == 1).billed is None


def test_where_both_of_a_hedged_pair_answer_the_answer_on_record_is_the_one_that_counts(server: ScriptedModels) -> None:
    second = threading.Event()

    class FirstComesBackLate(MemoryLedger):
        """The first answer is written first, and its caller hears of it last."""

        def record(self, attempt: Attempt, reservation: Reservation) -> None:
            late = attempt.call.key.endswith("late")
            if late and attempt.number == 2:
                while attempt.call.key not in self.answers:
                    second.wait(0.01)
            super().record(attempt, reservation)
            if late and attempt.number == 2:
                second.set()
            elif late:
                second.wait(5)

    with Asking(server, FirstComesBackLate(), hedge_after_calls=5) as asking:
        asking.ask(*(question(f"audit{number}") for number in range(10)))
        server.play(slow(2.0, changed("first", confidence=1)), slow(2.0, changed("second", confidence=2)))
        (settled,) = asking.caller.ask_all([question("late")])
        assert settled == asking.caller.ask_all([question("late")])[0]
    late = [attempt for attempt in asking.ledger.rows if attempt.call.key.endswith("late")]
    assert [attempt.state for attempt in late] == [AttemptState.DONE, AttemptState.DONE]
    assert settled.reply is not None
    assert json.loads(settled.reply.content)["confidence"] == 1


def test_a_hedge_that_is_called_off_while_its_money_is_being_held_is_a_record_and_free(server: ScriptedModels) -> None:
    answered = threading.Event()

    class HoldsSlowly(MemoryLedger):
        def reserve(self, call: Call, attempt_number: int) -> Reservation:
            reserved = super().reserve(call, attempt_number)
            if attempt_number == 2:
                answered.wait(5)
                time.sleep(0.2)  # until the caller has heard of the answer
            return reserved

        def record(self, attempt: Attempt, reservation: Reservation) -> None:
            super().record(attempt, reservation)
            if attempt.call.key.endswith("late"):
                answered.set()

    with Asking(server, HoldsSlowly(), hedge_after_calls=5) as asking:
        asking.ask(*(question(f"audit{number}") for number in range(10)))
        server.play(slow(2.0))
        assert asking.ask(question("late")) == [""]
    late = {attempt.number: attempt for attempt in asking.ledger.rows if attempt.call.key.endswith("late")}
    assert {number: attempt.state for number, attempt in late.items()} == {
        1: AttemptState.DONE,
        2: AttemptState.CANCELLED,
    }
    assert len(asking.ledger.rows) == sum(asking.ledger.begun.values())


def test_where_the_hedge_fails_the_first_attempt_may_still_answer(server: ScriptedModels) -> None:
    with Asking(server, hedge_after_calls=5) as asking:
        asking.ask(*(question(f"audit{number}") for number in range(10)))
        server.play(slow(2.0), FAULTS["http_500"])
        assert asking.ask(question("late")) == [""]
    assert [attempt.code for attempt in asking.ledger.rows[-2:]] == ["http_500", "stop"]


def test_there_is_no_hedge_without_money_for_it(server: ScriptedModels) -> None:
    with Asking(server, hedge_after_calls=5) as asking:
        asking.ask(*(question(f"audit{number}") for number in range(10)))
        asking.ledger.attempts_left = 1
        server.play(slow(2.0))
        assert asking.ask(question("late")) == [""]
    assert len(asking.ledger.rows) == 11


def test_a_hedge_that_was_refused_is_no_attempt_and_leaves_no_gap_in_their_numbers(server: ScriptedModels) -> None:
    class Poor(MemoryLedger):
        refusals = 1

        def reserve(self, call: Call, attempt_number: int) -> Reservation:
            if attempt_number == 2 and self.refusals:
                self.refusals -= 1
                raise BudgetSpent("the budget of the day is spent")
            return super().reserve(call, attempt_number)

    with Asking(server, Poor(), hedge_after_calls=5) as asking:
        asking.ask(*(question(f"audit{number}") for number in range(10)))
        server.play(slow(2.0, error(500)))
        assert asking.ask(question("late")) == [""]
    late = [(attempt.number, attempt.code) for attempt in asking.ledger.rows if attempt.call.key.endswith("late")]
    assert late == [(1, "http_500"), (2, "stop")]


def test_a_provider_that_keeps_failing_is_left_alone_for_a_while(server: ScriptedModels) -> None:
    server.play(*[error(500)] * 20)
    with Asking(server, breaker_failures=3, attempts_per_call=2) as asking:
        asking.ask(question("one"))
        left_alone = "no calls to openai for a while; openai did not answer: http_500, the fault is the provider's"
        assert asking.ask(question("two")) == [left_alone]
        assert len(server.asked) == 3
        assert asking.ask(question("three"), question("four")) == [left_alone] * 2
    assert len(server.asked) == len(asking.ledger.rows) == 3


def test_after_the_pause_one_call_is_let_through_and_an_answer_closes_the_breaker(server: ScriptedModels) -> None:
    server.play(error(500))
    with Asking(
        server, breaker_failures=1, breaker_open_ms=1, attempts_per_call=3, backoff_base_ms=50, backoff_cap_ms=50
    ) as asking:
        assert asking.ask(question("one")) == [""]
        assert asking.ask(*(question(f"audit{number}") for number in range(5))) == [""] * 5


def test_a_refused_key_is_not_tried_again_and_again(server: ScriptedModels) -> None:
    server.play(error(401))
    with Asking(server) as asking:
        asking.ask(question("one"))
        (told,) = asking.ask(question("two"))
        assert told == (
            "no calls to openai for a while; openai did not answer: http_401, the key was refused: check SIGMA_OPENAI_API_KEY"
        )
    assert len(server.asked) == 1


def test_an_account_without_credit_is_not_asked_again_and_again(server: ScriptedModels) -> None:
    server.play(FAULTS["no_credit"])
    with Asking(server) as asking:
        asking.ask(question("one"))
        assert asking.ask(question("two")) == [
            "no calls to openai for a while; openai did not answer: http_429, the account has no credit left"
        ]
    assert len(server.asked) == 1


def test_books_that_fail_while_the_one_call_is_let_through_do_not_keep_the_breaker_open(server: ScriptedModels) -> None:
    class FailsOnce(MemoryLedger):
        fails = False

        def reserve(self, call: Call, attempt_number: int) -> Reservation:
            if self.fails:
                self.fails = False
                raise Unavailable("the disk is full")
            return super().reserve(call, attempt_number)

    ledger = FailsOnce()
    server.play(error(500))
    with Asking(server, ledger, breaker_failures=1, breaker_open_ms=1, attempts_per_call=1) as asking:
        asking.ask(question("one"))
        ledger.fails = True
        while ledger.fails:
            with suppress(Unavailable):
                asking.ask(question("two"))
        assert asking.ask(question("three")) == [""]


def test_a_server_that_is_not_there_costs_nothing(server: ScriptedModels) -> None:
    with Asking(server) as asking:
        asking.caller._endpoints = {"openai": endpoint("http://127.0.0.1:9/v1")}
        assert asking.ask(question()) == [
            "openai did not answer: connect, no connection: check SIGMA_OPENAI_BASE_URL, and that it can be reached from here (4 attempts)"
        ]
    assert {(attempt.code, attempt.billed) for attempt in asking.ledger.rows} == {("connect", False)}


def test_a_redirect_is_not_followed(server: ScriptedModels) -> None:
    server.play(Step("redirect", 307, (("location", f"{server.url}/chat/completions"),), b""))
    with Asking(server) as asking:
        assert asking.ask(question()) == [
            "openai did not answer: http_307, it redirects, which is not followed: set SIGMA_OPENAI_BASE_URL to where its API is"
        ]
    assert len(server.asked) == 1


def test_a_provider_that_is_not_set_up_is_not_asked(server: ScriptedModels) -> None:
    with Asking(server) as asking:
        assert asking.ask(call(provider="anthropic")) == ["provider anthropic is not set up here"]


def test_a_ledger_that_cannot_be_written_is_the_deployments_trouble_and_no_answer(server: ScriptedModels) -> None:
    class Broken(MemoryLedger):
        def reserve(self, call: Call, attempt_number: int) -> Any:
            raise Unavailable("the disk is full")

    with Asking(server, Broken()) as asking, pytest.raises(Unavailable, match="the disk is full"):
        asking.ask(question())
    assert server.asked == []


def test_closing_records_what_was_under_way(server: ScriptedModels) -> None:
    server.play(slow(30))
    asking = Asking(server)
    thread = threading.Thread(target=suppressed, args=[asking, question()])
    thread.start()
    while not server.asked:
        thread.join(0.01)
    asking.caller.close()
    thread.join()
    assert [(attempt.state, attempt.code) for attempt in asking.ledger.rows] == [(AttemptState.CANCELLED, "cancelled")]
    asking.caller.close()  # closing again changes nothing


def test_threads_may_ask_at_the_same_time(server: ScriptedModels) -> None:
    with Asking(server) as asking:
        threads = [threading.Thread(target=asking.ask, args=[question(f"audit{number}")]) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(asking.ledger.answers) == 12


def test_a_seat_that_asks_nothing_leaves_nothing_open() -> None:
    from sigma_core.audit.language_models.judge import Judge

    with serving() as models:
        caller = Caller({"openai": endpoint(models.url)}, rules(), MemoryLedger())
        judge = Judge(rung(), rules(max_chunks=1, chunk_characters=16_000), POLICY.audit, caller, PLACE)
        assert "prompts, more than 1" in judge.audit(request({"a": b"x\n" * 9_000})).reason
        caller.close()

"""From a resolved round to ledger lines."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly.consensus import TruthSource, Vote
from sigma_core.audit.model import Verdict
from sigma_core.policy import Policy, load_policy
from sigma_core.standing.ledger import LedgerEntry, LedgerInvalid, Reason, ReputationKind, decayed_q10
from sigma_core.standing.points import (
    BaseRates,
    ResolvedRound,
    RoundKind,
    ScoredSeat,
    base_rates,
    compensate,
    reputation_events,
    sanction,
    score_round,
)

RULES = load_policy().standing
TAX = 51
EVEN = BaseRates(blind=(5, 5), monitoring=(5, 5))


def a_round(*votes: Vote, **changes: object) -> ResolvedRound:
    seats = tuple(ScoredSeat(1, number, f"validator-{number}", vote) for number, vote in enumerate(votes, start=1))
    resolved = ResolvedRound("round-1", RoundKind.CERTIFICATE, seats, Verdict.UNSAFE, TruthSource.OPERATOR, day=20_000)
    return replace(resolved, **changes)  # type: ignore[arg-type]


def points(resolved: ResolvedRound, rates: BaseRates = EVEN) -> list[tuple[Reason, int, int]]:
    entries = score_round(resolved, rates, load_policy())
    return [(entry.reason, entry.aligned_q10, entry.misaligned_q10) for entry in entries]


def resolved_rounds(*rows: tuple[str, str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["round_id", "kind", "truth", "day"], orient="row")


class TestScoring:
    def test_at_even_base_rates_a_vote_is_worth_one_point_and_every_seat_pays_the_tax(self) -> None:
        assert points(a_round(Vote.UNSAFE, Vote.SAFE, Vote.ABSTAIN, Vote.NO_SHOW)) == [
            (Reason.ALIGNED, 1024, TAX),
            (Reason.MISALIGNED, 0, 1024 + TAX),
            (Reason.ABSTAINED, 0, TAX),
            (Reason.NO_SHOW, 0, 512 + TAX),
        ]

    def test_a_late_reveal_costs_what_a_no_show_costs(self) -> None:
        late = replace(a_round(Vote.NO_SHOW).seats[0], late=True)
        assert points(a_round(seats=(late,))) == [(Reason.LATE_REVEAL, 0, 512 + TAX)]

    def test_the_kind_scales_points_tax_and_penalty(self) -> None:
        assert points(a_round(Vote.UNSAFE, Vote.NO_SHOW, kind=RoundKind.CANARY)) == [
            (Reason.ALIGNED, 1536, 77),  # 76.5, halves up
            (Reason.NO_SHOW, 0, 77 + 768),
        ]
        assert points(a_round(Vote.UNSAFE, kind=RoundKind.MONITORING)) == [(Reason.ALIGNED, 205, 10)]

    def test_the_rare_truth_is_worth_more_within_the_clip(self) -> None:
        rates = BaseRates(blind=(9, 3), monitoring=(5, 5))
        assert points(a_round(Vote.UNSAFE), rates) == [(Reason.ALIGNED, 2048, TAX)]
        assert points(a_round(Vote.SAFE, truth=Verdict.SAFE), rates) == [(Reason.ALIGNED, 683, TAX)]
        assert points(a_round(Vote.UNSAFE), BaseRates((1000, 1), (5, 5))) == [(Reason.ALIGNED, 4096, TAX)]
        assert points(a_round(Vote.SAFE, truth=Verdict.SAFE), BaseRates((10**6, 1), (5, 5))) == [
            (Reason.ALIGNED, 512, TAX)
        ]

    def test_a_planted_canary_file_is_the_truth_for_its_seat_alone(self) -> None:
        clean = a_round(Vote.SAFE, Vote.SAFE, truth=Verdict.SAFE)
        planted = replace(clean, seats=(clean.seats[0], replace(clean.seats[1], canary_label=Verdict.UNSAFE)))
        assert points(planted) == [(Reason.ALIGNED, 1024, TAX), (Reason.MISALIGNED, 0, 1536 + 77)]
        assert [entry.truth_source for entry in score_round(planted, EVEN, load_policy())] == [
            "OPERATOR",
            "CANARY_LABEL",
        ]

    def test_every_entry_names_round_seat_day_truth_source_and_policy(self, policy: Policy) -> None:
        (entry,) = score_round(a_round(Vote.UNSAFE), EVEN, policy)
        assert entry == LedgerEntry(
            "round-1/1.1/score/0",
            "validator-1",
            "round-1",
            "1.1",
            20_000,
            1024,
            51,
            Reason.ALIGNED,
            "OPERATOR",
            policy.hash,
        )

    def test_the_order_of_seats_does_not_matter_and_keys_are_unique(self, policy: Policy) -> None:
        resolved = a_round(*[Vote.UNSAFE, Vote.SAFE] * 6)
        entries = score_round(resolved, EVEN, policy)
        assert score_round(replace(resolved, seats=resolved.seats[::-1]), EVEN, policy) == entries
        assert [entry.seat for entry in entries] == [f"1.{number}" for number in range(1, 13)]
        again = score_round(replace(resolved, resolution=1), EVEN, policy)
        assert len({entry.entry_key for entry in [*entries, *again]}) == 24

    @pytest.mark.parametrize(
        ("broken", "rule"),
        [
            (a_round(Vote.SAFE, truth=Verdict.ABSTAIN), "round-1: ABSTAIN is no truth"),
            (a_round(seats=a_round(Vote.SAFE).seats * 2), "round-1: seat 1.1 appears 2 times"),
            (a_round(Vote.SAFE, day=-1), "round-1: day -1 is before 1970"),
        ],
    )
    def test_refuses(self, broken: ResolvedRound, rule: str, policy: Policy) -> None:
        with pytest.raises(LedgerInvalid, match=rule):
            score_round(broken, EVEN, policy)
        with pytest.raises(LedgerInvalid, match=rule):
            reputation_events(broken, policy)


class TestBaseRates:
    def test_without_any_resolved_round_both_truths_are_equally_likely(self) -> None:
        rates = base_rates(resolved_rounds(("r", "CERTIFICATE", "SAFE", 1)).clear(), 20_000, RULES)
        assert rates.multiplier_q10(RoundKind.CANARY, Verdict.SAFE, RULES) == 1024
        assert rates.multiplier_q10(RoundKind.MONITORING, Verdict.UNSAFE, RULES) == 1024

    def test_counts_the_trailing_days_before_the_epoch_and_never_the_epoch_itself(self) -> None:
        rounds = resolved_rounds(
            ("too-old", "CERTIFICATE", "SAFE", 909),
            ("first", "CERTIFICATE", "SAFE", 910),
            ("last", "CERTIFICATE", "UNSAFE", 999),
            ("of-the-epoch", "CERTIFICATE", "UNSAFE", 1000),
        )
        assert base_rates(rounds, 1000, RULES).blind == (6 * 1024, 6 * 1024)

    def test_canaries_count_with_their_factor_and_monitoring_stands_alone(self) -> None:
        rounds = resolved_rounds(
            ("a", "CERTIFICATE", "SAFE", 10), ("b", "CANARY", "UNSAFE", 10), ("c", "MONITORING", "UNSAFE", 10)
        )
        rates = base_rates(rounds, 11, RULES)
        assert rates.blind == (5 * 1024 + 1024, 5 * 1024 + 1536)
        assert rates.monitoring == (5 * 1024, 5 * 1024 + 205)

    def test_refuses_a_round_that_is_listed_twice(self) -> None:
        with pytest.raises(LedgerInvalid, match="round a is listed twice"):
            base_rates(resolved_rounds(("a", "CANARY", "SAFE", 1), ("a", "CANARY", "UNSAFE", 2)), 3, RULES)


def expected_net_q10(rates: BaseRates, safe_votes: Fraction) -> Fraction:
    """Exact expectation of aligned − misaligned before tax, for a seat that votes SAFE with a probability that knows nothing of the
    truth, where truths occur as ``rates`` says."""
    total = Fraction(0)
    for truth, weight in zip((Verdict.SAFE, Verdict.UNSAFE), rates.blind, strict=True):
        for vote, chance in ((Vote.SAFE, safe_votes), (Vote.UNSAFE, 1 - safe_votes)):
            ((_, aligned, misaligned),) = points(a_round(vote, truth=truth), rates)
            total += Fraction(weight, sum(rates.blind)) * chance * (aligned - (misaligned - TAX))
    return total


class TestUninformativeStrategies:
    @given(st.integers(5, 400), st.integers(5, 400), st.fractions(0, 1, max_denominator=50))
    def test_expect_nothing_before_tax_where_the_clip_is_idle(
        self, safe: int, unsafe: int, safe_votes: Fraction
    ) -> None:
        rates = BaseRates((safe, unsafe), (5, 5))
        expected = expected_net_q10(rates, safe_votes)
        if min(safe, unsafe) * 8 >= safe + unsafe:
            assert abs(expected) <= Fraction(1, 2)  # of 2^-10 point: the rounding of the two multipliers

    @pytest.mark.parametrize("blind", [(1, 1), (2, 1), (1, 2), (4, 1), (1, 4)])
    @pytest.mark.parametrize("safe_votes", [Fraction(0), Fraction(1, 3), Fraction(1, 2), Fraction(1)])
    def test_expect_exactly_nothing_where_no_multiplier_is_rounded(
        self, blind: tuple[int, int], safe_votes: Fraction
    ) -> None:
        assert expected_net_q10(BaseRates(blind, (5, 5)), safe_votes) == 0

    def test_below_an_eighth_the_clip_leaves_the_common_vote_an_edge(self) -> None:
        # The price of the clip, stated in BaseRates.multiplier_q10: at 5 % UNSAFE, always-SAFE expects 0.3 point.
        assert Fraction(29, 100) < expected_net_q10(BaseRates((95, 5), (5, 5)), Fraction(1)) / 1024 < Fraction(31, 100)

    @given(st.integers(5, 100), st.integers(5, 100), st.integers(0, 100), st.integers(0, 100))
    def test_a_vote_that_knows_something_expects_more(
        self, safe: int, unsafe: int, specificity: int, sensitivity: int
    ) -> None:
        if min(safe, unsafe) * 8 < safe + unsafe or specificity + sensitivity <= 105:
            return
        rates = BaseRates((safe, unsafe), (5, 5))
        total = Fraction(0)
        for truth, weight, right in (
            (Verdict.SAFE, safe, specificity),
            (Verdict.UNSAFE, unsafe, sensitivity),
        ):
            multiplier = rates.multiplier_q10(RoundKind.CERTIFICATE, truth, RULES)
            total += Fraction(weight, safe + unsafe) * multiplier * Fraction(2 * right - 100, 100)
        assert total > 0


class TestCompensation:
    def test_on_the_same_day_it_cancels_exactly(self, policy: Policy) -> None:
        entries = score_round(a_round(Vote.UNSAFE, Vote.SAFE), EVEN, policy)
        undone = compensate(entries, 20_000, TruthSource.MONITORING, policy)
        assert [(-e.aligned_q10, -e.misaligned_q10) for e in undone] == [
            (e.aligned_q10, e.misaligned_q10) for e in entries
        ]
        assert [e.entry_key for e in undone] == ["round-1/1.1/score/0/undo", "round-1/1.2/score/0/undo"]
        assert {(e.reason, e.truth_source) for e in undone} == {(Reason.COMPENSATION, "MONITORING")}

    def test_later_it_takes_back_what_is_left_after_decay(self, policy: Policy) -> None:
        (entry,) = score_round(a_round(Vote.UNSAFE), EVEN, policy)
        (undone,) = compensate([entry], 20_030, TruthSource.MONITORING, policy)
        assert undone.aligned_q10 == -decayed_q10(1024, 30, RULES)
        assert 490 < -undone.aligned_q10 <= 512  # half of it, less at most one unit for each day's floor

    @given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 400))
    def test_taking_back_a_part_never_goes_below_zero_and_leaves_less_than_a_tenth_of_a_point(
        self, kept: int, taken: int, days: int
    ) -> None:
        left = decayed_q10(kept + taken, days, RULES) - decayed_q10(taken, days, RULES)
        assert 0 <= left - decayed_q10(kept, days, RULES) < 103

    def test_refuses_what_cannot_be_taken_back(self, policy: Policy) -> None:
        entries = score_round(a_round(Vote.UNSAFE), EVEN, policy)
        with pytest.raises(LedgerInvalid, match=r"round-1/1.1/score/0 of day 20000 cannot be compensated on day 19999"):
            compensate(entries, 19_999, TruthSource.OPERATOR, policy)
        with pytest.raises(LedgerInvalid, match="a compensation is not compensated"):
            compensate(compensate(entries, 20_000, TruthSource.OPERATOR, policy), 20_001, TruthSource.OPERATOR, policy)


class TestReputationEvents:
    def kinds(self, resolved: ResolvedRound) -> list[tuple[str, ReputationKind]]:
        return [(event.validator_id, event.kind) for event in reputation_events(resolved, load_policy())]

    def test_alignment_is_constructive_and_abstaining_or_a_lone_miss_is_no_event(self) -> None:
        assert self.kinds(a_round(Vote.UNSAFE, Vote.ABSTAIN, Vote.SAFE)) == [
            ("validator-1", ReputationKind.CONSTRUCTIVE)
        ]

    def test_the_side_that_escalated_against_the_truth_answers_for_it(self) -> None:
        assert self.kinds(a_round(Vote.UNSAFE, Vote.SAFE, escalated=True)) == [
            ("validator-1", ReputationKind.CONSTRUCTIVE),
            ("validator-2", ReputationKind.ATTRIBUTABLE_ESCALATION),
        ]

    def test_the_side_that_carried_an_overturned_outcome_is_disputed_and_so_is_a_no_show(self) -> None:
        assert self.kinds(a_round(Vote.SAFE, Vote.NO_SHOW, overturned=True)) == [
            ("validator-1", ReputationKind.DISPUTED),
            ("validator-2", ReputationKind.DISPUTED),
        ]

    def test_a_low_quality_review_is_bad_whichever_way_it_voted(self) -> None:
        seats = tuple(replace(seat, low_quality=True) for seat in a_round(Vote.UNSAFE, Vote.ABSTAIN).seats)
        assert {kind for _, kind in self.kinds(a_round(seats=seats))} == {ReputationKind.LOW_QUALITY}

    def test_a_sanction_carries_its_ceiling(self, policy: Policy) -> None:
        event = sanction("case-7", "validator-1", 20_000, 300_000, "stole a key", policy)
        assert event.kind is ReputationKind.SANCTION
        assert event.detail["ceiling_ppm"] == 300_000

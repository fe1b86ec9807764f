"""Payouts: what a round pays, and that no micro-dollar appears or disappears."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.assembly.consensus import TruthSource, Vote
from sigma_core.audit.model import Verdict
from sigma_core.policy import PPM, MonitoringRules, PayoutRules, Policy, load_policy
from sigma_core.standing.ledger import LedgerInvalid
from sigma_core.standing.payouts import PayoutKind, PayoutLine, reverse, round_payouts, settle_alarm
from sigma_core.standing.points import BaseRates, ResolvedRound, RoundKind, ScoredSeat, compensate, score_round

EVEN = BaseRates(blind=(5, 5), monitoring=(5, 5))


def paying(budget: int, price: int, bond: int) -> Policy:
    rules = PayoutRules(round_budget_micro_usd=budget, micro_usd_per_point=price, seat_bond_micro_usd=bond)
    return load_policy().model_copy(update={"payouts": rules})


def settled(policy: Policy, votes: list[Vote], rates: BaseRates = EVEN, **changes: object) -> list[PayoutLine]:
    seats = tuple(ScoredSeat(1, number, f"v{number}", vote) for number, vote in enumerate(votes, start=1))
    kind = changes.pop("kind", RoundKind.CERTIFICATE)
    resolved = ResolvedRound("r1", kind, seats, Verdict.UNSAFE, TruthSource.OPERATOR, day=20_000, **changes)  # type: ignore[arg-type]
    return round_payouts(score_round(resolved, rates, policy), policy)


def amounts(lines: list[PayoutLine]) -> dict[tuple[str, str | None], int]:
    return {(line.kind.value, line.validator_id): line.amount_micro_usd for line in lines}


votes = st.lists(st.sampled_from(Vote), min_size=1, max_size=20)
money = st.integers(0, 10**12)


class TestConservation:
    @given(
        votes, money, money, money, st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), st.sampled_from(RoundKind)
    )
    def test_payouts_and_reserve_are_budget_and_forfeits(
        self, cast: list[Vote], budget: int, price: int, bond: int, rates: tuple[int, int], kind: RoundKind
    ) -> None:
        lines = settled(paying(budget, price, bond), cast, BaseRates(rates, rates), kind=kind)
        assert sum(line.amount_micro_usd for line in lines) == 0
        of = {kind: sum(line.amount_micro_usd for line in lines if line.kind is kind) for kind in PayoutKind}
        assert of[PayoutKind.PAYOUT] + of[PayoutKind.RESERVE] == budget - of[PayoutKind.FORFEIT]
        assert of[PayoutKind.BUDGET] == -budget
        for line in lines:
            assert line.amount_micro_usd >= 0 or line.kind in (PayoutKind.BUDGET, PayoutKind.FORFEIT)
            assert line.kind is not PayoutKind.FORFEIT or -bond <= line.amount_micro_usd < 0
        assert len({line.entry_key for line in lines}) == len(lines)

    @given(votes, money, money, money)
    def test_a_reversal_takes_back_every_line_and_the_round_is_settled_again(
        self, cast: list[Vote], budget: int, price: int, bond: int
    ) -> None:
        policy = paying(budget, price, bond)
        first = settled(policy, cast)
        undone = reverse(first, 20_003)
        again = settled(policy, cast, resolution=1)
        assert [line.amount_micro_usd for line in undone] == [-line.amount_micro_usd for line in first]
        everything = [*first, *undone, *again]
        assert sum(line.amount_micro_usd for line in everything) == 0
        assert len({line.entry_key for line in everything}) == len(everything)

    @given(
        st.integers(0, 10**15),
        st.integers(0, 10**15),
        st.sets(st.sampled_from("abcdefgh"), min_size=1),
        st.booleans(),
        st.tuples(st.integers(0, PPM), st.integers(0, PPM)).map(sorted),
    )
    def test_an_alarm_conserves_funds(
        self, budget: int, bond: int, majority: set[str], confirmed: bool, cuts: list[int]
    ) -> None:
        rules = MonitoringRules(
            seats=5,
            split_detector_ppm=cuts[0],
            split_confirming_ppm=cuts[1] - cuts[0],
            split_reserve_ppm=PPM - cuts[1],
        )
        paid = settle_alarm("detector", sorted(majority), confirmed=confirmed, budget=budget, bond=bond, rules=rules)
        assert sum(paid.payouts.values()) + paid.reserve == budget + paid.forfeits
        assert paid.forfeits == (0 if confirmed else bond)
        assert min(paid.reserve, *paid.payouts.values()) >= 0


class TestRounds:
    def test_the_right_are_paid_by_net_points_and_the_wrong_forfeit_theirs(self) -> None:
        lines = settled(paying(5_000_000, 1_024_000, 10_000_000), [Vote.UNSAFE, Vote.SAFE, Vote.ABSTAIN, Vote.NO_SHOW])
        # A point is worth 1,000 micro-USD per q10: 1024 − 51 for the right, 1024 + 51, 51 and 512 + 51 lost.
        assert amounts(lines) == {
            ("BUDGET", None): -5_000_000,
            ("PAYOUT", "v1"): 973_000,
            ("FORFEIT", "v2"): -1_075_000,
            ("FORFEIT", "v3"): -51_000,
            ("FORFEIT", "v4"): -563_000,
            ("RESERVE", None): 5_000_000 + 1_075_000 + 51_000 + 563_000 - 973_000,
        }

    def test_claims_beyond_budget_and_forfeits_are_cut_in_proportion_and_floors_go_to_the_reserve(self) -> None:
        lines = settled(paying(1_000_000, 1_024_000, 0), [Vote.UNSAFE] * 3)
        assert amounts(lines) == {
            ("BUDGET", None): -1_000_000,
            ("PAYOUT", "v1"): 333_333,
            ("PAYOUT", "v2"): 333_333,
            ("PAYOUT", "v3"): 333_333,
            ("RESERVE", None): 1,
        }

    def test_a_forfeit_is_at_most_the_bond(self) -> None:
        lines = settled(paying(0, 1_024_000, 200_000), [Vote.UNSAFE, Vote.SAFE])
        assert amounts(lines) == {
            ("BUDGET", None): 0,
            ("PAYOUT", "v1"): 200_000,
            ("FORFEIT", "v2"): -200_000,
            ("RESERVE", None): 0,
        }

    def test_a_policy_written_before_payouts_pays_nothing(self) -> None:
        lines = settled(load_policy().model_copy(update={"payouts": PayoutRules()}), [Vote.UNSAFE, Vote.SAFE])
        assert amounts(lines) == {("BUDGET", None): 0, ("RESERVE", None): 0}

    def test_a_round_without_entries_pays_nothing(self, policy: Policy) -> None:
        assert round_payouts([], policy) == []

    def test_lines_do_not_depend_on_the_order_of_entries(self, policy: Policy) -> None:
        seats = tuple(ScoredSeat(1, number, f"v{number}", Vote.SAFE) for number in range(1, 13))
        resolved = ResolvedRound("r1", RoundKind.CERTIFICATE, seats, Verdict.SAFE, TruthSource.UNANIMOUS, day=1)
        entries = score_round(resolved, EVEN, policy)
        assert round_payouts(entries[::-1], policy) == round_payouts(entries, policy)

    @pytest.mark.parametrize("base", [(500_000, 500_000), (850_000, 150_000), (300_000, 700_000)])
    @pytest.mark.parametrize("vote", [Vote.SAFE, Vote.UNSAFE])
    def test_an_uninformative_strategy_expects_the_tax_and_nothing_else(
        self, base: tuple[int, int], vote: Vote
    ) -> None:
        policy = paying(10**12, 1_024_000, 10**12)
        rates = BaseRates(base, base)
        expected = Fraction(0)
        for truth, weight in zip((Verdict.SAFE, Verdict.UNSAFE), base, strict=True):
            seat = (ScoredSeat(1, 1, "v1", vote),)
            resolved = ResolvedRound("r", RoundKind.CERTIFICATE, seat, truth, TruthSource.OPERATOR, day=1)
            lines = round_payouts(score_round(resolved, rates, policy), policy)
            mine = sum(line.amount_micro_usd for line in lines if line.validator_id == "v1")
            expected += Fraction(mine * weight, sum(base))
        assert -51_600 <= expected <= -50_400  # 51 q10 of tax, and the rounding of a multiplier


class TestRefusals:
    def test_entries_of_two_rounds_or_a_compensation(self, policy: Policy) -> None:
        seat = (ScoredSeat(1, 1, "v", Vote.SAFE),)
        one, other = (
            score_round(
                ResolvedRound(name, RoundKind.CERTIFICATE, seat, Verdict.SAFE, TruthSource.UNANIMOUS, day=1),
                EVEN,
                policy,
            )
            for name in ("r1", "r2")
        )
        with pytest.raises(LedgerInvalid, match=r"entry r2/1\.1/score/0 is not of this resolution"):
            round_payouts([*one, *other], policy)
        undone = compensate(one, 2, TruthSource.OPERATOR, policy)
        with pytest.raises(LedgerInvalid, match=r"r1/1\.1/score/0/undo is not of this resolution"):
            round_payouts(undone, policy)

    def test_a_reversal_before_its_day_or_of_a_reversal(self, policy: Policy) -> None:
        lines = settled(policy, [Vote.UNSAFE])
        with pytest.raises(LedgerInvalid, match="of day 20000 cannot be reversed on day 19999"):
            reverse(lines, 19_999)
        with pytest.raises(LedgerInvalid, match="a reversal is not reversed"):
            reverse(reverse(lines, 20_001), 20_002)

    @pytest.mark.parametrize("majority", [[], ["a", "a"], ["a", "detector"]])
    def test_a_monitoring_majority_that_cannot_be(self, majority: list[str], policy: Policy) -> None:
        with pytest.raises(LedgerInvalid, match="a majority of different members without the detector"):
            settle_alarm("detector", majority, confirmed=True, budget=1, bond=1, rules=policy.monitoring)

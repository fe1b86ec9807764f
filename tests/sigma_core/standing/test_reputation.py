"""SIGMA reputation: slow to earn, quick to lose, held down by sanctions, drifting to one half when idle."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.policy import PPM, load_policy
from sigma_core.standing import reputation_duckdb
from sigma_core.standing.ledger import LedgerInvalid, ReputationEvent, ReputationKind
from sigma_core.standing.reputation import EVENT_COLUMNS, ReputationState, advance, event_frame, replay, taken_back_ppm

RULES = load_policy().standing
BAD = {ReputationKind.LOW_QUALITY, ReputationKind.DISPUTED, ReputationKind.ATTRIBUTABLE_ESCALATION}

Row = tuple[str, int, str, int | None]


def events(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=EVENT_COLUMNS, orient="row")


def after(day: int, *rows: Row) -> tuple[int, int]:
    """(reputation, ceiling) of the only validator."""
    ((_, reputation, ceiling),) = replay(events(*rows), day, RULES).frame.rows()
    return reputation, ceiling


def stepped_by_hand(rows: list[Row], day: int, start: int) -> list[tuple[str, int, int]]:
    result = []
    for validator in sorted({row[0] for row in rows if row[1] <= day}):
        mine = [row for row in rows if row[0] == validator]
        reputation, ceiling = start, PPM
        for today in range(min(row[1] for row in mine), day + 1):
            kinds = [ReputationKind(row[2]) for row in mine if row[1] == today]
            good, bad = kinds.count(ReputationKind.CONSTRUCTIVE), sum(kind in BAD for kind in kinds)
            for _ in range(good):
                reputation += (PPM - reputation) * 4_000 // PPM
            for _ in range(bad):
                reputation = reputation * 980_000 // PPM
            if not good and not bad:
                away = abs(reputation - 500_000) * RULES.reputation_idle_keep_per_day >> 30
                reputation = 500_000 + (away if reputation > 500_000 else -away)
            changes = [row[3] for row in mine if row[1] == today and row[2] == "COMPENSATION"]
            reputation = min(max(reputation + sum(changes), 0), PPM)
            if ReputationKind.SANCTION_LIFTED in kinds:
                ceiling = PPM
            ceilings = [row[3] for row in mine if row[1] == today and row[2] == "SANCTION"]
            ceiling = min([ceiling, *ceilings])
            reputation = min(reputation, ceiling)
        result.append((validator, reputation, ceiling))
    return result


@st.composite
def ledgers(draw: st.DrawFn) -> list[Row]:
    rows: list[Row] = []
    for _ in range(draw(st.integers(0, 40))):
        kind = draw(st.sampled_from(ReputationKind))
        lowest = {ReputationKind.SANCTION: 0, ReputationKind.COMPENSATION: -PPM}.get(kind)
        amount = None if lowest is None else draw(st.integers(lowest, PPM))
        rows.append((draw(st.sampled_from(["ada", "bo", "ci"])), draw(st.integers(10, 30)), kind.value, amount))
    return rows


@settings(deadline=None, max_examples=50)
@given(ledgers(), st.integers(5, 60), st.lists(st.integers(5, 60), max_size=3), st.sampled_from([500_000, 0, 700_001]))
def test_increments_equal_the_full_replay_in_any_order_within_a_day(
    rows: list[Row], until: int, cuts: list[int], start: int
) -> None:
    rules = RULES.model_copy(update={"reputation_start_ppm": start})
    expected = stepped_by_hand(rows, until, start)
    assert replay(events(*rows), until, rules).frame.rows() == expected
    assert replay(events(*rows[::-1]), until, rules).frame.rows() == expected
    state = ReputationState.before(5)
    for day in [*sorted(cut for cut in cuts if cut < until), until]:
        state = advance(state, events(*rows).filter(pl.col("day") > state.day), day, rules)
    assert state.frame.rows() == expected
    assert all(0 <= reputation <= ceiling <= PPM for _, reputation, ceiling in expected)


@settings(deadline=None, max_examples=25)
@given(
    ledgers(), st.integers(5, 60), st.integers(5, 60), st.sampled_from([500_000, 0, 700_001]), st.sampled_from([1, 3])
)
def test_duckdb_gives_the_same_integers(rows: list[Row], until: int, cut: int, start: int, threads: int) -> None:
    rules = RULES.model_copy(update={"reputation_start_ppm": start})
    expected = replay(events(*rows), until, rules)
    assert reputation_duckdb.replay(events(*rows), until, rules, threads).frame.equals(expected.frame)
    if cut < until:
        early = replay(events(*rows).filter(pl.col("day") <= cut), cut, rules)
        late = events(*rows).filter(pl.col("day") > cut)
        assert reputation_duckdb.advance(early, late, until, rules, threads).frame.equals(expected.frame)


def test_duckdb_refuses_what_polars_refuses_and_folds_thousands_of_events() -> None:
    with pytest.raises(LedgerInvalid, match="of an unknown kind"):
        reputation_duckdb.replay(events(("v", 1, "PRAISED", None)), 2, RULES)
    many = events(*[("v", 1, "CONSTRUCTIVE", None)] * 3_000, *[("w", 1, "LOW_QUALITY", None)] * 3_000)
    assert reputation_duckdb.replay(many, 1, RULES).frame.equals(replay(many, 1, RULES).frame)


def test_a_constructive_participation_closes_a_250th_of_the_gap_and_a_bad_one_costs_a_fiftieth() -> None:
    assert after(1, ("v", 1, "CONSTRUCTIVE", None)) == (502_000, PPM)
    for kind in BAD:
        assert after(1, ("v", 1, kind.value, None)) == (490_000, PPM)


def test_one_day_applies_the_good_before_the_bad() -> None:
    assert after(1, ("v", 1, "DISPUTED", None), ("v", 1, "CONSTRUCTIVE", None)) == (502_000 * 98 // 100, PPM)


def test_a_hundred_thousand_events_of_one_day_stop_at_the_bounds() -> None:
    best, _ = after(1, *[("v", 1, "CONSTRUCTIVE", None)] * 100_000)
    assert PPM - 250 <= best < PPM
    assert after(1, *[("v", 1, "LOW_QUALITY", None)] * 100_000) == (0, PPM)


def test_half_of_the_way_to_one_half_is_gone_after_180_idle_days() -> None:
    earned, _ = after(1, *[("v", 1, "CONSTRUCTIVE", None)] * 300)
    idle, _ = after(181, *[("v", 1, "CONSTRUCTIVE", None)] * 300)
    # Drift floors the distance each day: up to 180 ppm nearer than the exact half.
    assert (earned - 500_000) / 2 - 180 < idle - 500_000 <= (earned - 500_000) / 2 + 1
    assert after(4000, *[("v", 1, "CONSTRUCTIVE", None)] * 300)[0] == 500_000


def test_a_sanction_holds_its_ceiling_until_it_is_lifted_and_then_reputation_is_earned_back() -> None:
    sanctioned: list[Row] = [("v", 1, "SANCTION", 200_000), ("v", 2, "CONSTRUCTIVE", None)]
    assert after(50, *sanctioned) == (200_000, 200_000)
    lifted: list[Row] = [*sanctioned, ("v", 51, "SANCTION_LIFTED", None)]
    reputation, ceiling = after(51, *lifted)
    assert ceiling == PPM
    assert 200_000 < reputation < 202_000
    assert after(51, *lifted, ("v", 51, "SANCTION", 100_000)) == (100_000, 100_000)


def test_the_lower_of_two_sanctions_holds() -> None:
    assert after(2, ("v", 1, "SANCTION", 100_000), ("v", 2, "SANCTION", 300_000)) == (100_000, 100_000)


@settings(deadline=None, max_examples=50)
@given(ledgers(), st.integers(0, 20), st.sampled_from(sorted(BAD | {ReputationKind.CONSTRUCTIVE})), st.integers(0, 40))
def test_a_compensation_leaves_the_reputation_that_there_would_be_without_the_event(
    rows: list[Row], day: int, kind: ReputationKind, later: int
) -> None:
    mine, taken_back = [row for row in rows if row[0] == "ada"], ("ada", day, kind.value, None)
    kept = events(*[row for row in mine if row[1] <= day + later])
    change = taken_back_ppm(kept, events(taken_back), day + later, RULES)
    lines = events(*kept.rows(), taken_back, ("ada", day + later, "COMPENSATION", change["ada"]))
    [(_, compensated, _)] = replay(lines, day + later, RULES).frame.rows()
    without = replay(kept, day + later, RULES).frame["reputation_ppm"]
    assert compensated == (without[0] if len(without) else RULES.reputation_start_ppm)


def test_the_later_a_bad_event_is_taken_back_the_less_of_it_is_left() -> None:
    taken_back = events(("v", 1, "DISPUTED", None))
    left = [taken_back_ppm(events(), taken_back, day, RULES)["v"] for day in (1, 31, 181)]
    assert left[0] == 10_000
    assert left == sorted(left, reverse=True)
    assert 4_800 < left[2] < 5_000


def test_events_become_rows() -> None:
    frame = event_frame(
        [
            ReputationEvent("k1", "v", "round", 3, ReputationKind.CONSTRUCTIVE, "p", {"ceiling_ppm": 1}),
            ReputationEvent("k2", "v", None, 4, ReputationKind.SANCTION, "p", {"ceiling_ppm": 250_000}),
            ReputationEvent("k3", "v", "round", 5, ReputationKind.COMPENSATION, "p", {"change_ppm": -4_000}),
        ]
    )
    assert frame.rows() == [
        ("v", 3, "CONSTRUCTIVE", None),
        ("v", 4, "SANCTION", 250_000),
        ("v", 5, "COMPENSATION", -4_000),
    ]
    assert dict(frame.schema) == EVENT_COLUMNS


class TestRefusals:
    @pytest.mark.parametrize("detail", [{}, {"ceiling_ppm": -1}, {"ceiling_ppm": PPM + 1}, {"ceiling_ppm": "0"}])
    def test_a_sanction_event_without_a_ceiling(self, detail: dict[str, object]) -> None:
        with pytest.raises(LedgerInvalid, match="case-1: ceiling_ppm"):
            event_frame([ReputationEvent("case-1", "v", None, 1, ReputationKind.SANCTION, "p", detail)])

    @pytest.mark.parametrize(
        ("row", "rule"),
        [
            (("v", 1, "PRAISED", None), "of an unknown kind"),
            (("v", 1, "SANCTION", None), "no ceiling"),
            (("v", 1, "SANCTION", PPM + 1), "no ceiling"),
            (("v", 1, "COMPENSATION", None), "no change"),
            (("v", 1, "COMPENSATION", -PPM - 1), "no change"),
            ((None, 1, "DISPUTED", None), "an empty value"),
            (("v", -1, "DISPUTED", None), "before 1970"),
        ],
    )
    def test_a_row(self, row: Row, rule: str) -> None:
        with pytest.raises(LedgerInvalid, match=rule):
            replay(events(row), 2, RULES)

    def test_an_event_of_a_closed_day(self) -> None:
        with pytest.raises(LedgerInvalid, match="closed day: the state is of day 4"):
            advance(ReputationState.before(5), events(("v", 4, "DISPUTED", None)), 6, RULES)

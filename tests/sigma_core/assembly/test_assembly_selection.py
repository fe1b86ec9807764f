"""Panels: the lottery is fair, its caps hold, its relaxations come in order, and anyone can draw it again."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_core.assembly import selection
from sigma_core.assembly.selection import (
    Panel,
    Pool,
    PoolTooSmallError,
    draw_panel,
    redraw_seats,
    selection_seed,
)
from sigma_core.assembly.weights import WeightRow, WeightsSnapshot
from sigma_core.policy import AssemblyRules, load_policy

DEFAULT = load_policy().assembly
SEED_FIELDS = {
    "round_id": "rnd_1_r1",
    "submission_hash": "aa" * 32,
    "weights_merkle_root": "bb" * 32,
    "beacon_value": "cc" * 32,
}


def rules_with(**changes: Any) -> AssemblyRules:
    return DEFAULT.model_copy(update=changes)


def pool_of(rows: list[WeightRow], rules: AssemblyRules = DEFAULT) -> Pool:
    return Pool.of(WeightsSnapshot.of(1, "p", rows), rules)


def row(number: int, operator: int, family: str, weight: int = 100, reputation: int = 500_000) -> WeightRow:
    return WeightRow(f"val_{number:04}", f"op_{operator:04}", family, weight, reputation)


def seed_of(number: int) -> str:
    return selection_seed(f"rnd_{number}_r1", "aa" * 32, "bb" * 32, "cc" * 32)


WIDE = pool_of([row(n, n // 2, "abcdefgh"[n % 8], 1 + n * 7 % 50) for n in range(200)])
FOUR_FAMILIES = pool_of([row(n, n // 2, "abcd"[n % 4], 1 + n * 7 % 50) for n in range(200)])


# The seed


@pytest.mark.parametrize("field", SEED_FIELDS)
def test_every_field_changes_the_seed(field: str) -> None:
    assert selection_seed(**SEED_FIELDS | {field: "dd" * 32}) != selection_seed(**SEED_FIELDS)


def test_fields_cannot_run_into_each_other() -> None:
    assert selection_seed("ab", "c", "d", "e") != selection_seed("a", "bc", "d", "e")


# The law of the lottery


def exact_inclusion(weights: Mapping[str, Fraction], seats: int) -> dict[str, Fraction]:
    """Drawing one after the other without putting back, in proportion to weight: every sequence enumerated."""
    chances: dict[str, Fraction] = dict.fromkeys(weights, Fraction(0))

    def draw(left: dict[str, Fraction], seats: int, chance: Fraction) -> None:
        if seats == 0:
            return
        total = sum(left.values())
        for name, weight in left.items():
            chances[name] += chance * weight / total
            draw({n: w for n, w in left.items() if n != name}, seats - 1, chance * weight / total)

    draw(dict(weights), seats, Fraction(1))
    return chances


def exact_inclusion_with_family_cap(rows: list[WeightRow], seats: int, cap: int) -> dict[str, Fraction]:
    chances: dict[str, Fraction] = {r.validator_id: Fraction(0) for r in rows}

    def draw(seated: list[WeightRow], chance: Fraction) -> None:
        if len(seated) == seats:
            return
        used = Counter(r.family for r in seated)
        left = [r for r in rows if r not in seated and used[r.family] < cap]
        total = sum(r.weight for r in left)
        for r in left:
            chances[r.validator_id] += chance * Fraction(r.weight, total)
            draw([*seated, r], chance * Fraction(r.weight, total))

    draw([], Fraction(1))
    return chances


def largest_z(chances: Mapping[str, Fraction], counts: Mapping[str, int], draws: int) -> float:
    return max(
        abs(counts[name] - draws * float(p)) / (draws * float(p) * (1 - float(p))) ** 0.5
        for name, p in chances.items()
        if 0 < p < 1
    )


@pytest.mark.parametrize("base", [0, 100_000, 200_000])
def test_inclusion_rates_match_exact_enumeration(base: int) -> None:
    # The seeds are fixed, so the figures are too: this fails for a wrong law, never by chance. |z| < 4 for 6 figures.
    weights = {0: 1, 1: 2, 2: 4, 3: 8, 4: 16, 5: 3}
    rows = [row(n, n, f"family {n}", weight) for n, weight in weights.items()]
    rules = rules_with(near_equal_weight_ppm=0)
    draws, counts = 6_000, Counter[str]()
    pool = pool_of(rows, rules)
    for number in range(draws):
        counts.update(s.validator_id for s in draw_panel(pool, seed_of(base + number), 1, 3, rules).seats)
    assert largest_z(exact_inclusion({r.validator_id: Fraction(r.weight) for r in rows}, 3), counts, draws) < 4


def test_inclusion_rates_match_exact_enumeration_under_a_family_cap() -> None:
    rows = [row(n, n, "aaabbc"[n], weight) for n, weight in enumerate([9, 5, 7, 3, 4, 2])]
    rules = rules_with(near_equal_weight_ppm=0, max_seats_per_family=1)
    draws, counts = 6_000, Counter[str]()
    pool = pool_of(rows, rules)
    for number in range(draws):
        counts.update(s.validator_id for s in draw_panel(pool, seed_of(number), 1, 3, rules).seats)
    assert largest_z(exact_inclusion_with_family_cap(rows, 3, 1), counts, draws) < 4


# Ties


def share_of(pool: Pool, validator: str) -> int:
    at = next(i for i, r in enumerate(pool.rows) if r.validator_id == validator)
    return pool.prefix_sums[at] - (pool.prefix_sums[at - 1] if at else 0)


def test_of_near_equal_weights_the_better_reputation_has_the_larger_share() -> None:
    rows = [row(0, 0, "a", 1_000_000, 900_000), row(1, 1, "a", 1_000_900, 100_000), row(2, 2, "a", 500_000, 0)]
    pool = pool_of(rows)
    assert share_of(pool, "val_0000") > share_of(pool, "val_0001")
    assert [r.validator_id for r in pool.rows] == ["val_0000", "val_0001", "val_0002"]


def test_reputation_does_not_help_against_a_weight_that_is_larger_by_more_than_the_tie() -> None:
    pool = pool_of([row(0, 0, "a", 1_000_000, 1_000_000), row(1, 1, "a", 1_020_000, 0)])
    assert share_of(pool, "val_0000") == 1_000_000 << 20
    assert share_of(pool, "val_0001") == 1_020_000 << 20


@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 1_000_000)), min_size=1, max_size=30),
    st.sampled_from([0, 10_000, 100_000]),
)
def test_shares_add_up_to_the_weights_and_move_nobody_by_more_than_the_tie(
    members: list[tuple[int, int]], tie_ppm: int
) -> None:
    rows = [row(n, n, "a", weight, reputation) for n, (weight, reputation) in enumerate(members)]
    pool = pool_of(rows, rules_with(near_equal_weight_ppm=tie_ppm))
    assert pool.prefix_sums[-1] == sum(r.weight for r in rows) << 20
    for r in rows:
        # One part in a thousand more than the tie, for the units that rounding leaves to the first of a band.
        assert abs(share_of(pool, r.validator_id) - (r.weight << 20)) * 1_000_000 <= (r.weight << 20) * (
            tie_ppm + 1_000
        )


def test_whoever_has_no_weight_is_never_drawn() -> None:
    pool = pool_of([row(n, n, "abc"[n % 3], n % 2) for n in range(40)])
    assert all(r.weight for r in pool.rows)
    assert len(pool.rows) == 20


# The rules of a panel


@given(st.integers(0, 10**9))
def test_both_panels_keep_every_rule_where_the_pool_is_wide(number: int) -> None:
    first = draw_panel(WIDE, seed_of(number), 1, 5, DEFAULT, conflicts={"op_0003"})
    second = draw_panel(WIDE, seed_of(number), 2, 5, DEFAULT, conflicts={"op_0003"}, earlier=[first])
    seats = first.seats + second.seats
    assert len({s.validator_id for s in seats}) == 10
    assert len({s.operator for s in seats}) == 10
    assert "op_0003" not in {s.operator for s in seats}
    for panel in (first, second):
        assert max(Counter(s.family for s in panel.seats).values()) <= 2
        assert [s.number for s in panel.seats] == [1, 2, 3, 4, 5]
        indices = [s.ticket_index for s in panel.seats]
        assert indices == sorted(set(indices))
    reused = {s.family for s in first.seats} & {s.family for s in second.seats if not s.relaxations}
    assert not reused


@given(st.integers(0, 10**9))
def test_with_four_families_phase_two_first_uses_what_phase_one_left_and_then_reuses_at_once(number: int) -> None:
    first = draw_panel(FOUR_FAMILIES, seed_of(number), 1, 5, DEFAULT)
    second = draw_panel(FOUR_FAMILIES, seed_of(number), 2, 5, DEFAULT, earlier=[first])
    left = set("abcd") - {s.family for s in first.seats}
    fresh = [s for s in second.seats if not s.relaxations]
    assert len(fresh) == 2 * len(left)
    assert {s.family for s in fresh} <= left
    assert second.relaxations == ("reuse_phase_one_families",)
    assert second.diversity_degraded
    assert not first.diversity_degraded
    # Counted, not found out by burning tickets.
    assert second.next_ticket < 100


def test_order_of_rows_and_of_conflicts_does_not_matter() -> None:
    rows = [row(n, n // 2, "abcdefgh"[n % 8], 1 + n * 7 % 50) for n in range(200)]
    random.Random(1).shuffle(rows)
    conflicts = ["op_0001", "op_0002", "op_0003"]
    assert draw_panel(pool_of(rows), seed_of(5), 1, 5, DEFAULT, conflicts=conflicts) == draw_panel(
        WIDE, seed_of(5), 1, 5, DEFAULT, conflicts=conflicts[::-1]
    )


def test_seeds_and_phases_give_panels_of_their_own() -> None:
    drawn = {
        tuple(s.validator_id for s in draw_panel(WIDE, seed_of(n), phase, 5, DEFAULT).seats)
        for n in range(50)
        for phase in (1, 2)
    }
    assert len(drawn) == 100


# Relaxations


def test_relaxations_come_in_the_declared_order_and_stand_on_the_seats() -> None:
    # One family, three operators of two validators: five seats need everything.
    pool = pool_of([row(n, n // 2, "a") for n in range(6)])
    panel = draw_panel(pool, seed_of(1), 1, 5, DEFAULT)
    assert [s.relaxations for s in panel.seats] == [
        (),
        (),
        ("family_cap",),
        ("family_cap", "operator_twice"),
        ("family_cap", "operator_twice"),
    ]
    assert panel.relaxations == panel.seats[-1].relaxations
    later = draw_panel(pool_of([row(n, n, "a") for n in range(20)]), seed_of(1), 2, 5, DEFAULT, earlier=[panel])
    assert later.relaxations == ("reuse_phase_one_families", "family_cap")


def test_another_order_of_relaxations_is_followed() -> None:
    pool = pool_of([row(n, n // 4, "ab"[n % 2]) for n in range(8)])
    order = ("operator_twice", "family_cap", "reuse_phase_one_families")
    panel = draw_panel(pool, seed_of(1), 1, 5, rules_with(relaxation_order=order))
    assert panel.relaxations == ("operator_twice", "family_cap")


def test_a_needed_relaxation_costs_no_ticket_and_an_unlikely_seat_costs_at_most_the_policys_tickets() -> None:
    # Family b is there, with one part in 10^12 of the weight: tickets run out before it is hit.
    rows = [row(n, n, "a", 10**9) for n in range(10)] + [row(10, 10, "b", 1)]
    panel = draw_panel(pool_of(rows), seed_of(1), 1, 3, rules_with(max_draw_attempts=50))
    assert panel.relaxations[-1] == "family_cap"
    assert 50 <= panel.seats[2].ticket_index <= 110
    without_b = draw_panel(pool_of(rows[:-1]), seed_of(1), 1, 3, rules_with(max_draw_attempts=50))
    assert without_b.seats[2].ticket_index < 10


def test_a_pool_that_is_too_small_says_how_far_it_reached() -> None:
    pool = pool_of([row(n, n, "abcd"[n % 4]) for n in range(6)])
    with pytest.raises(PoolTooSmallError, match=r"phase 1: 4 of 5 seats .* 6 validators, with 2 operators in conflict"):
        draw_panel(pool, seed_of(1), 1, 5, DEFAULT, conflicts={"op_0000", "op_0001"})
    with pytest.raises(PoolTooSmallError, match="0 of 5"):
        draw_panel(pool_of([]), seed_of(1), 1, 5, DEFAULT)


def test_no_relaxation_seats_a_conflict_or_a_member_of_an_earlier_panel() -> None:
    pool = pool_of([row(n, n % 3, "a") for n in range(12)])
    first = draw_panel(pool, seed_of(1), 1, 4, DEFAULT, conflicts={"op_0000"})
    second = draw_panel(pool, seed_of(1), 2, 4, DEFAULT, conflicts={"op_0000"}, earlier=[first])
    seats = first.seats + second.seats
    assert len({s.validator_id for s in seats}) == 8
    assert {s.operator for s in seats} == {"op_0001", "op_0002"}
    with pytest.raises(PoolTooSmallError):
        draw_panel(pool, seed_of(1), 3, 1, DEFAULT, conflicts={"op_0000"}, earlier=[first, second])


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers(0, 3)), max_size=12),
    st.sets(st.integers(0, 5), max_size=3),
    st.integers(0, 1_000),
)
def test_counting_who_may_sit_agrees_with_looking_at_everybody(
    members: list[tuple[int, str, int]], conflicts: set[int], number: int
) -> None:
    rows = [row(n, operator, family, weight) for n, (operator, family, weight) in enumerate(members)]
    closed = {f"op_{operator:04}" for operator in conflicts}
    pool = pool_of(rows)
    draw = selection._Draw(pool, seed_of(number), Panel(1), vacant=(), rules=DEFAULT, conflicts=closed, earlier=())
    for _ in range(8):
        may_sit = [
            r
            for r in pool.rows
            if r.validator_id not in draw.taken
            and r.operator not in draw.closed
            and r.family not in draw.avoided
            and draw.in_family[r.family] < draw.cap
        ]
        assert draw._somebody_may_sit() == bool(may_sit)
        drawn = draw._next_row()
        if drawn is None:
            break
        draw._sit(drawn, None)


# Redraws


def test_a_vacant_seat_is_redrawn_with_the_tickets_that_follow() -> None:
    panel = draw_panel(WIDE, seed_of(3), 1, 5, DEFAULT)
    redrawn = redraw_seats(WIDE, seed_of(3), panel, [4, 2], DEFAULT)
    assert redrawn.seats[:5] == panel.seats
    assert [(s.number, s.replaces) for s in redrawn.seats[5:]] == [(6, 2), (7, 4)]
    assert redrawn.seats[5].ticket_index >= panel.next_ticket
    assert [s.number for s in redrawn.standing] == [1, 3, 5, 6, 7]
    assert len({s.operator for s in redrawn.seats}) == 7
    assert max(Counter(s.family for s in redrawn.standing).values()) <= 2


def test_seats_to_be_replaced_leave_their_places_under_the_family_cap() -> None:
    # Two families, one seat each: both seats are vacant, so both families are open again.
    pool = pool_of([row(n, n, "ab"[n % 2]) for n in range(12)])
    rules = rules_with(max_seats_per_family=1)
    panel = draw_panel(pool, seed_of(3), 1, 2, rules)
    redrawn = redraw_seats(pool, seed_of(3), panel, [1, 2], rules)
    assert {s.family for s in redrawn.standing} == {"a", "b"}
    assert not redrawn.diversity_degraded


def test_a_seat_is_redrawn_as_often_as_the_policy_says() -> None:
    panel = draw_panel(WIDE, seed_of(3), 1, 5, DEFAULT)
    once = redraw_seats(WIDE, seed_of(3), panel, [1], DEFAULT)
    twice = redraw_seats(WIDE, seed_of(3), once, [6], DEFAULT)
    assert [s.replaces for s in twice.seats[5:]] == [1, 6]
    assert redraw_seats(WIDE, seed_of(3), twice, [7], DEFAULT).seats == twice.seats
    assert redraw_seats(WIDE, seed_of(3), panel, [1], rules_with(abstain_redraws=0)).seats == panel.seats


def test_only_a_standing_seat_can_be_redrawn() -> None:
    panel = redraw_seats(WIDE, seed_of(3), draw_panel(WIDE, seed_of(3), 1, 5, DEFAULT), [1], DEFAULT)
    with pytest.raises(KeyError):
        redraw_seats(WIDE, seed_of(3), panel, [1], DEFAULT)


def test_a_seat_that_nobody_can_fill_stays_vacant() -> None:
    pool = pool_of([row(n, n, "abc"[n % 3]) for n in range(6)])
    panel = draw_panel(pool, seed_of(3), 1, 5, DEFAULT)
    redrawn = redraw_seats(pool, seed_of(3), panel, [1, 2], DEFAULT)
    assert [s.replaces for s in redrawn.seats[5:]] == [1]
    assert 2 in {s.number for s in redrawn.standing}


def test_a_redraw_goes_on_under_the_relaxations_that_the_panel_needed() -> None:
    pool = pool_of([row(n, n, "a") for n in range(9)])
    panel = draw_panel(pool, seed_of(3), 1, 5, DEFAULT)
    redrawn = redraw_seats(pool, seed_of(3), panel, [1], DEFAULT)
    assert redrawn.seats[5].relaxations == panel.relaxations == ("family_cap",)

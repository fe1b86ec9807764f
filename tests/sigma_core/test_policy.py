"""The deployment policy: the protocol's values, in one file, typed, with a hash."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sigma_core.policy import (
    DEFAULT_POLICY_FILE,
    PPM,
    Q10,
    Policy,
    PolicyError,
    half_life_factor,
    load_policy,
    parse_policy,
)

TEXT = DEFAULT_POLICY_FILE.read_text(encoding="utf-8")


def edited(**values: str) -> str:
    """The default policy with other text for some values: ``edited(max_files="-1")``."""
    text = TEXT
    for name, value in values.items():
        text, count = re.subn(rf"(?m)^{name} = [^#\n]*", f"{name} = {value} ", text)
        assert count == 1, name
    return text


def refusal(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text, "my-policy.toml")
    assert caught.value.code == "POLICY_INVALID"
    return caught.value.message


# The default values are those of the protocol.


def test_panels(policy: Policy) -> None:
    rules = policy.assembly
    assert rules.seats_per_phase == 5
    assert rules.max_seats_per_family == 2  # "at most 2 of 5 of one model family"
    assert rules.unsafe_votes_to_reject == 8  # "at least 8 of 10 UNSAFE"
    assert rules.third_panel is False  # "optional third panel of 5"
    assert rules.third_panel_seats == 5
    assert rules.quorum_per_phase == 4  # the protocol asks for a quorum and leaves its size to the deployment
    assert rules.relaxation_order == ("reuse_phase_one_families", "family_cap", "operator_twice")


def test_points(policy: Policy) -> None:
    rules = policy.standing
    # m_o = clip(1/(2 π_o), 0.5, 4); π_o with a Beta(5, 5) prior
    assert (rules.min_multiplier_q10, rules.max_multiplier_q10) == (Q10 // 2, 4 * Q10)
    assert rules.base_rate_prior == 5
    assert rules.points_q10 == Q10
    assert rules.seat_tax_q10 == round(0.05 * Q10)
    assert rules.no_show_q10 == Q10 // 2
    assert rules.factor_certificate_q10 == Q10
    assert rules.factor_canary_q10 == 3 * Q10 // 2
    assert rules.factor_monitoring_q10 == round(0.2 * Q10)


def test_decay(policy: Policy) -> None:
    rules = policy.standing
    # D = round(2^30 · 2^(−1/H)), H = 30 days
    assert rules.half_life_days == 30
    assert rules.decay_bits == 30
    assert rules.decay_per_day == round(2**30 * math.pow(2, -1 / 30))


def test_audit_accuracy(policy: Policy) -> None:
    assert policy.standing.accuracy_prior_points == 4  # K


def test_reputation(policy: Policy) -> None:
    rules = policy.standing
    assert rules.reputation_start_ppm == PPM // 2
    assert rules.reputation_constructive_ppm == 4_000  # r += 0.004 (1 − r)
    assert rules.reputation_bad_ppm == 20_000  # r −= 0.02 r
    assert rules.reputation_idle_half_life_days == 180
    assert rules.reputation_idle_keep_per_day == round(2**30 * math.pow(2, -1 / 180))


def test_governance_weight(policy: Policy) -> None:
    rules = policy.standing
    assert rules.accuracy_floor_ppm == 50_000  # the 0.05 in (0.05 + 0.95 · …)
    assert rules.reputation_offset_ppm == 500_000  # the 0.5 in (0.5 + r)
    assert rules.plugin_bonus_cap_ppm == 100_000
    assert rules.in_world_bonus_cap_ppm == 50_000
    assert rules.operator_cap_ppm == 10_000  # "capped at 1 % of the total"


def test_monitoring(policy: Policy) -> None:
    rules = policy.monitoring
    assert rules.seats == 5
    assert (rules.split_detector_ppm, rules.split_confirming_ppm, rules.split_reserve_ppm) == (
        300_000,
        600_000,
        100_000,
    )


def test_the_class_balance_of_ten_to_one_stays_inside_its_bounds(policy: Policy) -> None:
    """Aligned with a rare truth pays at most 4, aligned with a common one at least 0.5: never nothing."""
    rules = policy.standing
    assert 0 < rules.min_multiplier_q10 < rules.points_q10 < rules.max_multiplier_q10


def test_a_seat_costs_less_than_it_can_earn(policy: Policy) -> None:
    rules = policy.standing
    smallest_gain = rules.points_q10 * rules.min_multiplier_q10 * rules.factor_monitoring_q10 // Q10**2
    assert 0 < rules.seat_tax_q10 < smallest_gain


# The hash


def test_the_hash_is_sha256_over_rfc_8785(policy: Policy) -> None:
    document = policy.model_dump(mode="json")
    assert policy.canonical_bytes == rfc8785.dumps(document)
    assert policy.hash == hashlib.sha256(rfc8785.dumps(document)).hexdigest()


def test_the_hash_covers_every_value_of_the_file(policy: Policy) -> None:
    assert policy.model_dump(mode="json") == tomllib.loads(TEXT)


def test_comments_layout_and_the_place_of_the_file_do_not_change_the_hash(policy: Policy, tmp_path: Path) -> None:
    bare = re.sub(r" *#.*", "", TEXT)
    (tmp_path / "mine.toml").write_text(re.sub(r"(\d)_(?=\d)", r"\1", bare), encoding="utf-8")
    assert load_policy(tmp_path / "mine.toml").hash == policy.hash


def test_any_changed_value_changes_the_hash(policy: Policy) -> None:
    hashes = {
        policy.hash,
        parse_policy(edited(third_panel="true"), "x").hash,
        parse_policy(edited(validity_days="364"), "x").hash,
        parse_policy(edited(relaxation_order='["family_cap"]'), "x").hash,
        parse_policy(edited(version='"2026-11-22"'), "x").hash,
    }
    assert len(hashes) == 5


def test_a_policy_cannot_be_changed_once_read(policy: Policy) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        policy.assembly.seats_per_phase = 1  # type: ignore[misc]


@given(days=st.integers(min_value=1, max_value=3_650))
def test_a_half_life_halves(days: int) -> None:
    factor = half_life_factor(days, 30)
    kept = 1.0
    for _ in range(days):
        kept *= factor / 2**30
    assert kept == pytest.approx(0.5, rel=1e-5)
    assert factor == pytest.approx(2**30 * math.pow(2, -1 / days), abs=1)


# What is refused, naming the file, the value and the rule


def test_text_that_is_not_toml() -> None:
    assert refusal("[package\nmax_files = 50").startswith("my-policy.toml: not TOML: ")
    assert refusal("x = " + "[" * 5_000).startswith("my-policy.toml: not TOML: ")
    assert refusal(edited(max_files="9" * 5_000)).startswith("my-policy.toml: not TOML: ")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.toml: No such file or directory \(check SIGMA_POLICY_FILE\)"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(PolicyError, match="Is a directory"):
        load_policy(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'version = "\xe9"')
    with pytest.raises(PolicyError, match=r"latin\.toml: not UTF-8 at byte 11"):
        load_policy(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ('"50"', "valid integer"),
        ("50.0", "valid integer"),
        ("true", "valid integer"),
        ("[50]", "valid integer"),
        ("nan", "valid integer"),
        ("0", "greater than or equal to 1"),
        ("-1", "greater than or equal to 1"),
        ("9_007_199_254_740_992", "less than or equal to 9007199254740991"),  # RFC 8785 cannot write it
    ],
)
def test_a_value_of_the_wrong_type_or_range(value: str, rule: str) -> None:
    message = refusal(edited(max_files=value))
    assert message.startswith("my-policy.toml: package.max_files: Input should be ")
    assert message.endswith(rule)


def test_a_date_where_text_should_be() -> None:
    assert refusal(edited(version="2026-11-21")) == (
        'my-policy.toml: a policy holds no dates, only text: version = "2026-11-21"'
    )


def test_an_unknown_value() -> None:
    assert refusal(edited(version='"1"\nspeed = 3')) == "my-policy.toml: speed: Extra inputs are not permitted"
    assert refusal(TEXT.replace("max_files =", "max_fils = 50\nmax_files =")) == (
        "my-policy.toml: package.max_fils: Extra inputs are not permitted"
    )


def test_a_missing_value() -> None:
    assert refusal(re.sub(r"(?m)^seats_per_phase.*\n", "", TEXT)) == (
        "my-policy.toml: assembly.seats_per_phase: Field required"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"decay_per_day": "1_049_217_528"},
            "standing: decay_per_day is 1049217528, but a half-life of 30 days makes it 1049217527",
        ),
        (
            {"half_life_days": "60"},
            "standing: decay_per_day is 1049217527, but a half-life of 60 days makes it 1061408847",
        ),
        (
            {"reputation_idle_keep_per_day": "1"},
            "standing: reputation_idle_keep_per_day is 1, but a half-life of 180 days makes it 1069614991",
        ),
        ({"min_multiplier_q10": "5_000"}, "standing: min_multiplier_q10 is larger than max_multiplier_q10"),
        ({"decay_bits": "31"}, "standing.decay_bits: Input should be less than or equal to 30"),
        ({"split_reserve_ppm": "100_001"}, "monitoring: the three splits must add up to 1,000,000 ppm"),
        ({"quorum_per_phase": "6"}, "assembly: quorum_per_phase is larger than seats_per_phase"),
        ({"unsafe_votes_to_reject": "11"}, "assembly: unsafe_votes_to_reject is larger than both panels together"),
        ({"unsafe_votes_to_reject": "5"}, "assembly: unsafe_votes_to_reject must be a majority of both panels"),
        ({"relaxation_order": '["family_cap", "family_cap"]'}, "assembly: relaxation_order names a relaxation twice"),
        ({"min_quote_characters": "401"}, "audit: min_quote_characters is larger than max_quote_characters"),
    ],
)
def test_values_that_do_not_fit_each_other(change: dict[str, str], message: str) -> None:
    assert refusal(edited(**change)) == f"my-policy.toml: {message}"


def test_a_relaxation_that_nobody_knows() -> None:
    message = refusal(edited(relaxation_order='["anything_goes"]'))
    assert message.startswith("my-policy.toml: assembly.relaxation_order.0: Input should be 'reuse_phase_one_families'")

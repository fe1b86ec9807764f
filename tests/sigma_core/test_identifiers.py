"""Names of submissions, rounds and certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.identifiers import CROCKFORD, certificate_id, new_submission_id, round_id
from sigma_core.timestamps import EPOCH

milliseconds = st.integers(min_value=0, max_value=(1 << 47) - 1)


def decode_milliseconds(submission_id: str) -> int:
    """The time in a ULID: its first ten characters, in Crockford's base 32."""
    number = 0
    for sign in submission_id.removeprefix("sub_")[:10]:
        number = number << 5 | CROCKFORD.index(sign)
    return number


@given(count=milliseconds)
def test_a_submission_id_is_a_ulid_of_its_time(count: int) -> None:
    name = new_submission_id(EPOCH + timedelta(milliseconds=count))
    assert name.startswith("sub_")
    assert len(name) == 4 + 26
    assert set(name.removeprefix("sub_")) <= set(CROCKFORD)
    assert decode_milliseconds(name) == count


@given(first=milliseconds, second=milliseconds)
def test_submission_ids_sort_by_time(first: int, second: int) -> None:
    names = [new_submission_id(EPOCH + timedelta(milliseconds=count)) for count in (first, second)]
    if first < second:
        assert names[0] < names[1]


def test_submission_ids_of_one_millisecond_differ() -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert len({new_submission_id(now) for _ in range(1_000)}) == 1_000


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        new_submission_id(datetime(2026, 11, 21))  # noqa: DTZ001


def test_rounds_and_certificates_are_named_after_their_submission() -> None:
    assert round_id("sub_01hxyz", 2) == "rnd_01hxyz_r2"
    assert certificate_id("rnd_01hxyz_r2") == "cert_01hxyz_r2"


def test_the_longest_name_fits_its_column() -> None:
    from sigma_core.storage.protocol import Identifier

    longest = certificate_id(round_id(new_submission_id(datetime(9999, 12, 31, tzinfo=UTC)), 10**9))
    assert len(longest) <= Identifier.length

"""Times on the wire: ISO 8601, UTC, milliseconds, Z."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.timestamps import (
    day_number,
    epoch_milliseconds,
    iso_utc,
    parse_iso_utc,
    truncate_to_milliseconds,
    utc_now,
)

zones = st.integers(min_value=-1439, max_value=1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
aware = st.datetimes(
    min_value=datetime(1, 1, 3),  # noqa: DTZ001
    max_value=datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=zones,
)


def test_the_form_on_the_wire() -> None:
    moment = datetime(2026, 11, 21, 3, 52, 0, 7_999, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert iso_utc(moment) == "2026-11-20T22:22:00.007Z"
    assert iso_utc(datetime(2026, 11, 21, tzinfo=UTC)) == "2026-11-21T00:00:00.000Z"


@given(moment=aware)
def test_writing_and_reading_give_the_same_instant_to_the_millisecond(moment: datetime) -> None:
    back = parse_iso_utc(iso_utc(moment))
    assert back == truncate_to_milliseconds(moment)
    assert back.tzinfo is UTC
    assert timedelta(0) <= moment.astimezone(UTC) - back < timedelta(milliseconds=1)


@given(moments=st.lists(aware))
def test_text_sorts_as_time_does(moments: list[datetime]) -> None:
    assert sorted(map(iso_utc, moments)) == [
        iso_utc(moment) for moment in sorted(moments, key=truncate_to_milliseconds)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2026-11-21",
        "2026-11-21T03:52:00.000",  # no zone
        "2026-11-21T03:52:00Z",  # no milliseconds
        "2026-11-21T03:52:00.000000Z",
        "2026-11-21T03:52:00.000+00:00",
        "2026-11-21T03:52:00.000+05:30",
        "2026-11-21 03:52:00.000Z",
        "2026-11-21t03:52:00.000z",
        "20261121T035200.000Z",
        "2026-W47-6T03:52:00.000Z",
        "2026-02-30T03:52:00.000Z",
        "2026-11-21T24:00:00.000Z",
        "2026-11-21T03:52:60.000Z",
        "٢٠٢٦-11-21T03:52:00.000Z",
        " 2026-11-21T03:52:00.000Z",
        "2026-11-21T03:52:00.000Z\n",
    ],
)
def test_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_iso_utc(text)


@given(text=st.text(max_size=40))
def test_only_its_own_form_is_read(text: str) -> None:
    try:
        moment = parse_iso_utc(text)
    except ValueError:
        return
    assert iso_utc(moment) == text


@pytest.mark.parametrize("function", [truncate_to_milliseconds, iso_utc, day_number, epoch_milliseconds])
def test_a_naive_time_is_refused(function: object) -> None:
    with pytest.raises(ValueError, match="without a time zone is ambiguous"):
        function(datetime(2026, 11, 21, 3, 52))  # type: ignore[operator]  # noqa: DTZ001


def test_days_begin_at_midnight_utc() -> None:
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    assert day_number(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert day_number(midnight) == 20_778
    assert day_number(midnight - timedelta(milliseconds=1)) == 20_777
    assert day_number(datetime(2026, 11, 21, 23, tzinfo=timezone(timedelta(hours=-2)))) == 20_779


@given(moment=aware)
def test_days_are_whole_milliseconds_counted(moment: datetime) -> None:
    assert day_number(moment) == epoch_milliseconds(moment) // 86_400_000


def test_now_is_utc_and_survives_the_wire() -> None:
    now = utc_now()
    assert now.tzinfo is UTC
    assert parse_iso_utc(iso_utc(now)) == now

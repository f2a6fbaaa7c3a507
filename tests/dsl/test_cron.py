"""Cron expressions: what can be written, and what happens when clocks are set."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workflows.dsl.cron import Cron, parse_cron

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"
LORD_HOWE = "Australia/Lord_Howe"
"""Its clock is set by half an hour."""

SYDNEY, CAIRO, UNSET = "Australia/Sydney", "Africa/Cairo", "Asia/Tokyo"


def shown(cron: Cron, day: str, most: int = 6) -> list[str]:
    """Return the times of one day on the zone's clock, with the offset that it had."""
    zone = ZoneInfo(cron.zone)
    start = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=zone)
    found = cron.between(start.astimezone(UTC), end.astimezone(UTC), most)
    return [f"{time.astimezone(zone):%H:%M:%S%z}" for time in found]


SPRING, AUTUMN = "2026-03-29", "2026-10-25"
CLOCKS_ARE_SET = [
    # In spring, 02:00 to 03:00 is skipped: what is due then happens at the end of the gap, once.
    (BERLIN, "30 2 * * *", SPRING, ["03:00:00+0200"]),
    (BERLIN, "0 30 2 * * *", SPRING, ["03:00:00+0200"]),
    (BERLIN, "0,15,30 2 * * *", SPRING, ["03:00:00+0200"]),
    (BERLIN, "30 2,3 * * *", SPRING, ["03:00:00+0200", "03:30:00+0200"]),
    (BERLIN, "0 2,3 * * *", SPRING, ["03:00:00+0200"]),
    (BERLIN, "59 1 * * *", SPRING, ["01:59:00+0100"]),
    (BERLIN, "0 3 * * *", SPRING, ["03:00:00+0200"]),
    # A rhythm follows the clock on the wall: it has no such hour.
    (BERLIN, "*/20 2 * * *", SPRING, []),
    (BERLIN, "30 * * * *", SPRING, ["00:30:00+0100", "01:30:00+0100", "03:30:00+0200"]),
    (BERLIN, "0 */2 * * *", SPRING, ["00:00:00+0100", "04:00:00+0200", "06:00:00+0200"]),
    # In autumn, 02:00 to 03:00 comes twice: a time of the day is meant once, the first time.
    (BERLIN, "30 2 * * *", AUTUMN, ["02:30:00+0200"]),
    (BERLIN, "0 30 2 * * *", AUTUMN, ["02:30:00+0200"]),
    (BERLIN, "0 3 * * *", AUTUMN, ["03:00:00+0100"]),
    # And a rhythm goes on.
    (BERLIN, "*/30 2 * * *", AUTUMN, ["02:00:00+0200", "02:30:00+0200", "02:00:00+0100", "02:30:00+0100"]),
    (BERLIN, "0 * * * *", AUTUMN, ["00:00:00+0200", "01:00:00+0200", "02:00:00+0200", "02:00:00+0100"]),
    # Elsewhere: another hour, midnight itself, half an hour, the other half of the year, no change at all.
    (NEW_YORK, "30 2 * * *", "2026-03-08", ["03:00:00-0400"]),
    (NEW_YORK, "30 1 * * *", "2026-11-01", ["01:30:00-0400"]),
    (CAIRO, "0 0 * * *", "2026-04-24", ["01:00:00+0300"]),
    (LORD_HOWE, "15 2 * * *", "2026-10-04", ["02:30:00+1100"]),
    (LORD_HOWE, "45 1 * * *", "2026-04-05", ["01:45:00+1100"]),
    (LORD_HOWE, "*/15 1 * * *", "2026-04-05", [
        "01:00:00+1100", "01:15:00+1100", "01:30:00+1100", "01:45:00+1100", "01:30:00+1030", "01:45:00+1030",
    ]),
    (SYDNEY, "30 2 * * *", "2026-10-04", ["03:00:00+1100"]),
    (UNSET, "30 2 * * *", SPRING, ["02:30:00+0900"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "text", "day", "times"), CLOCKS_ARE_SET)
def test_when_clocks_are_set(zone: str, text: str, day: str, times: list[str]) -> None:
    assert shown(parse_cron(text, zone), day)[: len(times) or None] == times


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, CAIRO])
@pytest.mark.parametrize("text", ["30 2 * * *", "0 30 2 * * *", "0 0 * * *", "15 1,2,3 * * *"])
def test_a_time_of_the_day_happens_as_often_as_there_are_days(zone: str, text: str) -> None:
    cron = parse_cron(text, zone)
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = datetime(2027, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)

    times = cron.between(start, end, 5000)

    per_day = text.count(",") + 1
    # Two times of one gap are one: both happen at its end.
    assert per_day * 365 - len(times) in ((0,) if per_day == 1 else (0, 1))
    assert len(set(times)) == len(times)


@given(
    text=st.sampled_from(["*/7 * * * *", "*/20 1,2 * * *", "30 * * * *", "*/10 */3 * * *", "5 * 25-31 * *"]),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, CAIRO, "UTC"]),
    start=st.sampled_from([datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 10, 11)]),
    minutes=st.integers(0, 31 * 24 * 60),
)
@example(text="30 * * * *", zone=LORD_HOWE, start=datetime(2026, 4, 1, tzinfo=UTC), minutes=4861)
@settings(max_examples=60, deadline=None)
def test_a_rhythm_happens_at_each_minute_whose_clock_fits(text: str, zone: str, start: datetime, minutes: int) -> None:
    cron = parse_cron(text, zone)
    begin = start + timedelta(minutes=minutes)
    span = 6 * 60
    every_minute = parse_cron("* * * * *", "UTC")

    found = cron.between(begin, begin + timedelta(minutes=span), 1000)

    fitting = [
        moment
        for moment in every_minute.between(begin, begin + timedelta(minutes=span), span)
        if _fits(text, moment.astimezone(ZoneInfo(zone)))
    ]
    assert found == fitting


def _fits(text: str, clock: datetime) -> bool:
    """Compare with a clock, on a clock that is never set."""
    naive = clock.replace(tzinfo=UTC, fold=0)
    return parse_cron(text).between(naive, naive + timedelta(seconds=1), 1) == [naive]


@given(
    text=st.sampled_from(["30 2 * * *", "*/7 2 * * *", "0 0 * * *", "15,45 1-3 * * *", "0 30 1 * * *", "0 9 * * MON"]),
    zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC"]),
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda time: time.replace(tzinfo=UTC)),  # noqa: DTZ001
)
@settings(max_examples=100, deadline=None)
def test_the_last_time_before_a_moment_is_the_one_after_which_nothing_comes_till_then(
    text: str, zone: str, moment: datetime
) -> None:
    cron = parse_cron(text, zone)

    before = cron.before(moment)

    assert before is not None
    assert before <= moment
    following = cron.after(before)
    assert following is not None
    assert following > moment
    assert cron.after(before - timedelta(microseconds=1)) == before


READ = {
    "@daily": "2026-01-03T00:00:00",
    "@HOURLY": "2026-01-02T04:00:00",
    "*/10 * * * * *": "2026-01-02T03:04:10",
    "0 9 * * mon": "2026-01-05T09:00:00",
    "0 9 1 jan-mar *": "2026-02-01T09:00:00",
    "0 0 L * *": "2026-01-31T00:00:00",
    "0 0 LW * *": "2026-01-30T00:00:00",
    "0 0 * * 1#1": "2026-01-05T00:00:00",
    "0 0 * * 5L": "2026-01-30T00:00:00",
    "0 0 29 2 *": "2028-02-29T00:00:00",
    # Both days are said: either of them will do.
    "0 0 13 * FRI": "2026-01-09T00:00:00",
    "CRON_TZ=Europe/Berlin 0 9 * * *": "2026-01-02T08:00:00",
    "TZ=Asia/Kolkata 0 9 * * *": "2026-01-02T03:30:00",
}


@pytest.mark.parametrize("text", READ)
def test_what_can_be_written(text: str) -> None:
    after = parse_cron(text).after(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    assert after == datetime.fromisoformat(READ[text]).replace(tzinfo=UTC)


REFUSED = {
    "": "it has 0 fields",
    "* * * *": "it has 4 fields, not five",
    "61 * * * *": "the minute cannot be read",
    "* 24 * * *": "the hour cannot be read",
    "* * * 13 *": "the month cannot be read",
    "* * * * mond": "the day of the week cannot be read",
    "*/0 * * * *": "the minute cannot be read",
    "60 * * * * *": "the second cannot be read",
    "0 0 30 2 *": "no month has such a day",
    "0 0 31 4,6,9,11 *": "no month has such a day",
    "0 0 */31 2 MON#2": "never happens",
    "@reboot": "it has 1 fields",
    "CRON_TZ=Mars/Olympus * * * * *": "'Mars/Olympus' is no time zone",
    "CRON_TZ=../../etc/passwd * * * * *": "is no time zone",
    "0 0 1 1 * " * 100: "at most 500 characters",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(REFUSED[text])):
        parse_cron(text)

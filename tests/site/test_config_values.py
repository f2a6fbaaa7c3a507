from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemline_site.config import KEYS
from lemline_site.config.values import format_duration, format_value, parse_duration, parse_size, parse_value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30S", 30),
        ("PT1H30M", 5400),
        ("P7D", 604800),
        ("P1W", 604800),
        ("P1DT1S", 86401),
        ("PT0.25S", 0.25),
        ("pt5m", 300),
        ("30s", 30),
        ("1h 30m", 5400),
        ("250ms", 0.25),
        ("2d", 172800),
    ],
)
def test_a_duration_is_iso_or_short(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "P", "PT", "P1Y", "10 parsecs", "-5s", "1h30"])
def test_a_duration_without_a_unit_or_sense_is_refused(text):
    with pytest.raises(ValueError, match="a duration is wanted"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=400)).map(lambda t: t - t % timedelta(seconds=1)))
def test_a_duration_survives_its_text(duration):
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "size"), [("1024", 1024), ("512K", 524288), ("8M", 8388608), ("1G", 2**30), ("1.5GiB", 1610612736)]
)
def test_a_size_counts_in_powers_of_1024(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_default_survives_its_text(key):
    assert parse_value(format_value(key.default), key.kind) == key.default


def test_a_choice_is_read_without_regard_to_case():
    assert parse_value("Activities", KEYS["lemline.history.level"].kind) == "activities"


def test_a_list_is_separated_by_commas():
    assert parse_value("loopback, 10.0.0.0/8,", KEYS["lemline.http.private-addresses"].kind) == (
        "loopback",
        "10.0.0.0/8",
    )

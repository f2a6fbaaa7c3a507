"""Durations: ISO 8601 texts and inline objects to spans of time."""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

_ISO = re.compile(
    r"P(?!$)(?:(?P<years>[0-9]+(?:\.[0-9]+)?)Y)?(?:(?P<months>[0-9]+(?:\.[0-9]+)?)M)?(?:(?P<weeks>[0-9]+(?:\.[0-9]+)?)W)?"
    r"(?:(?P<days>[0-9]+(?:\.[0-9]+)?)D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]+(?:\.[0-9]+)?)H)?(?:(?P<minutes>[0-9]+(?:\.[0-9]+)?)M)?(?:(?P<seconds>[0-9]+(?:\.[0-9]+)?)S)?)?"
)
UNITS = ("days", "hours", "minutes", "seconds", "milliseconds")


def parse_duration(value: object) -> timedelta:
    """Return the span that a value says.

    Args:
        value: `PT1M30S`, or `{minutes: 1, seconds: 30}`.

    Raises:
        ValueError: It is neither; the message says what is allowed. Years and months have no fixed length
            and are refused.
    """
    if isinstance(value, str):
        return _iso(value)
    if isinstance(value, Mapping):
        return _inline(value)
    raise ValueError("a duration is an ISO 8601 text such as PT5S, or an object such as {seconds: 5}")


def _iso(text: str) -> timedelta:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no ISO 8601 duration; write e.g. PT30S, PT5M, PT1H30M or P1D")
    if match["years"] or match["months"]:
        raise ValueError(f"{text[:40]!r}: years and months differ in length; write days")
    parts = {unit: float(Decimal(amount)) for unit, amount in match.groupdict().items() if amount}
    return _span(parts)


def _inline(value: Mapping[str, object]) -> timedelta:
    unknown = [str(unit) for unit in value if unit not in UNITS]
    if unknown or not value:
        found = f"{', '.join(unknown)} is no unit" if unknown else "the object is empty"
        raise ValueError(f"{found}; units of a duration are {', '.join(UNITS)}")
    for unit, amount in value.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float | Decimal) or amount < 0:
            raise ValueError(f"{unit} must be a number that is not negative")
    return _span({unit: float(str(amount)) for unit, amount in value.items()})


def _span(parts: Mapping[str, float]) -> timedelta:
    try:
        return timedelta(**parts)
    except OverflowError as error:
        raise ValueError("the duration is too long") from error

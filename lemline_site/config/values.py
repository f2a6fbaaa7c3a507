"""Texts to values and back: durations, sizes, lists, choices.

Every source gives text in the end, so that a value means the same wherever it was written.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin

from django.core.exceptions import ImproperlyConfigured

Bytes = NewType("Bytes", int)
"""A size. `8M`, `512k`, `1GiB`: powers of 1024, as the JVM and PostgreSQL count."""


class ConfigurationError(ImproperlyConfigured):
    """The configuration cannot be used; the message names the key, its source and what is allowed."""


_UNIONS = (UnionType, Union)
"""A size that may be missing is the latter: what `NewType` gives has `|` from typing."""

_ISO = re.compile(
    r"P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)
_SHORT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*")
_SHORT_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parse_value(text: str, kind: Any) -> object:
    """Return what a text means as a value of a type; ValueError says what is allowed."""
    text = text.strip()
    if get_origin(kind) in _UNIONS:
        return _optional(text, kind)
    if get_origin(kind) is Literal:
        return _choice(text, get_args(kind))
    if get_origin(kind) is tuple:
        return tuple(filter(None, (part.strip() for part in text.split(","))))
    return _PARSERS[kind](text)


def format_value(value: object) -> str:
    """Return a value's text, as `parse_value` reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case timedelta():
            return format_duration(value)
        case tuple():
            return ",".join(map(str, value))
    return str(value)


def describe_type(kind: Any) -> str:
    """Return what to write, in the words of the reference: `duration`, `size`, `a | b`."""
    if get_origin(kind) in _UNIONS:
        return f"{describe_type(_inner(kind))}, or nothing"
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    return "list" if get_origin(kind) is tuple else _NAMES[kind]


def parse_duration(text: str) -> timedelta:
    """Read `PT1H30M`, `90s`, `1h 30m` or `250ms`. A bare number has no unit and is refused."""
    if match := _ISO.fullmatch(text):
        return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number})
    parts = _SHORT.findall(text)
    if parts and not _SHORT.sub("", text):
        return sum((timedelta(**{_SHORT_UNITS[unit]: float(number)}) for number, unit in parts), timedelta())
    raise ValueError("a duration is wanted, such as PT30S, 30s or 1h 30m")


def format_duration(value: timedelta) -> str:
    """Return a duration in ISO 8601, without months and years."""
    seconds = value.total_seconds()
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    time = "".join(f"{number:g}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if number)
    date = f"{days:g}D" if days else ""
    return f"P{date}{'T' + time if time else ''}" if date or time else "PT0S"


def parse_size(text: str) -> Bytes:
    """Read `1048576`, `512K`, `8M`, `1G`, `1GiB`: bytes, in powers of 1024."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("a size is wanted, such as 512K, 8M or 1G")
    return Bytes(int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " ")))


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("true or false is wanted")


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise ValueError("a whole number is wanted")
    return int(text)


def _optional(text: str, kind: Any) -> object:
    return parse_value(text, _inner(kind)) if text else None


def _inner(kind: Any) -> Any:
    return next(part for part in get_args(kind) if part is not NoneType)


def _choice(text: str, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if text.lower() == choice.lower():
            return choice
    raise ValueError(f"one of {', '.join(choices)} is wanted")


_PARSERS: Mapping[Any, Callable[[str], object]] = {
    str: str,
    bool: _boolean,
    int: _whole,
    Bytes: parse_size,
    timedelta: parse_duration,
}
_NAMES: Mapping[Any, str] = {str: "text", bool: "true or false", int: "number", Bytes: "size", timedelta: "duration"}

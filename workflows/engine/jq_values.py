"""What jq's operators say of Python values: only where both surely agree, else `Fallback`."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from workflows.dsl.jsontext import Json

EXACT = 2**53
"""Integers up to here are the same in jq as in Python."""

MEASURE_LIMIT = 1_000_000
"""Values and characters of a result that is looked at before it is given away."""

SUM_LIMIT = 32 * 1024 * 1024
"""Bytes of a sum: twice the largest document. What doubles and doubles within one program ends here."""


class Fallback(Exception):  # noqa: N818  (control flow, not an error)
    """These values are jq's business."""


def is_true(value: Json) -> bool:
    """Return whether jq takes a value for true."""
    return value is not None and value is not False


def exceeds(value: Json, limit: int = MEASURE_LIMIT) -> bool:
    """Return whether a value, written out, has more values and characters than that."""
    unseen = [value]
    while unseen and limit > 0:
        value = unseen.pop()
        limit -= 1
        if type(value) is str:
            limit -= len(value)
        elif type(value) is list:
            limit -= len(value)
            unseen += value if limit > 0 else ()
        elif type(value) is dict:
            limit -= len(value)
            unseen += value.values() if limit > 0 else ()
    return limit <= 0


def _equal(left: Json, right: Json) -> bool:
    kind = type(left)
    if kind is int and type(right) is int:
        return _exact(left) == _exact(right)
    if kind in _SCALARS and type(right) in _SCALARS:
        return kind is type(right) and bool(left == right)
    if kind in _KINDS and type(right) in _KINDS and _KINDS[kind] != _KINDS[type(right)]:
        return False
    raise Fallback


def _less(left: Json, right: Json) -> bool:
    if type(left) is int and type(right) is int:
        return bool(_exact(left) < _exact(right))
    if type(left) is str and type(right) is str:
        return left < right
    raise Fallback


def _exact(number: int) -> int:
    if -EXACT <= number <= EXACT:
        return number
    raise Fallback


def _add(left: Json, right: Json) -> Json:
    kind = type(left)
    if kind is int and type(right) is int:
        return _exact(_exact(left) + _exact(right))
    if kind is type(right) and kind in (str, list, dict):
        if (len(left) + len(right)) * (1 if kind is str else 8) > SUM_LIMIT:
            raise Fallback
        return {**left, **right} if kind is dict else left + right
    if left is None:
        return right
    if right is None:
        return left
    raise Fallback


def _subtract(left: Json, right: Json) -> Json:
    if type(left) is int and type(right) is int:
        return _exact(_exact(left) - _exact(right))
    raise Fallback


def _length(value: Json) -> int:
    if type(value) in (str, list, dict):
        return len(value)
    if value is None:
        return 0
    raise Fallback


_SCALARS = frozenset({type(None), bool, str})
_KINDS: Mapping[type[Any], str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    Decimal: "number",
    str: "string",
    list: "array",
    dict: "object",
}
COMPARISONS: Mapping[str, Callable[[Json, Json], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _less,
    ">": lambda left, right: _less(right, left),
    "<=": lambda left, right: not _less(right, left),
    ">=": lambda left, right: not _less(left, right),
}
SUMS: Mapping[str, Callable[[Json, Json], Json]] = {"+": _add, "-": _subtract}
CONSTANTS: Mapping[str, Json] = {"true": True, "false": False, "null": None}
FUNCTIONS: Mapping[str, Callable[[Json], Json]] = {"not": lambda value: not is_true(value), "length": _length}

"""Values as SQL literals, for the wide statements of a step.

psycopg2's general way costs three times as much, and stood at the head of the profile. Only types whose
spelling has a closed alphabet are spelled here; texts are quoted by psycopg2.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg2.extensions import QuotedString


@functools.lru_cache(4096)
def _quoted(text: str) -> bytes:
    """Quote a text: names, positions and the like come again and again.

    PostgreSQL has no NUL and no lone surrogate in texts. Where one stands in a column that is searched or shown, a
    replacement character stands for it; what workflows work with is stored as bytes.
    """
    quoted = QuotedString(text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode())
    quoted.encoding = "utf8"
    return bytes(quoted.getquoted())


def _text(value: str) -> bytes:
    if len(value) <= 256:
        return _quoted(value)
    return _quoted.__wrapped__(value)


_SPELL: Mapping[type[Any], Callable[[Any], bytes]] = {
    type(None): lambda _: b"NULL",
    bool: lambda value: b"true" if value else b"false",
    int: lambda value: b"%d" % value,
    str: _text,
    bytes: lambda value: b"'\\x%b'::bytea" % value.hex().encode(),
    datetime: lambda value: b"'%b'" % value.isoformat().encode(),
}


def rows(table: Iterable[Sequence[object]], casts: Sequence[bytes] = ()) -> bytes:
    """Return the rows of a VALUES list.

    Args:
        table: Values of None, bool, int, str, bytes or an aware datetime.
        casts: A type per column for the first row, from which PostgreSQL takes those of the others; empty
            where the statement itself knows them.
    """
    spelled = [[_SPELL[type(value)](value) for value in row] for row in table]
    if casts and spelled:
        spelled[0] = [b"%b::%b" % pair for pair in zip(spelled[0], casts, strict=True)]
    return b", ".join([b"(%b)" % b", ".join(row) for row in spelled])

"""How much a jq program may make of its input: which programs surely end soon, and may run inside this process.

jq cannot be interrupted, holds the interpreter's lock and ends the process when memory runs out. So a
program is read as a polynomial: `factor * n ** degree` bounds the size of its results, and its work, for an
input of `n` bytes, the program's own text included. What is no path, construction, or function of the table
below has no bound. The reading is coarse and errs on the safe side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from workflows.dsl.jq_tokens import Token, UnterminatedError, tokens

INPUT_LIMIT = 200_000
"""Bytes of input beyond which no program runs in this process."""

WORK_LIMIT = 2_000_000
LOOPS_LIMIT = 500_000
"""What may come of it where work is linear, and where things are paired with things; some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Growth:
    """What a piece of a program makes of its input."""

    factor: float = 1
    degree: int = 1
    copies: float = 1
    """How often the input can stand in the result, texts of the program not counted."""

    many: bool = False
    """It may have several results."""

    outer: bool = False
    """It looks at more than its input, so it does not shrink with it."""

    binds: bool = False
    """It ends in `as`."""

    def fits(self, size: int) -> bool:
        """Return whether an input of so many bytes may be worked on here."""
        work = self.factor * float(size) ** self.degree
        return size <= INPUT_LIMIT and work <= (WORK_LIMIT if self.degree == 1 else LOOPS_LIMIT)


def growth(text: str) -> Growth | None:
    """Return what a program makes of its input, None where that has no bound."""
    try:
        whole = _piped(list(tokens(text)))
    except (_UnboundedError, UnterminatedError, RecursionError, OverflowError):
        return None
    return replace(whole, degree=max(1, whole.degree))


class _UnboundedError(Exception):
    """The program says what is not understood here."""


_LINEAR: dict[str, float] = {
    **dict.fromkeys((
        "abs", "add", "arrays", "ascii_downcase", "ascii_upcase", "booleans", "ceil", "debug", "empty", "endswith",
        "env", "error", "fabs", "first", "floor", "from_entries", "fromdate", "fromdateiso8601", "fromjson", "gmtime",
        "halt", "halt_error", "has", "in", "infinite", "input", "input_filename", "input_line_number", "inputs",
        "isinfinite", "isnan", "isnormal", "iterables", "keys", "keys_unsorted", "last", "length", "ltrim", "ltrimstr",
        "max", "min", "mktime", "nan", "not", "now", "nulls", "numbers", "objects", "reverse", "round", "rtrim",
        "rtrimstr", "scalars", "select", "sort", "sqrt", "startswith", "stderr", "strings", "toarray", "tonumber",
        "trim", "true", "false", "null", "type", "unique", "utf8bytelength", "values",
    ), 1),
    "_chunk": 3, "chunk": 3, "split": 4, "to_entries": 5, "tojson": 6, "tostring": 6, "ascii": 8, "explode": 8,
    "implode": 8, "todate": 20, "todateiso8601": 20, "strftime": 4096,
}  # fmt: skip
"""Functions whose work and result are proportional to their input, and by how much the text grows."""

_QUADRATIC = frozenset({"contains", "del", "flatten", "index", "indices", "inside", "join", "rindex", "transpose"})

_EACH: dict[str, float] = {
    **dict.fromkeys(
        ("all", "any", "group_by", "map", "map_values", "max_by", "min_by", "sort_by", "unique_by"), 1
    ),
    "with_entries": 5,
}  # fmt: skip
"""Functions that apply their argument to each item, and have one result."""

_FUNCTIONS = _QUADRATIC.union(_LINEAR, _EACH)
_KEYWORDS = frozenset({"if", "then", "elif", "else", "and", "or", "try", "catch"})
_BRANCHES = frozenset({"then", "elif", "else"})
_NEUTRAL = frozenset({",", "+", "==", "!=", "<", "<=", ">", ">=", "//", "?", ":", "%"})
_NAMING = frozenset({"==", "!=", "<", "<=", ">", ">=", "."})
"""Beside these a literal is looked at, and does not stand in the result."""

_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_TEXT_GROWTH = 6
"""Quotes, backslashes and control characters get longer when they are written into a text."""


def _piped(found: Sequence[Token]) -> Growth:
    """What `a | b` makes, or `f(a; b)` of its arguments."""
    segments = _split(found, ("|", ";"))
    whole = _segment(segments[0])
    for segment in segments[1:]:
        whole = _then(whole, _segment(segment))
    return whole


def _then(first: Growth, second: Growth) -> Growth:
    """What the second makes of the first one's results.

    That is no more than it makes of them all at once, unless it looks at other things too: then as much of each.
    """
    degree = max(1, first.degree) * max(1, second.degree)
    times = 1.0
    if first.many and (second.outer or first.binds):
        degree += max(1, first.degree)
        times = first.factor
    return Growth(
        factor=times * second.factor * max(1.0, first.factor) ** max(1, second.degree),
        degree=degree,
        copies=max(1.0, first.copies) * max(1.0, second.copies),
        many=first.many or second.many,
        outer=first.outer or second.outer or first.binds,
        binds=second.binds,
    )


def _together(pieces: Sequence[Growth]) -> Growth:
    """What several pieces of one term make: a sum, or all pairs where some have several results."""
    others = [piece for piece in pieces if not piece.many]
    many = [piece for piece in pieces if piece.many]
    rest = sum(piece.factor for piece in others)
    return Growth(
        factor=prod(max(1.0, piece.factor) for piece in many) * (rest + len(many)) if many else max(1.0, rest),
        degree=sum(piece.degree for piece in many) + max((piece.degree for piece in others), default=0),
        copies=sum(piece.copies for piece in pieces),
        many=bool(many),
        outer=any(piece.outer for piece in pieces),
    )


def _segment(found: Sequence[Token]) -> Growth:
    """What one term makes, operators and all."""
    pieces: list[Growth] = []
    place = 0
    is_after_term = False
    while place < len(found):
        token = found[place]
        if token.kind == "name" and token.text == "as":
            if any(later.text in ("(", "?//") for later in found[place:]):
                # Patterns with programs; alternatives, each of which runs all that follows again.
                raise _UnboundedError
            return replace(_together(pieces), binds=True)
        if token.kind == "name" and token.text in _FUNCTIONS:
            place = _call(found, place, pieces)
            is_after_term = True
        elif token.text in _CLOSERS:
            place = _group(found, place, pieces, is_after_term)
            is_after_term = True
        else:
            is_after_term = _word(found, place, pieces, is_after_term)
            place += 1
    whole = _together(pieces)
    times = prod(_repetitions(found))
    return replace(whole, factor=whole.factor * times, outer=whole.outer or _crosses_branches(found))


def _repetitions(found: Sequence[Token]) -> Iterator[float]:
    """Yield how often a text to the left of each `*` is repeated."""
    for place, token in enumerate(found[:-1]):
        if token.text == "*":
            yield max(1.0, float(found[place + 1].text))


def _crosses_branches(found: Sequence[Token]) -> bool:
    """Return whether an `if` begins or ends elsewhere: what is behind `then` has not the input of the pipe's left."""
    depth = 0
    for token in found:
        if token.kind == "name":
            depth += (token.text == "if") - (token.text == "end")
            if depth < 0 or (not depth and token.text in _BRANCHES):
                return True
    return depth != 0


def _word(found: Sequence[Token], place: int, pieces: list[Growth], is_after_term: bool) -> bool:
    """Add what a word without brackets makes. Returns whether a term ends with it."""
    token = found[place]
    match token.kind:
        case "field":
            pieces += [] if is_after_term else [Growth()]
        case "variable":
            pieces.append(Growth(outer=True))
        case "number" | "string":
            near = found[max(0, place - 1) : place + 2]
            is_kept = not any(other.text in _NAMING for other in near)
            pieces += _literal(token, len(token.text) if is_kept else 1)
        case "format":
            pieces.append(Growth(factor=_TEXT_GROWTH))
        case "operator":
            return _operator(found, place, pieces, is_after_term)
        case "name" if token.text in _KEYWORDS:
            return False
        case "name" if token.text == "end":
            return True
        case _:
            raise _UnboundedError
    return True


def _operator(found: Sequence[Token], place: int, pieces: list[Growth], is_after_term: bool) -> bool:
    text = found[place].text
    if text == ".":
        pieces += [] if is_after_term else [Growth()]
        return True
    if text == "-":
        # Of arrays, a difference compares all with all.
        is_number = place + 1 < len(found) and found[place + 1].kind == "number"
        pieces += [] if is_number or not is_after_term else [Growth(degree=2)]
    elif text == "/":
        pieces.append(Growth(factor=4))
    elif text == "*":
        # A text is repeated. How often must stand there.
        if place + 1 == len(found) or found[place + 1].kind != "number":
            raise _UnboundedError
    elif text not in _NEUTRAL:
        # Assignments fill arrays up to an index, `..` walks everything.
        raise _UnboundedError
    return text == "?"


def _literal(token: Token, length: int) -> list[Growth]:
    literal = Growth(factor=length, degree=0, copies=0)
    if not token.inner:
        return [literal]
    inner = _piped(token.inner)
    return [literal, replace(inner, factor=inner.factor * _TEXT_GROWTH)]


def _call(found: Sequence[Token], place: int, pieces: list[Growth]) -> int:
    """Add what a function makes. Returns the place behind it."""
    name = found[place].text
    place += 1
    given: Growth | None = None
    if place < len(found) and found[place].text == "(":
        end = _end(found, place)
        given = _piped(found[place + 1 : end])
        if name == "split" and len(_split(found[place + 1 : end], (";",))) > 1:
            raise _UnboundedError
        place = end + 1
    if name in _EACH:
        inner = given or Growth()
        degree = max(1, inner.degree) + inner.outer
        pieces.append(replace(inner, factor=(inner.factor + 1) * _EACH[name], degree=degree, many=False))
        return place
    own = Growth(degree=2) if name in _QUADRATIC else Growth(factor=_LINEAR[name])
    pieces += [own] if given is None else [own, given]
    return place


def _group(found: Sequence[Token], place: int, pieces: list[Growth], is_after_term: bool) -> int:
    """Add what stands in brackets. Returns the place behind them."""
    end = _end(found, place)
    within = found[place + 1 : end]
    opener = found[place].text
    if opener == "{":
        pieces.append(_object(within))
    elif not within:
        if opener == "[" and is_after_term and pieces:
            pieces[-1] = replace(pieces[-1], many=True, degree=max(1, pieces[-1].degree))
    elif opener == "[" and not is_after_term:
        inner = _piped(within)
        pieces.append(replace(inner, factor=inner.factor + 1, many=False))
    else:
        pieces.append(_piped(within))
    return end + 1


def _object(within: Sequence[Token]) -> Growth:
    pieces: list[Growth] = [Growth(factor=2, degree=0, copies=0)]
    for member in _split(within, (",",)):
        if not member:
            continue
        key, *value = member
        if key.text in _CLOSERS:
            end = _end(member, 0)
            pieces.append(_piped(member[1:end]))
            value = list(member[end + 1 :])
        else:
            pieces += _literal(key, len(key.text)) if key.kind != "variable" else [Growth(outer=True)]
        if value and value[0].text == ":":
            pieces.append(_piped(value[1:]))
        elif value:
            pieces.append(_piped(member))
        else:
            pieces.append(Growth())
    return _together(pieces)


def _split(found: Sequence[Token], at: tuple[str, ...]) -> list[Sequence[Token]]:
    """Return what stands between these operators, outside of brackets."""
    parts: list[Sequence[Token]] = []
    begin = place = 0
    while place < len(found):
        if found[place].text in _CLOSERS:
            place = _end(found, place)
        elif found[place].text in at:
            parts.append(found[begin:place])
            begin = place + 1
        place += 1
    return [*parts, found[begin:]]


def _end(found: Sequence[Token], place: int) -> int:
    """Return where the bracket at a place closes."""
    depth = 0
    for at in range(place, len(found)):
        depth += (found[at].text in _CLOSERS) - (found[at].text in _CLOSERS.values())
        if not depth:
            return at
    raise _UnboundedError

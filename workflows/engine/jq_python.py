"""Common jq evaluated in Python: paths, literals, comparisons, boolean logic, construction.

A program is translated once, into closures. They know jq's meaning for the values that occur, and give
up (`Fallback`) on every other: then jq itself evaluates the whole, so its errors and its corner cases
are its own. Numbers beyond 2^53, which jq rounds, are such a corner.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from workflows.dsl.jq_tokens import Token, UnterminatedError, tokens
from workflows.dsl.jsontext import Json, JsonError, decode

Variables = Mapping[str, Json]
Evaluate = Callable[[Json, Variables], Json]

EXACT = 2**53
"""Integers up to here are the same in jq as in Python."""


class Fallback(Exception):  # noqa: N818  (control flow, not an error)
    """These values are jq's business."""


class _Untranslatable(Exception):  # noqa: N818
    """This program is jq's business."""


def translate(text: str) -> Evaluate | None:
    """Return a function that evaluates a program, or None when it says more than is translated here."""
    try:
        parser = _Parser(list(tokens(text)))
        evaluate = parser.pipe()
        parser.expect_end()
    except (_Untranslatable, UnterminatedError):
        return None
    return evaluate


class _Parser:
    """Recursive descent over jq's precedences: `|` `//` `or` `and` comparison `+ -` `*` postfix."""

    def __init__(self, found: Sequence[Token]) -> None:
        self._tokens = found
        self._place = 0

    def expect_end(self) -> None:
        if self._place != len(self._tokens):
            raise _Untranslatable

    def _peek(self) -> str:
        return self._tokens[self._place].text if self._place < len(self._tokens) else ""

    def _take(self) -> Token:
        if self._place >= len(self._tokens):
            raise _Untranslatable
        self._place += 1
        return self._tokens[self._place - 1]

    def _skip(self, text: str) -> bool:
        if self._peek() != text:
            return False
        self._place += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._skip(text):
            raise _Untranslatable

    def pipe(self) -> Evaluate:
        left = self._alternative()
        if self._peek() == "as":
            raise _Untranslatable
        if self._skip("|"):
            right = self.pipe()
            return lambda value, variables: right(left(value, variables), variables)
        return left

    def _alternative(self) -> Evaluate:
        left = self._or()
        if self._skip("//"):
            right = self._alternative()
            return lambda value, variables: _first(left(value, variables), right, value, variables)
        return left

    def _or(self) -> Evaluate:
        left = self._and()
        while self._skip("or"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Evaluate:
        left = self._comparison()
        while self._skip("and"):
            left = _both(left, self._comparison())
        return left

    def _comparison(self) -> Evaluate:
        left = self._sum()
        compare = _COMPARISONS.get(self._peek())
        if compare is None:
            return left
        self._place += 1
        right = self._sum()
        return lambda value, variables: compare(left(value, variables), right(value, variables))

    def _sum(self) -> Evaluate:
        left = self._postfix()
        while self._peek() in _SUMS:
            combine = _SUMS[self._take().text]
            left = _combined(combine, left, self._postfix())
        return left

    def _postfix(self) -> Evaluate:
        evaluate = self._term()
        while True:
            if self._place < len(self._tokens) and self._tokens[self._place].kind == "field":
                evaluate = _member(evaluate, self._take().text[1:])
            elif self._peek() == "[":
                self._place += 1
                evaluate = _member(evaluate, self._key())
                self._expect("]")
            elif self._peek() == "." and self._place + 1 < len(self._tokens):
                self._place += 1
                evaluate = self._after_dot(evaluate)
            else:
                return evaluate

    def _after_dot(self, evaluate: Evaluate) -> Evaluate:
        if self._skip("["):
            evaluate = _member(evaluate, self._key())
            self._expect("]")
            return evaluate
        return _member(evaluate, _string(self._take()))

    def _key(self) -> str | int:
        """A literal text, or a literal index, negative ones counting from the end."""
        is_negative = self._skip("-")
        token = self._take()
        if token.kind == "number" and token.text.isdigit() and len(token.text) < 10:
            return -int(token.text) if is_negative else int(token.text)
        if is_negative:
            raise _Untranslatable
        return _string(token)

    def _term(self) -> Evaluate:
        token = self._take()
        match token.kind:
            case "field":
                return _member(_identity, token.text[1:])
            case "variable":
                return _variable(token.text[1:].strip())
            case "number":
                return _constant(_number(token.text))
            case "string":
                return _constant(_string(token))
            case "name":
                return self._named(token.text)
        if token.text == "(":
            inner = self.pipe()
            self._expect(")")
            return inner
        return self._composed(token.text)

    def _composed(self, opener: str) -> Evaluate:
        if opener == "{":
            return self._object()
        if opener == "[":
            return self._array()
        if opener == ".":
            following = self._tokens[self._place] if self._place < len(self._tokens) else None
            if following is not None and following.kind == "string":
                return _member(_identity, _string(self._take()))
            return _identity
        raise _Untranslatable

    def _named(self, name: str) -> Evaluate:
        if name in _CONSTANTS:
            return _constant(_CONSTANTS[name])
        if name == "if":
            return self._if()
        if name in _FUNCTIONS and self._peek() != "(":
            function = _FUNCTIONS[name]
            return lambda value, _: function(value)
        raise _Untranslatable

    def _if(self) -> Evaluate:
        condition = self.pipe()
        self._expect("then")
        then = self.pipe()
        if self._skip("elif"):
            otherwise = self._if()
        elif self._skip("else"):
            otherwise = self.pipe()
            self._expect("end")
        else:
            self._expect("end")
            otherwise = _identity
        return lambda value, variables: (then if _is_true(condition(value, variables)) else otherwise)(value, variables)

    def _array(self) -> Evaluate:
        items: list[Evaluate] = []
        while not self._skip("]"):
            if items:
                self._expect(",")
            items.append(self.pipe())
        return lambda value, variables: [item(value, variables) for item in items]

    def _object(self) -> Evaluate:
        members: list[tuple[str, Evaluate]] = []
        while not self._skip("}"):
            if members:
                self._expect(",")
            members.append(self._pair())
        return lambda value, variables: {key: member(value, variables) for key, member in members}

    def _pair(self) -> tuple[str, Evaluate]:
        token = self._take()
        if token.kind == "variable":
            name = token.text[1:].strip()
            return name, _variable(name)
        key = token.text if token.kind == "name" else _string(token)
        return key, self._alternative() if self._skip(":") else _member(_identity, key)


def _identity(value: Json, variables: Variables) -> Json:
    return value


def _constant(constant: Json) -> Evaluate:
    return lambda _, __: constant


def _variable(name: str) -> Evaluate:
    if name in ("ENV", "__loc__", "__now", "__prog_args"):
        raise _Untranslatable

    def read(value: Json, variables: Variables) -> Json:
        try:
            return variables[name]
        except KeyError:
            raise Fallback from None

    return read


def _member(of: Evaluate, key: str | int) -> Evaluate:
    if isinstance(key, int):
        return _item(of, key)

    def named(value: Json, variables: Variables) -> Json:
        whole = value if of is _identity else of(value, variables)
        if type(whole) is dict:
            return whole.get(key)
        if whole is None:
            return None
        raise Fallback

    return named


def _item(of: Evaluate, index: int) -> Evaluate:
    def numbered(value: Json, variables: Variables) -> Json:
        whole = of(value, variables)
        if type(whole) is list:
            return whole[index] if -len(whole) <= index < len(whole) else None
        if whole is None:
            return None
        raise Fallback

    return numbered


def _string(token: Token) -> str:
    if token.kind != "string" or token.inner or "\\(" in token.text:
        raise _Untranslatable
    try:
        text = decode(token.text)
    except JsonError as error:
        raise _Untranslatable from error
    return str(text)


def _number(text: str) -> int | Decimal:
    number = decode(text) if not text.startswith(".") and not text.endswith(".") else None
    if type(number) is int and number <= EXACT:
        return number
    raise _Untranslatable


def _is_true(value: Json) -> bool:
    return value is not None and value is not False


def _first(found: Json, right: Evaluate, value: Json, variables: Variables) -> Json:
    return found if _is_true(found) else right(value, variables)


def _either(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, variables: _is_true(left(value, variables)) or _is_true(right(value, variables))


def _both(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, variables: _is_true(left(value, variables)) and _is_true(right(value, variables))


def _combined(combine: Callable[[Json, Json], Json], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, variables: combine(left(value, variables), right(value, variables))


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
    if kind is type(right):
        if kind is str or kind is list:
            return left + right
        if kind is dict:
            return {**left, **right}
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
_COMPARISONS: Mapping[str, Callable[[Json, Json], bool]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _less,
    ">": lambda left, right: _less(right, left),
    "<=": lambda left, right: not _less(right, left),
    ">=": lambda left, right: not _less(left, right),
}
_SUMS: Mapping[str, Callable[[Json, Json], Json]] = {"+": _add, "-": _subtract}
_CONSTANTS: Mapping[str, Json] = {"true": True, "false": False, "null": None}
_FUNCTIONS: Mapping[str, Callable[[Json], Json]] = {"not": lambda value: not _is_true(value), "length": _length}

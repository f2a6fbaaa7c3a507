"""Common jq evaluated in Python: paths, literals, comparisons, boolean logic, construction.

A program is translated once, into closures. They know jq's meaning for the values that occur, and give
up (`Fallback`) on every other: then jq itself evaluates the whole, so its errors and its corner cases
are its own. Numbers beyond 2^53, which jq rounds, are such a corner.
"""

from collections.abc import Callable, Mapping, Sequence

from workflows.dsl.jq_tokens import Token, UnterminatedError, tokens
from workflows.dsl.jsontext import Json, JsonError, decode
from workflows.engine.jq_bounds import growth
from workflows.engine.jq_values import COMPARISONS, CONSTANTS, EXACT, FUNCTIONS, SUMS, Fallback, exceeds, is_true

Variables = Mapping[str, Json]
Evaluate = Callable[[Json, Variables], Json]

COPIES_FEW = 8
COPIES_LIMIT = 500
"""How often a program may put its input into its result: without a look, and at all."""


class _Untranslatable(Exception):  # noqa: N818
    """This program is jq's business."""


def translate(text: str) -> Evaluate | None:
    """Return a function that evaluates a program, or None when it says more than is translated here."""
    try:
        parser = _Parser(list(tokens(text)))
        evaluate = parser.pipe()
        parser.expect_end()
    except (_Untranslatable, UnterminatedError, RecursionError):
        return None
    known = growth(text)
    if known is None or known.copies > COPIES_LIMIT:
        return None
    return evaluate if known.copies <= COPIES_FEW else _measured(evaluate)


def _measured(evaluate: Evaluate) -> Evaluate:
    """Leave to jq what would be written as more than it seems: `[., .] | [., .]` shares its parts in memory alone."""

    def measured(value: Json, variables: Variables) -> Json:
        result = evaluate(value, variables)
        if exceeds(result):
            raise Fallback
        return result

    return measured


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
        compare = COMPARISONS.get(self._peek())
        if compare is None:
            return left
        self._place += 1
        right = self._sum()
        return lambda value, variables: compare(left(value, variables), right(value, variables))

    def _sum(self) -> Evaluate:
        left = self._postfix()
        while self._peek() in SUMS:
            combine = SUMS[self._take().text]
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
                return _variable(token.text[1:])
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
        if name in CONSTANTS:
            return _constant(CONSTANTS[name])
        if name == "if":
            return self._if()
        if name in FUNCTIONS and self._peek() != "(":
            function = FUNCTIONS[name]
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
        return lambda value, variables: (then if is_true(condition(value, variables)) else otherwise)(value, variables)

    def _array(self) -> Evaluate:
        if self._skip("]"):
            return lambda _, __: []
        items = [self._alternative()]
        while self._skip(","):
            items.append(self._alternative())
        if len(items) == 1 and self._skip("|"):
            # Of several, each would go through the pipe: the comma binds more tightly.
            left, right = items[0], self.pipe()
            items = [lambda value, variables: right(left(value, variables), variables)]
        self._expect("]")
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
            name = token.text[1:]
            return name, _variable(name)
        if "::" in token.text and token.kind == "name":
            raise _Untranslatable
        key = token.text if token.kind == "name" else _string(token)
        return key, self._alternative() if self._skip(":") else _member(_identity, key)


def _identity(value: Json, variables: Variables) -> Json:
    return value


def _constant(constant: Json) -> Evaluate:
    return lambda _, __: constant


def _variable(name: str) -> Evaluate:
    if name in ("ENV", "__loc__", "__now", "__prog_args") or not name.isidentifier():
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


def _number(text: str) -> int:
    if text.isdigit() and len(text) < 17 and int(text) <= EXACT:
        return int(text)
    raise _Untranslatable


def _first(found: Json, right: Evaluate, value: Json, variables: Variables) -> Json:
    return found if is_true(found) else right(value, variables)


def _either(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, variables: is_true(left(value, variables)) or is_true(right(value, variables))


def _both(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, variables: is_true(left(value, variables)) and is_true(right(value, variables))


def _combined(combine: Callable[[Json, Json], Json], left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda value, variables: combine(left(value, variables), right(value, variables))

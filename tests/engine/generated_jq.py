"""Generated jq programs and documents, where the tiers of evaluation could disagree."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from workflows.dsl.jsontext import decode

_KEYS = ("a", "b", "c", "and", "if", "ü")
_NUMBERS = ("1.0", "1.10", "1e2", "1E400", "0.1", "-0", "-0.0", "9007199254740993", "-123456789012345678901234567890")
_TEXTS = ("", "a", "b", "aa", "ü", "🙂", "\u0000", "\uffff", '"', "\\")

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**53, 2**53 - 1, 2**53 + 1, -(2**53), -(2**53) - 1]),
    st.sampled_from(_NUMBERS).map(decode),
    st.sampled_from(_TEXTS),
)


def documents() -> st.SearchStrategy[Any]:
    """Generate small JSON documents."""
    return st.recursive(
        _scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
        max_leaves=10,
    )


_names = st.sampled_from(["a", "b", "c", "and", "if"])
_literals = st.sampled_from([
    '"a"', '""', '"\\u00fc"', '"\\n"', '"\\ud83d\\ude42"', '"ü"', "0", "1", "2", "01", "1.5", "1e2", "1.", ".5", "1.e1",
    "9007199254740992", "9007199254740993", "true", "false", "null", "{}", "[]", "$__loc__", "$ENV",
])  # fmt: skip
_steps = st.sampled_from([
    ".a", ".b", ".if", '."a"', ".[0]", "[0]", "[1]", "[-1]", "[-2]", "[7]", '["a"]', '["ü"]', '.["b"]', "[1:]", "[:-1]",
    "?", "[]", "[.a]", "[$x]", " .a",
])  # fmt: skip
_paths = st.tuples(
    st.sampled_from([".", ".a", ".b", "$x", "$y", '."a"', ".if"]), st.lists(_steps, max_size=3).map("".join)
).map("".join)
_OPERATORS = (" == ", " != ", " < ", " <= ", " > ", " >= ", "+", "-", " and ", " or ", "//", " | ", ", ", "*")


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(_OPERATORS)
    members = st.lists(
        st.tuples(st.one_of(_names, st.sampled_from(['"a"', '"a b"', "$x"])), st.none() | inner), max_size=3
    )
    return st.one_of(
        st.tuples(inner, operators, inner).map("".join),
        st.tuples(inner, operators, inner, operators, inner).map("".join),
        st.tuples(inner, st.sampled_from(["({})", "({}).a", "[{}]", "[{}][0]", "{} # said\n", '"x\\({})"', "{}?"])).map(
            lambda pair: pair[1].replace("{}", pair[0])
        ),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        members.map(
            lambda found: "{" + ", ".join(key if value is None else f"{key}: {value}" for key, value in found) + "}"
        ),
        st.tuples(inner, inner, inner).map(lambda parts: "if {} then {} else {} end".format(*parts)),
        st.tuples(inner, inner, inner, inner).map(lambda parts: "if {} then {} elif {} then {} end".format(*parts)),
        st.tuples(inner, inner).map(lambda parts: "{} as $x | {}".format(*parts)),
    )


def programs() -> st.SearchStrategy[str]:
    """Generate programs of paths, literals, operators and constructions; some of them are no jq."""
    return st.recursive(
        _paths | _literals | st.sampled_from(["not", "length", "empty", "error"]), _larger, max_leaves=6
    )


_FUNCTIONS = (
    "add", "all", "any", "explode", "flatten", "fromjson", "keys", "length", "reverse", "sort", "to_entries", "tojson",
    "tostring", "transpose", "type", "unique", "implode", "from_entries", "@json", "@html", "@sh", "chunk(1)", "todate",
)  # fmt: skip
_APPLIED = (
    "map({})", "map(select({}))", "[.[] | {}]", "[.[]? | {}]", "join({})", "contains({})", "inside({})", "index({})",
    "[indices({})]", "sort_by({})", "group_by({})", "any(.[]; {})", "with_entries({})", "first({})", "has({})",
    "{} as [$y] | .", "[{}, {}]", "{a: {}, b: {}}", "[.[] as $y | {}]", "[if {} then {} else {} end]", ".[{}]",
    "[({})[]?]", "{} - {}", "{} * 3", "{({} | tostring): {}}", "try error({}) catch .", "[.[] + ({})]", "split({})",
)  # fmt: skip


def growing_programs() -> st.SearchStrategy[str]:
    """Generate programs that make much of their input, many of them within known bounds."""
    leaves = st.sampled_from([".", ".[]", ".a", "$x", "$x[]?", '"lengthy"', "0", "1", ".[0]", *_FUNCTIONS])

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        applied = st.tuples(st.sampled_from(_APPLIED), inner).map(lambda pair: pair[0].replace("{}", pair[1]))
        piped = st.tuples(inner, st.sampled_from([" | ", ", ", " + ", " // "]), inner).map(
            lambda parts: f"({''.join(parts)})"
        )
        return applied | piped

    return st.recursive(leaves, larger, max_leaves=5)

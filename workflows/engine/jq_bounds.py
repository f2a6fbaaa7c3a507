"""Which jq programs surely end soon, and may therefore run inside this process.

jq cannot be interrupted and holds the interpreter's lock. A program counts as bounded when it consists of
nothing but paths, construction and functions whose work is bounded by their input.
"""

from workflows.dsl.jq_tokens import UnterminatedError, everything, tokens

INPUT_LIMIT = 200_000
"""Bytes of input up to which a bounded program takes some milliseconds."""

_WORDS = frozenset(
    {"if", "then", "elif", "else", "end", "and", "or", "not", "as", "try", "catch", "true", "false", "null"}
)

_FUNCTIONS = frozenset({
    "_chunk", "abs", "add", "all", "any", "arrays", "ascii", "ascii_downcase", "ascii_upcase", "booleans", "ceil",
    "chunk", "contains", "debug", "empty", "endswith", "env", "error", "explode", "fabs", "first", "flatten",
    "floor", "from_entries", "fromdate", "fromdateiso8601", "fromjson", "gmtime", "group_by", "halt", "halt_error",
    "has", "implode", "in", "index", "indices", "infinite", "input", "input_filename", "input_line_number",
    "inputs", "inside", "isinfinite", "isnan", "isnormal", "iterables", "join", "keys", "keys_unsorted", "last",
    "length", "ltrim", "ltrimstr", "map", "map_values", "max", "max_by", "min", "min_by", "mktime", "nan", "now",
    "nulls", "numbers", "objects", "reverse", "rindex", "round", "rtrim", "rtrimstr", "scalars", "select", "sort",
    "sort_by", "sqrt", "startswith", "stderr", "strftime", "strings", "to_entries", "toarray", "todate",
    "todateiso8601", "tojson", "tonumber", "tostring", "transpose", "trim", "type", "unique", "unique_by",
    "utf8bytelength", "values", "with_entries",
})  # fmt: skip
"""Functions whose work and result are at most proportional to their input, or to its square."""

_GROWING = frozenset({"*", "=", "|=", "+=", "-=", "*=", "/=", "%=", "//=", "..", "?//"})
"""Repeats texts, fills arrays up to an index, walks everything."""

_ITERATING = frozenset({"map", "map_values", "with_entries", "any", "all", "group_by", "sort_by", "unique_by"})


def is_bounded(text: str) -> bool:
    """Return whether a program surely ends soon for inputs up to `INPUT_LIMIT`."""
    try:
        found = list(everything(tokens(text)))
    except UnterminatedError:
        return False
    iterations = 0
    for place, token in enumerate(found):
        if token.kind == "name":
            is_member = place + 1 < len(found) and found[place + 1].text == ":"
            if not is_member and token.text not in _WORDS and token.text not in _FUNCTIONS:
                return False
            iterations += token.text in _ITERATING
        elif token.text in _GROWING or token.kind == "bad":
            return False
        elif token.text == "[" and place + 1 < len(found) and found[place + 1].text == "]":
            iterations += 1
    # Nested iterations multiply: three over the same array are its cube.
    return iterations <= 2

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

_FUNCTIONS = frozenset(
    "length utf8bytelength keys keys_unsorted values has in map map_values select empty error add any all "
    "to_entries from_entries with_entries type tostring tonumber tojson fromjson ascii_downcase ascii_upcase "
    "floor ceil round sqrt fabs abs min max min_by max_by sort sort_by group_by unique unique_by reverse "
    "contains inside startswith endswith ltrimstr rtrimstr trim ltrim rtrim explode implode join ascii first last "
    "now env halt halt_error input inputs debug stderr input_filename input_line_number todate fromdate todateiso8601 fromdateiso8601 gmtime mktime strftime nulls booleans numbers strings "
    "arrays objects iterables scalars isnan isinfinite isnormal infinite nan index rindex indices flatten "
    "toarray transpose _chunk chunk".split()
)
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

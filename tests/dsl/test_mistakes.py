"""What the reader refuses: each mistake with line, column, pointer and what to do, all of them at once."""

import pytest

from workflows.dsl import DefinitionError, parse

HEAD = "document: {dsl: 1.0.3, namespace: t, name: n, version: 1.0.0}\n"


def mistakes(text: str | bytes, **how: object) -> list[tuple[int, int, str, str, str]]:
    """Return line, column, pointer, message and hint of what is wrong with a text."""
    with pytest.raises(DefinitionError) as refused:
        parse(text, **how)
    return [(each.line, each.column, each.pointer, each.message, each.hint) for each in refused.value.errors]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text():
    found = mistakes(HEAD + "do:\n  - a: {cal: http}\n  - b: {set: {x: '${ .a + }'}, then: zz}\n  - c: {wait: soon}\n")

    assert [(line, column, pointer) for line, column, pointer, _, _ in found] == [
        (3, 9, "/do/0/a/cal"),
        (4, 15, "/do/1/b/set/x"),
        (4, 32, "/do/1/b/then"),
        (5, 9, "/do/2/c/wait"),
    ]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (b"", (1, 1), "not nothing"),
        (b"- a", (1, 1), "not an array"),
        (b"do: [\n  {", (3, 1), "is not YAML"),
        (b'{"document": ', (2, 1), "is not YAML"),
        (b"\xff\xfe", (1, 1), "is not UTF-8"),
    ],
    ids=["nothing", "array", "open YAML", "open JSON", "not UTF-8"],
)
def test_a_text_that_is_no_document_is_refused_with_its_place(text: bytes, place: tuple[int, int], message: str):
    [(line, column, _, said, _)] = mistakes(text)

    assert (line, column) == place
    assert message in said


@pytest.mark.parametrize(
    ("body", "place", "pointer", "message"),
    [
        ("do:\n  - a: {set: {x: 1}}\ndo: []\n", (4, 1), "/do", "'do' stands here twice, first in line 2"),
        ("do:\n  - a:\n      set: {x: 1, x: 2}\n", (4, 19), "/do/0/a/set/x", "'x' stands here twice"),
        ("do:\n  - a: {set: !!python/object:os.system {x: 1}}\n", (3, 14), "/do/0/a/set", "tag !!python/object"),
        ("do:\n  - a: {set: {x: 1}}\n    b: {set: {x: 1}}\n", (3, 5), "/do/0", "one task"),
    ],
    ids=["key twice", "key twice below", "tag", "two tasks in one item"],
)
def test_what_yaml_allows_and_a_definition_does_not_is_refused(
    body: str, place: tuple[int, int], pointer: str, message: str
):
    [(line, column, found, said, _)] = mistakes(HEAD + body)

    assert (line, column, found) == (*place, pointer)
    assert message in said


def test_aliases_that_explode_are_refused_where_they_have_become_too_many():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    [(line, _, pointer, message, _)] = mistakes("\n".join(lines))

    assert "more than 200000 values" in message
    assert pointer.startswith(f"/a{line - 1}")


def test_an_alias_that_is_used_in_measure_is_read():
    definition = parse(HEAD + "do:\n  - a: {set: &same {x: 1}}\n  - b: {set: *same}\n")

    assert [task.name for task in definition.do] == ["a", "b"]


def test_values_nested_without_end_are_refused():
    [(_, _, _, message, _)] = mistakes(HEAD + "do: " + "[" * 5000 + "]" * 5000)

    assert "nested more than 200 deep" in message


def test_a_text_of_ten_megabytes_is_refused_unread():
    [(line, column, _, message, _)] = mistakes(b"do: [" + b"x" * 10 * 1024 * 1024)

    assert (line, column) == (1, 1)
    assert "at most 1048576 are read" in message


def test_a_definition_of_an_old_dsl_is_recognised():
    [(_, _, _, message, hint)] = mistakes("id: x\nversion: '1.0'\nspecVersion: '0.8'\nstates:\n - {name: A}\n")

    assert message == "this is a definition of DSL 0.8 or before"
    assert "rewrite `states` as tasks" in hint


@pytest.mark.parametrize(
    ("task", "pointer", "message"),
    [
        ("{set: {x: 1}, then: bb}", "/do/0/a/then", "there is no task 'bb' in this list"),
        ("{raise: {error: nope}}", "/do/0/a/raise/error", "no error 'nope' in use.errors"),
        ("{try: [], catch: {retry: nope}}", "/do/0/a/catch/retry", "no retry 'nope' in use.retries"),
        ("{set: {x: 1}, timeout: nope}", "/do/0/a/timeout", "no timeout 'nope' in use.timeouts"),
        (
            "{call: http, with: {method: get, endpoint: {uri: http://x, authentication: {use: nope}}}}",
            "/do/0/a/with/endpoint/authentication/use",
            "no authentication 'nope' in use.authentications",
        ),
        ("{call: nope}", "/do/0/a/call", "nope"),
    ],
    ids=["then", "error", "retry", "timeout", "authentication", "function"],
)
def test_a_name_that_points_nowhere_is_refused_at_registration(task: str, pointer: str, message: str):
    found = mistakes(HEAD + f"do:\n  - a: {task}\n  - b: {{set: {{x: 1}}}}\n", functions=lambda _: None)

    assert [(where, message in said) for _, _, where, said, _ in found] == [(pointer, True)]


def test_the_nearest_known_name_is_proposed():
    [(_, _, _, task, for_task)] = mistakes(HEAD + "do:\n  - a: {cal: http}\n")
    [(_, _, _, name, for_name)] = mistakes(
        HEAD + "do:\n  - go: {set: {x: 1}, then: finnish}\n  - finish: {set: {x: 1}}\n"
    )

    assert (task, for_task) == ("'cal' is no task", "did you mean call?")
    assert (name[:29], for_name) == ("there is no task 'finnish' in", "did you mean finish?")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("'${ .a + }'", "`.a +` is not jq", ""),
        ("\"${ .a + 'b' }\"", "is not jq", "double quotes"),
        ("'${ .a '", "is never closed", ""),
        ("'${ . | nonsense }'", "is not jq", ""),
    ],
    ids=["cut off", "single quotes", "never closed", "unknown function"],
)
def test_jq_that_does_not_compile_is_refused_at_registration(text: str, message: str, hint: str):
    [(line, _, _, said, proposed)] = mistakes(HEAD + f"do:\n  - a:\n      set:\n        x: {text}\n")

    assert message in said
    assert hint in proposed
    assert line >= 4


def test_pointers_escape_names_as_rfc_6901_says():
    [(_, _, pointer, _, _)] = mistakes(HEAD + "do:\n  - 'a/b~c': {wait: soon}\n")

    assert pointer == "/do/0/a~1b~0c/wait"


def test_json_is_read_with_places_too():
    document = '{"document": {"dsl": "1.0.3", "namespace": "t", "name": "n", "version": "1.0.0"},'
    text = document + '\n "do": [{"a": {"wait": 5}}]}'

    [(line, column, pointer, _, _)] = mistakes(text)

    assert (line, column, pointer) == (2, 16, "/do/0/a/wait")


@pytest.mark.parametrize("dsl", ["0.8.0", "2.0.0", "one"])
def test_a_dsl_that_is_not_1_is_refused(dsl: str):
    [(_, _, pointer, message, _)] = mistakes(
        f"document: {{dsl: {dsl}, namespace: t, name: n, version: 1.0.0}}\ndo: [{{a: {{set: {{x: 1}}}}}}]\n"
    )

    assert pointer == "/document/dsl"
    assert dsl in message

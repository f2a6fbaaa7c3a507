"""Strict reading takes what the schema takes, lenient reading what the text of the specification takes."""

import pytest

from workflows.dsl import DefinitionError, parse

HEAD = "document: {dsl: 1.0.3, namespace: t, name: n, version: 1.0.0}\n"
TRY = "do: [{a: {try: [], catch: "
HTTP = "do: [{a: {call: http, with: {method: get, endpoint: 'http://x', "

WIDER = {
    "a map of arguments": ("do: [{a: {run: {shell: {command: ls, arguments: {l: 1}}}}}]", "run/shell/arguments"),
    "a number among arguments": ("do: [{a: {run: {shell: {command: ls, arguments: [1]}}}}]", "run/shell/arguments/0"),
    "a number in query": (HTTP + "query: {n: 1}}}}]", "with/query/n"),
    "a boolean in headers": (HTTP + "headers: {x: true}}}}]", "with/headers/x"),
    "an expression for redirect": (HTTP + "redirect: '${ .r }'}}}]", "with/redirect"),
    "an expression for output": (HTTP + "output: '${ .o }'}}}]", "with/output"),
    "an expression for a status": (TRY + "{errors: {with: {status: '${ . > 499 }'}}}}}]", "catch/errors/with/status"),
    "detail as a filter": (TRY + "{errors: {with: {detail: gone}}}}}]", "catch/errors/with/detail"),
    "nothing under a backoff": (TRY + "{retry: {backoff: {exponential: }}}}}]", "catch/retry/backoff/exponential"),
    "parts of a second": ("do: [{a: {wait: {seconds: 1.5}}}]", "wait/seconds"),
    "an expression for seconds": ("do: [{a: {wait: {seconds: '${ .n }'}}}]", "wait/seconds"),
    "an expression in a span": ("do: [{a: {wait: 'PT${ .n }S'}}]", "wait"),
    "a workflow without version": ("do: [{a: {run: {workflow: {namespace: n, name: w}}}}]", "run/workflow"),
    "input that is no object": (
        "do: [{a: {run: {workflow: {namespace: n, name: w, version: 1.0.0, input: [1]}}}}]",
        "run/workflow/input",
    ),
    "a boolean as a condition": ("do: [{a: {if: true, set: {x: 1}}}]", "if"),
    "a relative address": (
        "do: [{a: {call: grpc, with: {proto: {endpoint: ./a.proto}, service: {name: s, host: h}, method: m}}}]",
        "with/proto/endpoint",
    ),
    "a source that is a name": (
        "do: [{a: {emit: {event: {with: {type: t, source: shop}}}}}]",
        "emit/event/with/source",
    ),
    "with as an expression": ("use: {functions: {f: {set: {x: 1}}}}\ndo: [{a: {call: f, with: '${ . }'}}]", "with"),
}


@pytest.mark.parametrize("name", WIDER)
def test_rule_41_what_is_wider_than_the_schema_is_read_without_a_word_and_refused_strictly(name: str):
    body, place = WIDER[name]

    definition = parse(HEAD + body)
    with pytest.raises(DefinitionError) as refused:
        parse(HEAD + body, strict=True)

    assert not [each for each in definition.warnings if "cannot be run yet" not in each.message]
    assert [each.pointer for each in refused.value.errors] == [f"/do/0/a/{place}"]


UNWORKABLE = {
    "call: grpc": "do: [{a: {call: grpc, with: {proto: {endpoint: 'x://y'}, service: {name: s, host: h}, method: m}}}]",
    "call: mcp": "do: [{a: {call: mcp, with: {method: tools/list, transport: {stdio: {command: x}}}}}]",
    "call: a2a": "do: [{a: {call: a2a, with: {method: tasks/get, server: 'http://x'}}}]",
    "call: asyncapi": "do: [{a: {call: asyncapi, with: {document: {endpoint: 'x://y'}, operation: o, message: {}}}}]",
    "run: container": "do: [{a: {run: {container: {image: i}}}}]",
    "a function of a catalog": "do: [{a: {call: 'f:1.0.0@default'}}]",
}


@pytest.mark.parametrize("what", UNWORKABLE)
def test_what_cannot_be_run_yet_is_said_at_registration_but_is_no_mistake(what: str):
    [warning] = parse(HEAD + UNWORKABLE[what]).warnings

    assert warning.pointer == "/do/0/a"
    assert warning.message.startswith(what)
    assert not parse(HEAD + UNWORKABLE[what], strict=True).warnings


HINTS = [
    ("- a:\n  set: {x: 1}", "indent 'set' below the name of its task"),
    ("- a: {do: []}\n  b: {do: []}", "begin each task with its own dash"),
    ("- set: {x: 1}", "a task begins with its name: - name: {set: ...}"),
    ("- a: {set: {x: 1}, wait: PT1S}", "make tasks of their own of them"),
    ("- a: {sett: {x: 1}}", "did you mean set?"),
    ("- a:\n    set: {x: ${ .a }}", "put quotes around a text that holds an expression"),
    ("\t- a: {do: []}", "indent with spaces, not with tabs"),
    ("- a: {if: \".x == 'y'\", do: []}", "texts stand in double quotes in jq"),
    ("- a: {if: .x && .y, do: []}", "jq says `and`"),
    ("- a: {if: '.x ? 1 : 2', do: []}", "jq says: if condition then this else that end"),
    ("- a: {if: now() > 1, do: []}", "functions without arguments have no parentheses in jq"),
    ("- a: {if: x == 1, do: []}", "a member begins with a dot"),
    ("- a: {if: '', do: []}", "leave the member out"),
    ("- a: {do: [], then: ''}", "continue, exit, end"),
]


@pytest.mark.parametrize(("task", "hint"), HINTS)
def test_a_common_mistake_is_told_with_what_to_write_instead(task: str, hint: str):
    with pytest.raises(DefinitionError) as refused:
        parse(HEAD + "do:\n" + task)

    assert [hint in each.hint for each in refused.value.errors] == [True]

"""What is refused about events when a definition is registered, with its place and what to do."""

from textwrap import dedent

import pytest

from workflows.dsl import DefinitionError, parse

HEAD = "document: {dsl: 1.0.3, namespace: tests, name: events, version: 1.0.0}\n"
TASK = "do:\n  - hear:\n      listen:\n        to:\n          one:\n            "
FILTER = "/do/0/hear/listen/to/one"


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        (TASK + "with: {type: a, data: '${ .n == $orderr }'}", f"{FILTER}/with/data", "nothing binds $orderr"),
        (
            TASK + "{with: {type: a}, correlate: {o: {from: '.data[$n]'}}}",
            f"{FILTER}/correlate/o/from",
            "nothing binds $n",
        ),
        (
            TASK + "{with: {type: a}, correlate: {o: {from: .id, expect: '${ $contxt.o }'}}}",
            f"{FILTER}/correlate/o/expect",
            "nothing binds $contxt",
        ),
        (TASK + "with: {type: a, subject: '${ $secret.s }'}", f"{FILTER}/with/subject", "a secret cannot be compared"),
        (TASK + "with: {orderId: a}", f"{FILTER}/with/orderId", "lower case letters and digits only"),
        (TASK + "with: {}", f"{FILTER}/with", "at least one attribute"),
        (TASK + "{with: {type: a}, correlate: {o: {expect: 1}}}", f"{FILTER}/correlate/o", "lacks 'from'"),
        (TASK + f"with: {{type: {'a' * 1001}}}", f"{FILTER}/with/type", "1000 bytes at most"),
        ("do: [{hear: {listen: {to: {all: []}}}}]", "/do/0/hear/listen/to/all", "at least one event"),
        (
            "do: [{hear: {listen: {to: {any: []}}, foreach: {item: n, at: n}}}]",
            "/do/0/hear/foreach",
            "item and at have the same name",
        ),
        (
            "do: [{tell: {emit: {event: {with: {source: /s, type: t, orderId: 1}}}}}]",
            "/do/0/tell/emit/event/with/orderId",
            "lower case letters and digits only",
        ),
        (
            "do: [{tell: {emit: {event: {with: {source: /s, type: t, data: 1, data_base64: AA==}}}}}]",
            "/do/0/tell/emit/event/with",
            "not both",
        ),
        (
            "do: [{tell: {emit: {event: {with: {source: /s, type: t, specversion: '0.3'}}}}}]",
            "/do/0/tell/emit/event/with/specversion",
            "version 1.0",
        ),
        (
            "do: []\nschedule: {on: {one: {with: {type: t, data: '${ . == $context.n }'}}}}",
            "/schedule/on/one/with/data",
            "not known before there is an instance",
        ),
    ],
)
def test_a_mistake_about_events_is_told_with_its_place(body: str, pointer: str, message: str):
    with pytest.raises(DefinitionError) as refused:
        parse(HEAD + body)

    [error] = refused.value.errors
    assert error.pointer == pointer
    assert message in error.message
    assert error.line > 1


def test_a_misspelt_variable_is_named_right():
    with pytest.raises(DefinitionError) as refused:
        parse(HEAD + TASK + "with: {type: a, subject: '${ $contxt.o }'}")

    [error] = refused.value.errors
    assert "context" in error.hint


def test_variables_that_loops_catches_and_descriptors_bind_are_known():
    text = """
        do:
          - each:
              for: {each: order, in: .orders}
              do:
                - guarded:
                    try: []
                    catch:
                      as: wrong
                      do:
                        - hear:
                            listen:
                              to:
                                all:
                                  - with: {type: a, data: '${ .n == $order.n and .at == $index and . != $context }'}
                                    correlate: {o: {from: '. as $x | $x.data.o', expect: '${ $wrong.status }'}}
    """

    assert not parse(HEAD + dedent(text)).warnings

"""Strict and loose evaluation."""

from tests.builders import run

LOOSE = "evaluate: {mode: loose}\ndo: [{task: {set: {n: .n + 1, marked: '${ .n }', text: Hello there, path: /a/b}}}]"


def test_in_loose_mode_any_text_in_data_is_tried_as_jq_and_stays_text_when_it_fails():
    assert run(LOOSE, {"n": 1}).output == {"n": 2, "marked": 1, "text": "Hello there", "path": "/a/b"}


def test_in_strict_mode_text_is_an_expression_only_when_it_says_so():
    played = run(LOOSE.replace("evaluate: {mode: loose}\n", ""), {"n": 1})

    assert played.output == {"n": ".n + 1", "marked": 1, "text": "Hello there", "path": "/a/b"}


def test_conditions_are_expressions_in_both_modes_with_or_without_marks():
    for mode in ("strict", "loose"):
        text = (
            f"evaluate: {{mode: {mode}}}\ndo: [{{a: {{if: .n == 1, set: 1}}}}, {{b: {{if: '${{ . == 1 }}', set: 2}}}}]"
        )
        assert run(text, {"n": 1}).output == 2


def test_an_expression_inside_a_longer_text_is_put_into_it():
    played = run(
        "do: [{task: {set: {text: 'Hello ${ .name }, you are ${ .age }', shell: 'echo ${HOME}'}}}]",
        {"name": "Ada", "age": 36},
    )

    assert played.output == {"text": "Hello Ada, you are 36", "shell": "echo ${HOME}"}


def test_uri_templates_are_expanded_over_the_tasks_input():
    played = run(
        """
        do:
          - getPet:
              input: {from: .pet}
              call: http
              with: {method: get, endpoint: 'https://pets.example/{id}/{missing}'}
        """,
        {"pet": {"id": 7}},
    )

    assert played.request("getPet").arguments["endpoint"] == {"uri": "https://pets.example/7/"}

"""The stages of data around tasks and the workflow, and the arguments of expressions."""

import pytest

from tests.builders import START, Instance, run
from workflows.engine import Data


def test_stages_come_in_the_order_of_the_specification():
    played = run(
        """
        do:
          - task:
              if: .raw == 1
              input: {schema: {document: {required: [raw]}}, from: '{transformed: .raw}'}
              set: {set: '${ .transformed }'}
              output: {as: '{put: .set}', schema: {document: {required: [put]}}}
              export: {as: '{kept: .put}', schema: {document: {required: [kept]}}}
          - see: {set: '${ [., $context] }'}
        """,
        {"raw": 1},
    )

    assert played.output == [{"put": 1}, {"kept": 1}]


@pytest.mark.parametrize(
    ("stage", "detail"),
    [
        ("input: {schema: {document: {required: [missing]}}}", "the input does not"),
        ("output: {schema: {document: {required: [missing]}}}", "the output does not"),
        ("export: {as: '{}', schema: {document: {required: [missing]}}}", "the exported context does not"),
    ],
)
def test_data_that_a_schema_refuses_is_a_validation_problem_of_the_task(stage, detail):
    played = run(f"do: [{{task: {{set: {{a: 1}}, {stage}}}}}]", {"raw": 1})

    assert (played.problem.type.rsplit("/", 1)[1], played.problem.status) == ("validation", 400)
    assert played.problem.instance == "/do/0/task"
    assert detail in played.problem.detail
    assert played.state.context == {}


def test_the_input_schema_is_asked_of_the_raw_input_before_input_from():
    played = run(
        """
        do:
          - task: {input: {schema: {document: {type: object}}, from: .n}, set: '${ . }'}
        """,
        {"n": 3},
    )

    assert played.output == 3


def test_workflow_input_that_its_schema_refuses_faults_the_instance():
    played = run("input: {schema: {document: {required: [name]}}}\ndo: [{never: {set: 1}}]", {})

    assert played.status == "faulted"
    assert (played.problem.type.rsplit("/", 1)[1], played.problem.status) == ("validation", 400)
    assert played.history == []


def test_the_workflow_transforms_and_validates_its_input_and_output():
    played = run(
        """
        input: {from: .order}
        do: [{add: {set: {total: '${ .price + 1 }'}}}]
        output: {as: .total, schema: {document: {type: integer}}}
        """,
        {"order": {"price": 2}},
    )

    assert played.output == 3
    assert played.state.input == {"order": {"price": 2}}


def test_numbers_of_any_size_and_decimals_as_spelled_reach_the_output_unchanged():
    text = b'{"big":123456789012345678901234567890,"price":1.10,"none":null,"zero":"\\u0000"}'
    played = run("do: [{keep: {do: [{inner: {set: '${ . }'}}]}}]", Data(text=text).value)

    assert played.state.result.text == text


def test_objects_in_from_and_as_are_templates_whose_strings_are_literal_unless_marked():
    played = run("do: [{task: {set: {a: 1}, output: {as: {text: .a, value: '${ .a }'}}}}]")

    assert played.output == {"text": ".a", "value": 1}


def test_the_context_starts_empty():
    assert run("do: [{see: {set: '${ $context }'}}]", {"n": 1}).output == {}


def test_input_is_the_transformed_input_and_task_holds_raw_input_and_raw_output():
    played = run(
        """
        do:
          - task:
              input: {from: .n}
              set: {doubled: '${ . + . }'}
              output:
                as: '{input: $input, raw: $task.input, put: $task.output, name: $task.name, at: $task.reference}'
        """,
        {"n": 2},
    )

    assert played.output == {
        "input": 2,
        "raw": {"n": 2},
        "put": {"doubled": 4},
        "name": "task",
        "at": "/do/0/task",
    }


def test_output_is_known_in_export_as_alone():
    played = run(
        """
        do:
          - task: {set: {a: 1}, output: {as: .a}, export: {as: '{from: $output, dot: .}'}}
          - see: {set: '${ $context }'}
        """
    )

    assert played.output == {"from": 1, "dot": 1}


def test_workflow_and_runtime_describe_themselves():
    played = run(
        """
        input: {from: .n}
        do:
          - see:
              set:
                id: ${ $workflow.id }
                raw: ${ $workflow.input }
                name: ${ $workflow.definition.document.name }
                started: ${ $workflow.startedAt.iso8601 }
                seconds: ${ $workflow.startedAt.epoch.seconds }
                definition: ${ $task.definition.set.id }
                runtime: ${ $runtime.name }
        """,
        {"n": 1},
        id="some-id",
    )

    assert played.output["id"] == "some-id"
    assert played.output["raw"] == {"n": 1}
    assert played.output["name"] == "played"
    assert played.output["started"] == "2026-01-02T03:04:05Z"
    assert played.output["seconds"] == int(START.timestamp())
    assert played.output["definition"] == "${ $workflow.id }"
    assert played.output["runtime"]


def test_now_is_the_time_of_the_step():
    played = Instance("do: [{pause: {wait: {seconds: 90}}}, {see: {set: '${ now }'}}]").start()

    played.wait(90)

    assert played.output == START.timestamp() + 90


def test_a_failing_expression_is_an_expression_problem_of_its_task():
    played = run("do: [{task: {set: '${ .a.b }'}}]", {"a": 1})

    assert (played.problem.type.rsplit("/", 1)[1], played.problem.status) == ("expression", 400)
    assert played.problem.instance == "/do/0/task"


@pytest.mark.parametrize("condition", ["null", ".missing"])
def test_a_condition_that_is_null_is_false(condition):
    assert run(f"do: [{{task: {{if: '{condition}', set: 1}}}}]", {"n": 1}).output == {"n": 1}


@pytest.mark.parametrize("condition", ["1", '"true"', "{}"])
def test_a_condition_that_is_neither_boolean_nor_null_is_an_expression_problem(condition):
    assert run(f"do: [{{task: {{if: '{condition}', set: 1}}}}]").problem.type.endswith("/expression")


def test_an_expression_without_result_is_null_in_data_and_a_problem_in_a_condition():
    assert run("do: [{task: {set: {n: '${ empty }'}}}]").output == {"n": None}
    assert run("do: [{task: {if: empty, set: 1}}]").problem.type.endswith("/expression")


def test_a_duration_may_be_an_expression_and_a_bad_one_is_an_expression_problem():
    played = Instance("do: [{pause: {wait: '${ .span }'}}]", {"span": "PT5S"}).start()
    played.wait(5)
    assert played.output == {"span": "PT5S"}

    assert run("do: [{pause: {wait: '${ .span }'}}]", {"span": "soon"}).problem.type.endswith("/expression")


def test_a_schema_kept_elsewhere_is_a_configuration_problem_that_says_what_to_do():
    played = run("do: [{task: {set: 1, input: {schema: {resource: {endpoint: 'https://example.com/schema.json'}}}}}]")

    assert played.problem.type.endswith("/configuration")
    assert "document" in played.problem.detail


def test_a_schema_that_refers_to_an_address_is_not_fetched():
    played = run("do: [{task: {set: 1, input: {schema: {document: {$ref: 'http://127.0.0.1:1/schema'}}}}}]")

    assert played.problem.type.endswith("/configuration")


def test_null_as_a_task_body_does_nothing():
    assert run("do: [{nothing: null}]", {"n": 1}).output == {"n": 1}

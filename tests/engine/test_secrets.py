"""Secrets: marks in the engine, values in the worker."""

import pytest

from tests.builders import run
from workflows.engine import encode_state
from workflows.engine.problems import ProblemError, problem
from workflows.engine.secrets import mark, reveal

VALUES = {"token": "s3cr3t", "db": {"password": "pw", "port": 5432}, "odd/name]": "x"}
CALL = """
    use: {secrets: [token, db]}
    do:
      - work:
          call: work
          with: {header: '${ "Bearer " + $secrets.token }', password: '${ $secret.db.password }', plain: '${ .n }'}
"""


def read(name: str) -> object:
    if name not in VALUES:
        raise ProblemError(problem("authorization", f"no secret {name}"))
    return VALUES[name]


def test_arguments_carry_marks_that_the_worker_replaces():
    played = run(CALL, {"n": 1})

    arguments = played.request("work").arguments
    assert b"s3cr3t" not in encode_state(played.state)
    assert reveal(arguments, "s3al", read)["with"] == {"header": "Bearer s3cr3t", "password": "pw", "plain": 1}


def test_a_mark_with_another_seal_stays_text():
    text = mark("other", ("token",))

    assert reveal({"a": [text]}, "s3al", read) == {"a": [text]}


def test_a_whole_text_becomes_the_secret_as_it_is_and_inside_a_text_it_is_written_as_json():
    whole, port = mark("s3al", ("db",)), mark("s3al", ("db", "port"))

    assert reveal([whole, port, f"port {port}, {whole}"], "s3al", read) == [
        {"password": "pw", "port": 5432},
        5432,
        'port 5432, {"password":"pw","port":5432}',
    ]


def test_names_may_hold_any_character():
    assert reveal(mark("s3al", ("odd/name]",)), "s3al", read) == "x"


def test_keys_of_objects_are_revealed_too():
    assert reveal({mark("s3al", ("token",)): 1}, "s3al", read) == {"s3cr3t": 1}


@pytest.mark.parametrize("path", [("gone",), ("db", "gone"), ("token", "member")])
def test_a_secret_or_member_that_does_not_exist_is_an_authorization_problem(path):
    with pytest.raises(ProblemError) as found:
        reveal(mark("s3al", path), "s3al", read)

    assert found.value.problem.status == 403


def test_reading_a_secret_that_is_missing_is_an_authorization_problem_where_it_is_read():
    played = run(CALL, {"n": 1}, missing_secrets=("token",))

    assert (played.problem.type.rsplit("/", 1)[1], played.problem.status) == ("authorization", 403)
    assert played.problem.instance == "/do/0/work"


def test_a_missing_secret_that_nobody_reads_is_no_problem():
    played = run("use: {secrets: [token]}\ndo: [{a: {set: 1}}]", missing_secrets=("token",))

    assert played.status == "completed"


def test_a_secret_is_read_in_conditions_and_transformations_as_a_mark():
    played = run("use: {secrets: [token]}\ndo: [{a: {input: {from: '{t: $secrets.token}'}, set: '${ .t }'}}]")

    assert reveal(played.output, "s3al", read) == "s3cr3t"


def test_a_policy_that_names_a_secret_that_is_not_declared_is_an_authorization_problem():
    played = run(
        """
        do:
          - ask:
              call: http
              with: {method: get, endpoint: {uri: 'https://x.example', authentication: {basic: {use: hidden}}}}
        """
    )

    assert (played.status, played.problem.status) == ("faulted", 403)
    assert "hidden" in str(played.problem.detail)

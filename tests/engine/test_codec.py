"""The stored form of a state."""

import pytest

from tests.builders import run
from workflows.dsl import jsontext
from workflows.engine import Data, decode_state, encode_state, glance_at, new_state


def test_a_document_that_several_frames_share_is_stored_once():
    played = run("do: [{outer: {input: {from: .n}, do: [{inner: {do: [{work: {call: work}}]}}]}}]", {"n": ["x" * 500]})

    assert encode_state(played.state).count(b"xxxxx") == 100


def test_the_workflows_raw_input_lies_beside_the_state():
    played = run("do: [{work: {call: work}}]", {"big": "x" * 500})

    assert b"xxx" not in encode_state(played.state)
    assert played.state.input == {"big": "x" * 500}


def test_the_first_member_is_the_number_of_the_schema():
    stored = encode_state(new_state(instance_id="i", input=1, seal="s"))

    assert stored.startswith(b"[1,")
    with pytest.raises(ValueError, match="schema 2"):
        decode_state(b"[2," + stored[3:], b"1")


def test_a_state_that_speaks_of_documents_which_are_not_there_is_damaged():
    played = run("do: [{work: {call: work, export: {as: '{kept: 1}'}}}, {more: {call: work}}]")
    played.succeed("work")
    stored = encode_state(played.state)

    damaged = stored.replace(b'{"kept":1},', b"", 1)

    assert damaged != stored
    with pytest.raises(ValueError, match="documents that are not stored"):
        decode_state(damaged, b"{}")


def test_a_document_that_nobody_looks_into_is_copied_as_text():
    text = b'{"a":1.50,"a b":null}'
    played = run("do: [{work: {call: work, export: {as: '{kept: .}'}}}, {more: {call: work}}]")
    played.succeed("work", Data(text=text).value)

    assert text in encode_state(played.state)


def test_an_array_of_documents_is_joined_from_their_texts():
    assert Data.array([Data(1), Data(text=b'{"a":2}')]).value == [1, {"a": 2}]


def test_text_that_is_no_json_is_noticed_when_it_is_read():
    with pytest.raises(jsontext.JsonError):
        _ = Data(text=b"{").value


def test_a_glance_shows_the_status_and_the_waits_that_reading_all_of_a_state_would():
    played = run("do: [{all: {fork: {branches: [{work: {call: work}}, {pause: {wait: PT1S}}]}}}]")

    glance = glance_at(encode_state(played.state))

    assert (glance.status, glance.waits.keys()) == (played.state.status, played.state.waits.keys())
    assert {name: glance.find_wait(name) for name in glance.waits} == played.state.waits
    assert glance.find_wait("none of it") is None

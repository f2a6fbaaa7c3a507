"""Recorded histories, replayed: the engine does what it did when they were recorded."""

from pathlib import Path

import msgspec
import pytest

from tests.builders import hash_of
from workflows.dsl import jsontext, parse
from workflows.engine import Data, advance, decode_state, encode_state, new_state
from workflows.engine.facts import decode_fact

HISTORIES = sorted((Path(__file__).parent.parent / "histories").glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_history_gives_the_same_state_after_each_fact(path):
    class History(msgspec.Struct):
        definition: str
        input: msgspec.Raw
        output: msgspec.Raw
        facts: list[msgspec.Raw]
        hashes: list[str]

    history = msgspec.json.decode(path.read_bytes(), type=History)
    definition, input = parse(history.definition), bytes(history.input)
    state = new_state(instance_id="i-1", input=Data(text=input), seal="s3al")

    for number, (text, expected) in enumerate(zip(history.facts, history.hashes, strict=True)):
        state = decode_state(encode_state(state), input)
        state = advance(definition, state, decode_fact(text)).state
        assert hash_of(state) == expected, f"after fact {number}: {bytes(text)[:200]!r}"

    assert state.status == "completed"
    assert state.output == jsontext.decode(bytes(history.output))


def test_there_are_histories():
    assert len(HISTORIES) >= 5

"""What travels to a pool, and what Flower shows of it."""

import base64
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from workers.message import CARRIED_BYTES, decode, encode, message_of
from workers.publisher import shown
from workflows.dsl import jsontext
from workflows.engine.commands import RunActivity
from workflows.runtime.ports import Delivery

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def delivery(number: int = 1, arguments: Any = None, **more: Any) -> Delivery:
    command = RunActivity(
        wait_id=str(number), kind="function", name=f"task{number}", position=f"/do/{number}/task{number}",
        arguments={"function": "f", "with": arguments}, pool="", rung_at=NOW + timedelta(seconds=number),
        idempotency_key=f"k{number}", **more,
    )  # fmt: skip
    return Delivery(
        instance_id=f"i{number}", definition=("shop", "order", "1.2.0"), priority=3, step=number, seal="s",
        command=command, request=msgspec.json.encode(command, enc_hook=None) if arguments is None else _text(command),
    )  # fmt: skip


def _text(command: RunActivity) -> bytes:
    return jsontext.encode(msgspec.to_builtins(command, builtin_types=(Decimal,)))


def test_a_message_comes_out_as_it_went_in():
    arguments = {"n": 10**30, "d": Decimal("1.10"), "s": "é\0", "none": None}

    message = decode(encode(message_of("compute", 2, [delivery(1, arguments), delivery(2)])))

    assert (message.pool, message.level, message.stamp) == ("compute", 2, NOW + timedelta(seconds=2))
    [first, second] = message.items
    assert first.command is not None
    assert first.command.arguments["with"] == arguments
    assert str(first.command.arguments["with"]["d"]) == "1.10"
    assert (first.instance_id, first.wait_id, first.ring, first.step, first.seal) == ("i1", "1", 1, 1, "s")
    assert second.command == delivery(2).command


def test_large_arguments_stay_behind():
    message = decode(encode(message_of("compute", 2, [delivery(1, "x" * CARRIED_BYTES)])))

    assert message.items[0].command is None
    assert len(encode(message)) < 1000


@pytest.mark.parametrize("text", ["", "{}", "[]", '["p",1]', "null"])
def test_what_is_no_message_is_refused(text: str):
    with pytest.raises(msgspec.DecodeError):
        decode(base64.b64encode(text.encode()).decode())


def test_a_message_holds_nothing_that_json_escapes():
    text = encode(message_of("compute", 2, [delivery(1, {"quoted": 'say "no"', "path": "a\\b"})]))

    assert jsontext.encode(text) == f'"{text}"'.encode()


def test_flower_shows_definition_task_and_instance_and_no_data():
    message = decode(encode(message_of("http", 1, [delivery(1, {"card": "4111-1111"})])))

    label, arguments = shown(message)

    assert label == "shop/order:1.2.0 task1"
    assert arguments == "(i1 /do/1/task1)"


def test_flower_shows_how_many_activities_a_message_holds():
    message = message_of("http", 1, [delivery(number) for number in (1, 2, 3)])

    label, arguments = shown(message)

    assert label == "shop/order:1.2.0 task1 × 3"
    assert arguments == "(i1 and 2 more)"


def test_flower_shows_the_definition_of_what_is_too_large_to_travel():
    message = message_of("http", 1, [delivery(1, "x" * CARRIED_BYTES)])

    assert shown(message) == ("shop/order:1.2.0", "(i1)")

"""Prints what a step of the engine costs: processor time per fact, the best of several rounds.

    python -m bench.engine_step [rounds]

`sequence` is five registered functions called one after the other, each with a small `with` and an `output`.
`with codec` reads the state from its stored form before each step and writes it after.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import process_time

from workflows.dsl import parse
from workflows.engine import Data, advance, decode_state, encode_state, new_state
from workflows.engine.commands import RunActivity
from workflows.engine.facts import ActivitySucceeded, Fact, Started

HEADER = "document: {dsl: 1.0.3, namespace: bench, name: NAME, version: 1.0.0}\ndo:\n"
SEQUENCE = HEADER.replace("NAME", "sequence") + "".join(
    f"  - step{n}: {{call: bench/step{n}, with: {{value: '${{ .value }}', fixed: 7}},"
    " output: {as: '{value: .value}'}}\n"
    for n in range(5)
)
PARALLEL = HEADER.replace("NAME", "parallel") + (
    "  - all: {for: {in: .items, parallel: true}, do: [{item: {call: bench/item, with: {item: '${ $item }'}}}]}\n"
)
CONTROL = HEADER.replace("NAME", "control") + (
    "  - count: {set: {n: '${ .n + 1 }'}}\n  - more: {switch: [{yes: {when: .n < 400, then: count}}]}\n"
)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def play(text: str, input: bytes, *, stored: bool) -> Callable[[], int]:
    definition = parse(text)

    def once() -> int:
        state = new_state(instance_id="0193f1de-0000-7000-8000-000000000000", input=Data(text=input), seal="s" * 22)
        facts: list[Fact] = [Started(at=AT)]
        count = 0
        while facts:
            step = advance(definition, state, facts.pop(0))
            count += 1
            state = decode_state(encode_state(step.state), input) if stored else step.state
            asked = [command.wait_id for command in step.commands if isinstance(command, RunActivity)]
            facts += [ActivitySucceeded(at=AT, wait_id=wait_id, output={"value": 2}) for wait_id in asked]
        assert state.status == "completed", state.problem
        return count

    return once


def microseconds(once: Callable[[], int], rounds: int, repeat: int) -> float:
    once()
    best = float("inf")
    for _ in range(rounds):
        began = process_time()
        count = sum(once() for _ in range(repeat))
        best = min(best, (process_time() - began) / count)
    return best * 1e6


def main(rounds: int) -> None:
    items = b'{"items":[' + b",".join(b"%d" % n for n in range(100)) + b"]}"
    for name, text, input, repeat in (
        ("sequence", SEQUENCE, b'{"value":1}', 200),
        ("parallel of 100", PARALLEL, items, 3),
        ("800 control tasks in one step", CONTROL, b'{"n":0}', 3),
    ):
        plain = microseconds(play(text, input, stored=False), rounds, repeat)
        stored = microseconds(play(text, input, stored=True), rounds, repeat)
        print(f"{name:<32} {plain:8.1f} us per step {stored:8.1f} with codec")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)

"""The stored form of a state: `[schema, documents, state]`, JSON text.

Frames refer to documents by number, so a document that several frames share is stored once, and one
that no step has looked into is copied as text. Equal documents are one, so the form does not depend on how
often a state was read and written. Document 0 is the workflow's raw input, which is not
among them: it lies beside the state, in a column that no step rewrites.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

import msgspec

from workflows.engine.data import Data
from workflows.engine.outputs import Outputs
from workflows.engine.state import State, Wait

SCHEMA = 1
"""Number of the stored form, its first member; `decode_state` upgrades older ones."""


_EMPTY = b",{}]"
"""How a state ends whose last member is empty. The last two are younger than the schema: without them nothing is
stored.
"""


class Glance(msgspec.Struct, array_like=True):
    """What a worker asks of a stored state: the members of `State` up to its waits, as many of them unread as may be.

    A wide fan-out is asked by the holders of each of its items.
    """

    instance_id: msgspec.Raw
    seal: msgspec.Raw
    raw_input: msgspec.Raw
    shared: msgspec.Raw
    status: str
    counter: msgspec.Raw
    step: msgspec.Raw
    started_at: msgspec.Raw
    suspended_at: msgspec.Raw
    result: msgspec.Raw
    problem: msgspec.Raw
    frames: msgspec.Raw
    waits: dict[str, msgspec.Raw]

    def find_wait(self, wait_id: str) -> Wait | None:
        """Return an open wait; None when there is none of this id."""
        text = self.waits.get(wait_id)
        return None if text is None else _wait.decode(text)


class _Stored(msgspec.Struct, array_like=True):
    schema: int
    documents: list[msgspec.Raw]
    state: State


class _Glanced(msgspec.Struct, array_like=True):
    schema: int
    documents: msgspec.Raw
    state: Glance


_HEAD = b"[%d," % SCHEMA
_glanced = msgspec.json.Decoder(_Glanced)
_wait = msgspec.json.Decoder(Wait)


def encode_state(state: State) -> bytes:
    """Return the stored form of a state, without the workflow's raw input."""
    numbers = {id(state.raw_input): 0}
    texts: dict[bytes, int] = {}

    def number(data: Data | Outputs) -> object:
        known = numbers.get(id(data))
        if known is None:
            if isinstance(data, Outputs):
                return data.by_index()
            known = numbers[id(data)] = texts.setdefault(data.text, len(texts) + 1)
        return known

    body = msgspec.json.Encoder(enc_hook=number, decimal_format="number").encode(state)
    if not state.taken:
        body = body[: -len(_EMPTY)] + b"]"
        if not state.holders:
            body = body[: -len(_EMPTY)] + b"]"
    return b"[%d,[%b],%b]" % (SCHEMA, b",".join(texts), body)


def decode_state(hot: bytes, input: bytes) -> State:
    """Return the state that `encode_state` stored.

    Args:
        hot: The stored form.
        input: JSON text of the workflow's raw input; decoded when a task first looks into it.

    Raises:
        ValueError: The stored form is of another schema, or damaged.
    """
    _check_schema(hot)
    documents = defaultdict(Data, {0: Data(text=bytes(input))})

    def document(kind: type, written: Any) -> object:
        if kind is Data:
            return documents[written]
        return Outputs({int(index): documents[number] for index, number in written.items()})

    stored = msgspec.json.Decoder(_Stored, dec_hook=document, float_hook=Decimal).decode(hot)
    for number, text in enumerate(stored.documents, 1):
        documents[number].is_written(bytes(text))
    if len(documents) > len(stored.documents) + 1:
        raise ValueError("a state speaks of documents that are not stored with it")
    return stored.state


def glance_at(hot: bytes) -> Glance:
    """Return the status and the waits of a stored state, for less than reading all of it.

    Raises:
        ValueError: The stored form is of another schema, or damaged.
    """
    _check_schema(hot)
    return _glanced.decode(hot).state


def _check_schema(hot: bytes) -> None:
    if not hot.startswith(_HEAD):
        raise ValueError(f"a state of schema {hot[1:9].partition(b',')[0].decode()} cannot be read, only {SCHEMA}")

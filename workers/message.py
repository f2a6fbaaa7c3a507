"""What travels to a pool: activities that became ready together, for one pool and one priority.

It is one text argument of a Celery job. Celery would read numbers as doubles; our own reading keeps them. The text is
in Base64: JSON within JSON is mostly escapes, and reading those takes longer than all that they stand in.
"""

import base64
from collections.abc import Sequence
from datetime import datetime

import msgspec

from workflows.engine.commands import RunActivity, decode_command
from workflows.runtime.ports import Delivery

_TOO_LARGE = msgspec.Raw(b"null")

CARRIED_BYTES = 16 * 1024
"""Arguments above this stay behind: the worker reads them from the state."""


class Item(msgspec.Struct, array_like=True, frozen=True):
    """One activity."""

    instance_id: str
    wait_id: str
    ring: int
    step: int
    """Step that wants it: while the checkpoint still has this number, the wait is open."""

    definition: tuple[str, str, str]
    seal: str
    request: msgspec.Raw
    """The command as JSON, the same bytes as in the state; null when it is too large to travel."""

    suspect: bool = False
    """Whether a process died with it in hand. The state's bytes do not say so."""

    @property
    def is_whole(self) -> bool:
        """Whether what to run came along."""
        return self.request != _TOO_LARGE

    @property
    def command(self) -> RunActivity | None:
        """What to run; None when it has to be read from the state."""
        if not self.is_whole:
            return None
        command = decode_command(self.request)
        return command if isinstance(command, RunActivity) else None


class Message(msgspec.Struct, array_like=True, frozen=True):
    """Up to `max_batch` activities."""

    pool: str
    level: int
    stamp: datetime
    """The latest time at which one of them was rung."""

    items: list[Item]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Message)


def message_of(pool: str, level: int, deliveries: Sequence[Delivery]) -> Message:
    """Return the message that rings for these."""
    stamp = max(delivery.command.rung_at for delivery in deliveries)
    return Message(pool, level, stamp, [item_of(delivery) for delivery in deliveries])


def encode(message: Message) -> str:
    """Return the message as text."""
    return base64.b64encode(_encoder.encode(message)).decode()


def decode(text: str) -> Message:
    """Return the message of a text."""
    return _decoder.decode(base64.b64decode(text))


def item_of(delivery: Delivery) -> Item:
    """Return the activity as it travels."""
    command = delivery.command
    request = msgspec.Raw(delivery.request) if len(delivery.request) <= CARRIED_BYTES else _TOO_LARGE
    return Item(
        delivery.instance_id, command.wait_id, command.ring, delivery.step, delivery.definition, delivery.seal,
        request, command.suspect,
    )  # fmt: skip

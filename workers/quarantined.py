"""A process that runs suspects for the worker that started it, one at a time, and may die of them.

The two talk over a socket, in JSON behind its length in eight bytes. This process says that it is ready; then it is
given activities and answers each; a number instead of an activity stops the one of that number.
"""

import asyncio
import inspect
import logging
import os
import queue
import socket
import sys
import threading
from collections.abc import Awaitable
from typing import Any

import msgspec

from workflows.dsl.jsontext import Json, decode, encode

log = logging.getLogger("lemline.quarantine")

GRACE_SECONDS = 1.0
"""How long what runs here may take to end its own processes, once the worker is gone."""

_PIECE = 1 << 20


def send(pipe: socket.socket, value: Json) -> None:
    """Send a value. EOFError when the other side is gone."""
    text = encode(value)
    try:
        pipe.sendall(len(text).to_bytes(8, "big") + text)
    except OSError as error:
        raise EOFError from error


def receive(pipe: socket.socket) -> Json:
    """Return what the other side sent. EOFError when it is gone, TimeoutError when the socket has a time limit."""
    return decode(_exactly(pipe, int.from_bytes(_exactly(pipe, 8), "big")))


def _exactly(pipe: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        try:
            piece = pipe.recv(min(size - len(received), _PIECE))
        except ConnectionError as error:
            raise EOFError from error
        if not piece:
            raise EOFError
        received += piece
    return bytes(received)


class Inmate:
    """Runs what it is given on the main thread, and listens beside."""

    def __init__(self, pipe: socket.socket) -> None:
        from workers.activities import Cancellation

        self._pipe = pipe
        self._given: queue.SimpleQueue[tuple[Json, Cancellation]] = queue.SimpleQueue()
        self._number = 0
        self._cancelled = Cancellation()

    def serve(self) -> None:
        """Answer until the worker is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        send(self._pipe, "ready")
        while True:
            send(self._pipe, _outcome(*self._given.get()))

    def _listen(self) -> None:
        from workers.activities import Cancellation

        try:
            while True:
                given = receive(self._pipe)
                if isinstance(given, dict):
                    self._number, self._cancelled = given.pop("number"), Cancellation()
                    self._given.put((given, self._cancelled))
                elif given == self._number:
                    self._cancelled.set()
        except EOFError:
            self._cancelled.set()
            threading.Event().wait(GRACE_SECONDS)
            os._exit(0)


def _outcome(given: Json, cancelled: Any) -> Json:
    from workers.activities import find_activity
    from workers.activities.calls import failure, problem_of

    try:
        activity = find_activity(given["kind"], given["arguments"])
        if activity is None:
            raise failure("configuration", f"this worker cannot run {given['kind']!r} activities")
        result = activity.run(_call(given, cancelled))
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
    except BaseException as error:  # noqa: BLE001  (whatever it is becomes the outcome)
        answered, problem = problem_of(error)
        return {"answered": answered, "problem": msgspec.to_builtins(problem)}
    return {"output": result.output}


def _call(given: Json, cancelled: Any) -> Any:
    from django.conf import settings

    from workers.activities import ActivityCall
    from workers.limits import limits
    from workflows.runtime.secrets import ProvidedSecrets, reading

    config = settings.LEMLINE
    secrets = reading(ProvidedSecrets(config.secrets.directory, config.secrets.env_prefix))
    definition = tuple(given["definition"])
    return ActivityCall(
        **{**given, "definition": definition}, secrets=secrets, limits=limits(config), cancelled=cancelled
    )


async def _awaited(result: Awaitable[Any]) -> Any:
    from workers.activities import close

    try:
        return await result
    finally:
        await close()


def main() -> None:
    """Serve on the socket whose descriptor is the first argument."""
    import django
    from django.conf import settings

    from workers.activities import functions

    pipe = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(pipe.fileno(), False)
    django.setup()
    functions.load(settings.LEMLINE.activities)
    Inmate(pipe).serve()


if __name__ == "__main__":
    main()

"""`/events/stream`: the life cycle as server-sent events, for as long as somebody listens."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Annotated

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from ninja import Query, Router
from pydantic import Field

from workflows.api import schemas
from workflows.api.access import VIEWER, actor_of
from workflows.api.instances import instance_key
from workflows.api.schemas import answers
from workflows.dsl import jsontext
from workflows.runtime import feed, lifecycle
from workflows.runtime.errors import OverloadedError
from workflows.runtime.feed import Feed, Place, Sent, Wanted
from workflows.runtime.outages import is_outage

log = logging.getLogger("lemline.streams")

LOOK_SECONDS = 0.25
"""Between two looks at the history."""

SETTLING_SECONDS = 0.02
"""The same while something that was seen waits for other transactions to end."""

KEEP_ALIVE_SECONDS = 15.0
"""Something is sent at least so often: proxies give up what is silent, and that a reader has gone is noticed."""

RETRY_AFTER_SECONDS = 5

router = Router(tags=["events"])


class StreamParams(schemas.Params):
    """What to tell of."""

    instance: str | None = None
    workflow: Annotated[str, Field(pattern="^[^/]+/[^/]+$")] | None = None
    type: Annotated[list[str], Field(default_factory=list)]


@router.get("", auth=VIEWER, response=answers({200: str}), summary="Follow the life cycle")
def stream(request: HttpRequest, params: Query[StreamParams]) -> HttpResponseBase:
    """CloudEvents of workflows and tasks as `text/event-stream`: of what happens from now on, of one instance from its
    begin, and after `Last-Event-ID` from there.
    """
    actor, life = actor_of(request), lifecycle.configured()
    instance = None if params.instance is None else instance_key(params.instance)
    if instance is not None:
        feed.must_exist(instance, actor)
    namespace, _, name = (params.workflow or "").partition("/")
    wanted = Wanted(
        instance=instance,
        workflow=(namespace, name) if params.workflow else None,
        namespaces=actor.namespaces,
        kinds=feed.kinds_of(params.type, life.kinds),
    )
    last = request.headers.get("Last-Event-ID", "")
    return _answer(lambda: Feed(wanted, life, feed.place_of(last) if last else None))


def _answer(opened: Callable[[], Feed]) -> StreamingHttpResponse:
    give_back = SERVING.take()
    try:
        lines = _Lines(opened(), give_back)
    except BaseException:
        give_back()
        raise
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(lines, content_type="text/event-stream", headers=headers)


class _Serving:
    """What this process has for streams: each holds a thread for as long as its reader stays."""

    def __init__(self) -> None:
        self._open = 0
        self._lock = threading.Lock()
        self.goes_on: Callable[[], bool] = lambda: True
        """Set by a server that can be told to stop, which would wait for streams, and they have no end."""

    def take(self) -> Callable[[], None]:
        """Take the place of one stream, and return what gives it back, once however often it is called.

        Raises:
            OverloadedError: There is none left.
        """
        config = settings.LEMLINE
        most = min(config.events.lifecycle.streams, max(1, config.web.threads // 2))
        with self._lock:
            if self._open >= most:
                raise OverloadedError(
                    f"{most} streams are open here already; more take a greater `lemline.events.lifecycle.streams`, or"
                    " more `lemline.web.threads`, of which they hold half at most.",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                )
            self._open += 1
        held = [None]

        def give_back() -> None:
            with self._lock:
                if held:
                    held.pop()
                    self._open -= 1

        return give_back


SERVING = _Serving()


class _Lines:
    """A feed as the text of a stream. No generator: one that was never begun would not give its place back."""

    def __init__(self, source: Feed, give_back: Callable[[], None]) -> None:
        self._source = source
        self._give_back = give_back

    def __iter__(self) -> Iterator[bytes]:
        """Yield until the reader goes, the server stops or the database is away; readers come again by themselves."""
        try:
            yield from self._follow()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("database.away", extra={"error": str(error)})
        finally:
            self.close()

    def close(self) -> None:
        """Called by the framework when the answer is over, sent or not."""
        self._give_back()

    def _follow(self) -> Iterator[bytes]:
        source = self._source
        yield b"retry: 1000\n" + _place(source.place)
        sent_at = time.monotonic()
        while SERVING.goes_on():
            for each in source.read():
                yield _event(each)
                sent_at = time.monotonic()
            if time.monotonic() - sent_at >= KEEP_ALIVE_SECONDS:
                yield b": nothing new\n" + _place(source.place)
                sent_at = time.monotonic()
            time.sleep(LOOK_SECONDS if source.is_settled else SETTLING_SECONDS)


def _event(sent: Sent) -> bytes:
    return b"event: %b\ndata: %b\n%b" % (
        str(sent.event["type"]).encode(),
        jsontext.encode(sent.event),
        _place(sent.place),
    )


def _place(place: Place) -> bytes:
    """An id without data is no event, but the reader's last one all the same."""
    return f"id: {place}\n\n".encode()

"""A URL that takes CloudEvents by POST."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from multidict import CIMultiDict
from yarl import URL

from workers.activities.authentication import the_basic
from workers.activities.calls import ActivityError, Limits
from workers.activities.client import HttpClient, Request, Response, date_of, shown
from workers.sinks.layout import lay_out
from workers.sinks.sender import AwayError, FailedError, Place, RefusedError, SendError
from workers.sinks.signature import id_of, signed
from workflows.runtime.deliveries import Letter

_MOST_SHOWN = 200
_RESPONSE_BYTES = 256 * 1024
_CONNECTIONS = 64

_REFUSED = frozenset({400, 406, 409, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 424, 428, 431, 451})
"""Answers about this request. What else is below 500 is about the address or about who asks, and above it open."""

_AWAY = frozenset({408, 425, 429, 502, 503, 504})
"""Answers of a place that takes nothing for a while."""


class HttpSender:
    """Posts events. Redirects are not followed: they would lead signed events wherever a place says."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._url = URL(place.address.url)
        self._shown = shown(place.address.url)
        self._client = HttpClient()
        self._limits = Limits(
            response_bytes=_RESPONSE_BYTES, private_addresses=place.private_addresses,
            connect_seconds=place.timeout_seconds, connections_per_host=_CONNECTIONS,
        )  # fmt: skip

    async def send(self, letter: Letter) -> None:
        """Return once the answer is 2xx."""
        request = self._request(letter)
        try:
            response = await self._client.send(request, self._limits, self._place.timeout_seconds, follow=False)
        except ActivityError as error:
            raise AwayError(str(error)) from error
        if not 200 <= response.status < 300:
            raise _error_of(response, f"POST {self._shown}: {response.status}")

    async def close(self) -> None:
        """Close what is open."""
        await self._client.close()

    def _request(self, letter: Letter) -> Request:
        layout = lay_out(letter.event, is_binary=self._place.is_binary)
        headers = CIMultiDict({**layout.headers(), "User-Agent": self._place.user_agent, **self._authorization()})
        if layout.content_type:
            headers["Content-Type"] = layout.content_type
        if self._place.secret:
            secret = self._place.value_of(self._place.secret)
            message_id = id_of(letter.source, letter.event_id)
            headers.update(signed(secret, message_id, int(time.time()), layout.body))
        return Request(method="POST", url=self._url, shown=self._shown, headers=headers, body=layout.body)

    def _authorization(self) -> dict[str, str]:
        """A secret that is a text is a bearer token; one with `username` and `password` is for basic authentication."""
        if not self._place.credentials:
            return {}
        value = self._place.value_of(self._place.credentials)
        if isinstance(value, Mapping):
            return {"Authorization": the_basic(str(value.get("username", "")), str(value.get("password", "")))}
        return {"Authorization": f"Bearer {value}"}


def _error_of(response: Response, what: str) -> SendError:
    said = response.body[:_MOST_SHOWN].decode(errors="replace").strip()
    text = f"{what} {said}".strip()
    if response.status in _REFUSED:
        return RefusedError(text)
    if response.status in _AWAY:
        return AwayError(text, seconds=_retry_after(response.headers.get("Retry-After", "")))
    return FailedError(text) if response.status >= 500 else AwayError(text)


def _retry_after(text: str) -> float:
    """Return seconds; 0 where nothing is said that can be read."""
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    moment = date_of(text)
    return 0.0 if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())

"""What a place must do for a courier, and how it fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from workflows.dsl.jsontext import Json
from workflows.runtime.deliveries import Letter
from workflows.runtime.sink_address import SinkAddress


class SendError(Exception):
    """The event has not been taken, as far as is known."""


class RefusedError(SendError):
    """This event is not wanted as it is: others may be."""


class FailedError(SendError):
    """Something went wrong with this event, or with the place: what becomes of others will tell."""


class AwayError(SendError):
    """The place takes nothing now, or lets nobody in."""

    def __init__(self, message: str, *, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds
        """How long it wants to be left alone."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A sink, as its sender knows it."""

    address: SinkAddress
    is_binary: bool
    secret: str
    """Name of the secret that signs; empty for none."""

    credentials: str
    """Name of the secret that lets us in; empty for none."""

    read_secret: Callable[[str], Json]
    """KeyError for one that nobody provides."""

    timeout_seconds: float
    user_agent: str
    private_addresses: tuple[str, ...]

    def value_of(self, secret: str) -> Json:
        """Return a secret by name; AwayError without it: once it is provided, all goes on."""
        try:
            return self.read_secret(secret)
        except KeyError:
            raise AwayError(f"the secret {secret!r} is not provided here") from None

    def login(self) -> tuple[str, str]:
        """Return user and password for a broker; both empty where nothing is said.

        The secret is `{"username": …, "password": …}`, or `user:password`.
        """
        if not self.credentials:
            return "", ""
        value = self.value_of(self.credentials)
        if isinstance(value, Mapping):
            return str(value.get("username", "")), str(value.get("password", ""))
        user, _, password = str(value).partition(":")
        return user, password


class Sender(Protocol):
    """A connection to a place. All calls come from one event loop; `send` is called for several events at once."""

    async def send(self, letter: Letter) -> None:
        """Return once the place has the event. SendError otherwise; any other error means that the place is away."""
        ...

    async def close(self) -> None:
        """Disconnect. Raises nothing."""
        ...


def missing(package: str) -> AwayError:
    """Return the error of a place whose client is not installed."""
    return AwayError(f"{package} is not installed here: pip install -r requirements-events.txt")

"""Where a sink is: a URL, of HTTP or of a broker. Who may is said by a secret, never here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from workflows.runtime.errors import InvalidRequestError


@dataclass(frozen=True, kw_only=True)
class Sort:
    """One sort of place."""

    port: int
    needs: tuple[str, ...] = ()
    """Parameters that name where events go."""

    takes: Mapping[str, str] = field(default_factory=dict)
    """Further parameters, with what they are when nothing is said."""

    example: str


SORTS: Mapping[str, Sort] = {
    "http": Sort(port=80, example="https://example.com/events"),
    "redis": Sort(
        port=6379, needs=("stream",), takes={"max-length": ""}, example="redis://host:6379/0?stream=lemline"
    ),
    "amqp": Sort(
        port=5672, takes={"exchange": "", "routing-key": "", "mandatory": "true"},
        example="amqp://host:5672/vhost?exchange=events",
    ),
    "nats": Sort(
        port=4222, needs=("subject",), takes={"jetstream": "true"}, example="nats://host:4222?subject=lemline.events"
    ),
    "mqtt": Sort(port=1883, needs=("topic",), example="mqtt://host:1883?topic=lemline/events"),
}  # fmt: skip
"""By scheme; with an `s` at its end the connection is encrypted (NATS: `tls`)."""

_ENCRYPTED = {"https": "http", "rediss": "redis", "amqps": "amqp", "tls": "nats", "mqtts": "mqtt"}
_ENCRYPTED_PORTS = {"http": 443, "amqp": 5671, "mqtt": 8883}
_MOST_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class SinkAddress:
    """What a courier connects to."""

    scheme: str
    """A key of `SORTS`."""

    is_encrypted: bool
    host: str
    port: int
    path: str
    """Without the first slash: a database of Redis, a virtual host of RabbitMQ."""

    url: str
    """The whole, as it was given."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """All that a broker's sort takes; of HTTP, they belong to the URL."""

    def __getitem__(self, parameter: str) -> str:
        return self.parameters[parameter]


def read_address(text: str) -> SinkAddress:
    """Read `https://…` or `redis://host:6379/0?stream=orders`; special characters in parameters by `%` and their code.

    Raises:
        InvalidRequestError: It cannot be read; the message says what is wanted.
    """
    if len(text) > _MOST_CHARACTERS or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise _wrong(f"a URL has no spaces or control characters, and {_MOST_CHARACTERS} characters at most")
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError as error:
        raise _wrong(f"it cannot be read: {error}") from error
    scheme = _ENCRYPTED.get(split.scheme, split.scheme)
    if scheme not in SORTS:
        known = ", ".join(f"{name}://" for name in (*SORTS, *_ENCRYPTED))
        raise _wrong(f"{split.scheme or 'no scheme'} is nothing that events are sent to; there are {known}")
    sort = SORTS[scheme]
    if split.username is not None or split.password is not None:
        raise _wrong("it must not hold who may: name a secret as `credentials`")
    if not split.hostname:
        raise _wrong(f"it names no host; write {sort.example}")
    is_encrypted = split.scheme in _ENCRYPTED
    return SinkAddress(
        scheme=scheme,
        is_encrypted=is_encrypted,
        host=split.hostname,
        port=port or (_ENCRYPTED_PORTS.get(scheme, sort.port) if is_encrypted else sort.port),
        path=unquote(split.path.removeprefix("/")),
        url=text,
        parameters={} if scheme == "http" else _parameters(split, sort, scheme),
    )


def _parameters(split: SplitResult, sort: Sort, scheme: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in split.query.split("&") if pair)
    given = {unquote(name): unquote(value) for name, _, value in pairs}
    allowed = (*sort.needs, *sort.takes)
    if unknown := [name for name in given if name not in allowed]:
        raise _wrong(f"there is no parameter {', '.join(unknown)}; there are {', '.join(allowed)}")
    if missing := [name for name in sort.needs if not given.get(name)]:
        raise _wrong(f"say which {missing[0]}: {sort.example}")
    found = {**sort.takes, **given}
    for name in ("mandatory", "jetstream"):
        if found.get(name, "true") not in ("true", "false"):
            raise _wrong(f"{name} is true or false")
    if found.get("max-length") and not (found["max-length"].isdecimal() and int(found["max-length"])):
        raise _wrong("max-length is a number of messages, 1 or more")
    if scheme == "redis" and not split.path.removeprefix("/").isdecimal() and split.path not in ("", "/"):
        raise _wrong(f"the path is the number of a database: {sort.example}")
    if scheme == "amqp" and not (found["exchange"] or found["routing-key"]):
        raise _wrong(f"name an exchange, or a queue as routing-key: {sort.example}")
    return found


def _wrong(message: str) -> InvalidRequestError:
    return InvalidRequestError(f"The sink's url: {message}.", errors=({"pointer": "/url", "message": message},))

"""Where bridges take events from, as it is configured: URLs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

_COMMON = ("name", "namespace")


@dataclass(frozen=True, kw_only=True)
class Sort:
    """One sort of broker."""

    needs: str
    """The parameter that names what is taken."""

    takes: Mapping[str, str] = field(default_factory=dict)
    """Further parameters, with what they are when nothing is said."""

    port: int


SORTS: Mapping[str, Sort] = {
    "redis": Sort(needs="stream", takes={"group": "lemline"}, port=6379),
    "amqp": Sort(needs="queue", takes={"exchange": "", "routing-key": "#"}, port=5672),
    "nats": Sort(needs="subject", takes={"stream": "", "durable": "lemline", "group": "lemline"}, port=4222),
    "mqtt": Sort(needs="topic", takes={"client-id": "", "version": "5"}, port=1883),
    "kafka": Sort(needs="topic", takes={"group": "lemline"}, port=9092),
}
"""By scheme; with an `s` at its end the connection is encrypted (NATS: `tls`)."""

_OF_A_GROUP = frozenset({"group", "durable"})
"""Parameters that name those who share what comes."""

_ENCRYPTED_PORTS = {"amqp": 5671, "mqtt": 8883}
_ENCRYPTED = {"rediss": "redis", "amqps": "amqp", "tls": "nats", "mqtts": "mqtt", "kafkas": "kafka"}


@dataclass(frozen=True, kw_only=True)
class Address:
    """What one bridge connects."""

    scheme: str
    """A key of `SORTS`."""

    is_encrypted: bool
    host: str
    port: int
    user: str
    password: str
    path: str
    """Without the first slash: a database of Redis, a virtual host of RabbitMQ."""

    parameters: Mapping[str, str]
    """All that the sort takes."""

    namespace: str
    name: str
    """Tells bridges apart in the log, on the admin pages, and among processes."""

    def __getitem__(self, parameter: str) -> str:
        return self.parameters[parameter]


def address_of(text: str, group: str = "lemline") -> Address:
    """Read `redis://host:6379/0?stream=orders`; parts that have `?`, `&`, `,` or `#` in them with `%` and their code.

    Args:
        text: A URL.
        group: Whose share of the messages it takes, where the URL names no other group.

    Raises:
        ValueError: It cannot be read; the message says what is wanted.
    """
    # MQTT's wildcard begins no fragment, which would have no meaning here.
    split = urlsplit(text.strip().replace("#", "%23"))
    scheme = _ENCRYPTED.get(split.scheme, split.scheme)
    what = _shown(split)
    if scheme not in SORTS:
        known = ", ".join(f"{name}://" for name in SORTS)
        raise ValueError(f"{what}: {split.scheme or 'no scheme'} is no broker that is known; there are {known}.")
    if not split.hostname:
        raise ValueError(f"{what}: it names no host; write {scheme}://host:{SORTS[scheme].port}?…")
    given = _parameters(split.query)
    wrong = [name for name in given if name not in (SORTS[scheme].needs, *SORTS[scheme].takes, *_COMMON)]
    if wrong:
        allowed = ", ".join((SORTS[scheme].needs, *SORTS[scheme].takes, *_COMMON))
        raise ValueError(f"{what}: there is no parameter {', '.join(wrong)}; there are {allowed}.")
    taken = given.get(SORTS[scheme].needs)
    if not taken:
        raise ValueError(f"{what}: say which {SORTS[scheme].needs} to take from, ?{SORTS[scheme].needs}=…")
    path = unquote(split.path.removeprefix("/"))
    if scheme == "redis" and path and not path.isdecimal():
        raise ValueError(f"{what}: a database of Redis is a number; write redis://host:6379/0?stream=…")
    if given.get("version", "5") not in ("3", "5"):
        raise ValueError(f"{what}: version is 3 or 5.")
    return Address(
        scheme=scheme,
        is_encrypted=split.scheme in _ENCRYPTED,
        host=split.hostname,
        port=_port(split, what) or (split.scheme in _ENCRYPTED and _ENCRYPTED_PORTS.get(scheme)) or SORTS[scheme].port,
        user=unquote(split.username or ""),
        password=unquote(split.password or ""),
        path=path,
        parameters={**_defaults(SORTS[scheme], group), **given},
        namespace=given.get("namespace", "default"),
        name=given.get("name") or f"{scheme}:{taken}"[:100],
    )


def _defaults(sort: Sort, group: str) -> dict[str, str]:
    return {name: group if name in _OF_A_GROUP else value for name, value in sort.takes.items()}


def addresses_of(texts: tuple[str, ...], group: str = "lemline") -> list[Address]:
    """Read several, each with a name of its own.

    Raises:
        ValueError: One cannot be read, or two have the same name.
    """
    found = [address_of(text, group) for text in texts]
    names = [address.name for address in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"more than one is called {', '.join(twice)}; give them names, &name=…")
    return found


def _parameters(query: str) -> dict[str, str]:
    """Read a query in which `+` is no space: it is a wildcard of MQTT."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _port(split: SplitResult, what: str) -> int | None:
    try:
        return split.port
    except ValueError as error:
        raise ValueError(f"{what}: {error}.") from error


def _shown(split: SplitResult) -> str:
    """Return the URL without who may."""
    return split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()

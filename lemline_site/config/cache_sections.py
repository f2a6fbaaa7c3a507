"""What can be set about what is kept for being asked again, as in `sections.py`."""

from dataclasses import dataclass, field
from datetime import timedelta

from lemline_site.config.values import Bytes

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class DefinitionCache:
    """Parsed definitions that a process remembers. They never change, so none of them is ever out of date."""

    enabled: bool = True
    """Whether any is remembered. Without it, each step reads and parses its definition."""

    max_size: int = 1000
    """Definitions per process."""

    ttl: timedelta = timedelta(hours=1)
    """After so long one is read and parsed again, used or not."""


@dataclass(frozen=True, kw_only=True)
class ExpressionCache:
    """Compiled jq programs that a process remembers; never what they gave."""

    enabled: bool = True
    """Whether any is remembered. Without it, each evaluation compiles its program."""

    max_size: int = 10000
    """Programs per process, some 4 kB each."""

    ttl: timedelta = timedelta(minutes=5)
    """After so long one is compiled again, and those that are not used make room."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """What may be forgotten at any time."""

    url: str = "locmem://"
    """`redis://host:6379/1`, shared by all processes, or `locmem://` for each process its own. A Redis that may evict;
    the broker's may not, so give them different databases or servers."""

    workflow_definitions: DefinitionCache = field(default_factory=DefinitionCache)
    expressions: ExpressionCache = field(default_factory=ExpressionCache)


@dataclass(frozen=True, kw_only=True)
class HttpCache:
    """Answers that a worker process keeps to spare services the same question."""

    enabled: bool = False
    """Keep what GET and HEAD answer with 200, 203 or 204. An answer is given again only in the same namespace and to
    the same request, credentials and all other headers included. A task opts out with the header
    `Cache-Control: no-cache`; a retry always asks."""

    max_size: int = 1000
    """Answers per process. What was asked for longest ago goes first."""

    max_bytes: Bytes = Bytes(64 * _MIB)
    """Their bodies together, per process."""

    ttl: timedelta = timedelta(minutes=5)
    """How long at most. The service's `Cache-Control` and `Expires` shorten or forbid it."""

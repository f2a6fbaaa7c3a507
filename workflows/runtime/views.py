"""What callers see of an instance: one value, whatever door shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from workflows.dsl.jsontext import Json, decode

SUMMARY_LIMIT = 4096
"""Bytes of JSON above which a value is left out of lists, with its size and where to read it."""


@dataclass(frozen=True, kw_only=True)
class InstanceView:
    """An instance as the doors show it. Values are JSON texts, decoded only when they are shown."""

    id: str
    namespace: str
    workflow: str
    version: str
    status: str
    priority: int
    labels: Mapping[str, str]
    input: bytes
    output: bytes | None
    context: bytes | None
    problem: bytes | None
    positions: tuple[str, ...]
    parent: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def is_final(self) -> bool:
        """Whether it has ended, however."""
        return self.ended_at is not None

    def to_json(self, *, summary: bool = False) -> dict[str, Json]:
        """Return the body of the API's answer; with `summary`, large values only by size and place."""
        return {
            "id": self.id,
            "workflow": {"namespace": self.namespace, "name": self.workflow, "version": self.version},
            "status": self.status,
            "priority": self.priority,
            "labels": dict(self.labels),
            "input": self._shown(self.input, summary),
            "output": self._shown(self.output, summary),
            "context": self._shown(self.context, summary),
            "error": self._shown(self.problem, summary),
            "positions": list(self.positions),
            "parent": self.parent,
            "createdAt": instant(self.created_at),
            "startedAt": instant(self.started_at),
            "endedAt": instant(self.ended_at),
        }

    def _shown(self, text: bytes | None, summary: bool) -> Json:
        if text is None:
            return None
        if summary and len(text) > SUMMARY_LIMIT:
            return left_out(len(text), f"/api/v1/instances/{self.id}")
        return decode(text)


def left_out(size: int, href: str) -> dict[str, Json]:
    """Return what stands for a value of `size` bytes that is too large for a list."""
    return {"$truncated": True, "size": size, "href": href}


def is_left_out(value: Json) -> bool:
    """Return whether this stands for a value that was too large for the history."""
    return isinstance(value, Mapping) and value.get("$truncated") is True and value.get("href") == ""


def referred(value: Json, instance: object) -> Json:
    """Return a value of the history; for one that was too large, where its instance is shown."""
    return {**value, "href": f"/api/v1/instances/{instance}"} if is_left_out(value) else value


def instant(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 with milliseconds and `Z`."""
    if moment is None:
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

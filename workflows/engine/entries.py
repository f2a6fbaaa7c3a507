"""What belongs to one entry of a task: its path, its idempotency key, and by when it must have ended."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from workflows.engine.commands import StartChild
from workflows.engine.plan import Plan
from workflows.engine.state import Attempts, Entry, Frame, State, Wait


def path_of(state: State, id: int) -> str:
    """Return what tells this entry from all others of the instance, the same for each of its attempts.

    It spells the frames from the workflow down to this one, each with its iteration and the jumps
    before it, so the path of a frame is a prefix of those below it.
    """
    parts: list[str] = []
    while id:
        frame = state.frames[id]
        parts.append(_part(frame))
        id = frame.parent
    return "".join(reversed(parts))


def short_path(state: State, id: int) -> str:
    """Return the path of a frame, shortened to what tells it from others."""
    return hashlib.sha256(path_of(state, id).encode()).hexdigest()[:12]


def path_of_entry(state: State, entry: Entry) -> str:
    """Return the path that the frame of an entry will have."""
    return path_of(state, entry.parent) + _part(entry)


def _part(place: Frame | Entry) -> str:
    return f"{place.position}:{'' if place.iteration is None else place.iteration}:{place.jumps}|"


def idempotency_key(state: State, id: int) -> str:
    """Return the key of the activity that this frame asks for.

    A new entry has a new key, unless the outcome of the same entry's last activity is not known: then
    the service must be able to see that it is asked for the same once more.
    """
    kept = state.unknown.get(path_of(state, id)) if state.unknown else None
    return kept or f"{state.instance_id}:{id}"


def calls_around(plan: Plan, state: State, id: int) -> int:
    """Return how many functions have been called to get to this frame."""
    count = 0
    while id:
        frame = state.frames[id]
        count += frame.position != "" and plan.nodes[frame.position].block is None
        id = frame.parent
    return count


def child_id(state: State, wait_id: str, at: datetime) -> str:
    """Return the id of the instance that a wait starts: of the shape of a UUIDv7, so that ids sort by time."""
    digest = hashlib.sha256(f"{state.instance_id}:{wait_id}".encode()).digest()
    milliseconds = int(at.timestamp() * 1000) & (2**48 - 1)
    number = (milliseconds << 80) | (int.from_bytes(digest[:10], "big"))
    number = (number & ~(0xF << 76)) | (0x7 << 76)
    return str(UUID(int=(number & ~(0x3 << 62)) | (0x2 << 62)))


def child_of(wait: Wait) -> str:
    """Return the id of the child that a wait is open for."""
    command = wait.command()
    return command.child_id if isinstance(command, StartChild) else ""


def timers_of(id: int, frame: Frame) -> list[str]:
    """Return the names that a frame's timers have or had, besides that of a `wait`."""
    names = [f"{id}.timeout", f"{id}.limit"]
    if isinstance(frame.memo, Attempts):
        numbers = range(1, frame.memo.retries + 2)
        names += [f"{id}.{purpose}.{number}" for purpose in ("attempt", "retry") for number in numbers]
    return names


def deadline(plan: Plan, state: State, id: int) -> datetime | None:
    """Return the earliest time at which a timeout around the frame, or its own, ends it."""
    if not plan.has_timeouts:
        return None
    times: list[datetime] = []
    while id:
        frame = state.frames[id]
        attempt = f"{id}.attempt.{frame.memo.retries + 1}" if isinstance(frame.memo, Attempts) else ""
        for name in (f"{id}.timeout", f"{id}.limit", attempt):
            wait = state.waits.get(name)
            if wait is not None and wait.due_at is not None:
                times.append(wait.due_at)
        id = frame.parent
    return min(times, default=None)

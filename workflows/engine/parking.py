"""What a faulted or cancelled instance keeps, and how `retry` takes it up again.

Kept are the tasks that were being worked on: the innermost to be entered again with the raw input they
had, those around them as they stood. Counts of retries begin anew, and so do times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from workflows.engine.data import Data
from workflows.engine.plan import Plan
from workflows.engine.state import Attempts, Entry, Frame, Parked, State


def parked(frames: Mapping[int, Frame], agenda: Sequence[Entry], origin: int) -> Parked:
    """Return what to keep.

    Args:
        frames: All that was active when the instance faulted.
        agenda: Tasks that were about to be entered then.
        origin: The frame that faulted; 0 when the instance was cancelled.
    """
    below = {origin} - {0}
    for id, frame in frames.items():
        if frame.parent in below:
            below.add(id)
    entered = {frame.parent for id, frame in frames.items() if id not in below or id == origin}
    entered |= {entry.parent for entry in agenda if entry.parent not in below}
    again = {id: frame for id, frame in frames.items() if id == origin or (id not in below and id not in entered)}
    entries = [*(_entry(frame) for frame in again.values()), *(e for e in agenda if e.parent not in below)]
    kept = {id: _anew(frame) for id, frame in frames.items() if id not in below and id not in again}
    return Parked(kept, entries, _entry(frames[origin]) if origin else entries[-1])


def resumed(state: State, plan: Plan, source: str, input: Data | None) -> Parked | None:
    """Return what `retry` goes on with; None when there is nothing at that position to go on with.

    Args:
        state: Of the faulted or cancelled instance.
        plan: Its definition.
        source: `failed`, `beginning`, or the position of a task in a list that was being worked on.
        input: Edited raw input; `None` for that of then.
    """
    if source == "beginning" or state.parked is None:
        return at_the_beginning(input or state.started_with) if source in ("beginning", "failed") else None
    if source == "failed":
        return _with_input(state.parked, input) if input is not None else state.parked
    return _from_position(state.parked, plan, source, input)


def at_the_beginning(input: Data) -> Parked:
    """Return what an instance goes on with that starts over."""
    entry = Entry("", 0, input)
    return Parked({}, [entry], entry)


def _with_input(parked: Parked, input: Data) -> Parked:
    edited = msgspec.structs.replace(parked.origin, input=input)
    entries = [edited if entry == parked.origin else entry for entry in parked.entries]
    return Parked(parked.frames, entries, edited)


def _from_position(parked: Parked, plan: Plan, position: str, input: Data | None) -> Parked | None:
    """Climb from the task that faulted to the one whose list the position is in, and enter it there."""
    node = plan.nodes.get(position)
    if node is None or node.block is None:
        return None
    for id, entry in _climb(parked):
        if plan.nodes[entry.position].block is node.block:
            if entry.position != position and plan.nodes[parked.frames[entry.parent].position].kind == "fork":
                # Branches are no list: one entered in another's stead would leave the fork waiting for that.
                return None
            data = input if input is not None else entry.input if entry.position == position else None
            if data is None:
                return None
            chosen = msgspec.structs.replace(entry, position=position, input=data)
            return _replaced(parked, id, chosen)
    return None


def _climb(parked: Parked) -> Iterable[tuple[int, Entry]]:
    """The task that faulted (as id 0) and those around it, the innermost first."""
    yield 0, parked.origin
    id = parked.origin.parent
    while id:
        frame = parked.frames[id]
        yield id, _entry(frame)
        id = frame.parent


def _replaced(parked: Parked, id: int, entry: Entry) -> Parked:
    """Drop a frame (or the task that faulted) with all below it, and enter this instead."""
    below = {id} - {0}
    for other, frame in parked.frames.items():
        if frame.parent in below:
            below.add(other)
    frames = {other: frame for other, frame in parked.frames.items() if other not in below}
    kept = [e for e in parked.entries if e.parent not in below and e != parked.origin]
    return Parked(frames, [*kept, entry], entry)


def _entry(frame: Frame) -> Entry:
    return Entry(frame.position, frame.parent, frame.raw, 1, frame.iteration, frame.jumps)


def _anew(frame: Frame) -> Frame:
    memo = frame.memo
    if isinstance(memo, Attempts):
        return msgspec.structs.replace(frame, memo=Attempts(0, memo.problem, memo.catching))
    return frame


def renumbered(parked: Parked, counter: int) -> tuple[dict[int, Frame], list[Entry], int]:
    """Return frames and entries under new ids, and the counter after them: no id serves twice."""
    ids = {0: 0}
    for old in sorted(parked.frames):
        counter += 1
        ids[old] = counter
    frames = {
        ids[old]: msgspec.structs.replace(frame, parent=ids[frame.parent])
        for old, frame in sorted(parked.frames.items())
    }
    entries = [msgspec.structs.replace(entry, parent=ids[entry.parent]) for entry in parked.entries]
    return frames, entries, counter

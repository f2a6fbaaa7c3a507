"""What must hold of every instance, whatever was done to the processes, the database and the broker meanwhile."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.crash.campaign.load import Started
from tests.crash.stub import Call
from workflows import models
from workflows.models import FINAL_STATUSES

Claim = tuple[str, str, int]
"""Instance, wait and ring."""

ACTIVITIES = ("call", "run")
"""Kinds of tasks that are done outside. What they gave is recorded, and the same each time."""

Window = tuple[float, float]
"""From when until when something was disturbed, as seconds since 1970."""


@dataclass
class Portrait:
    """One instance of the load with its children, without the name that tells it from the others of its kind."""

    kind: str
    name: str
    status: str = "missing"
    output: str = ""
    runs: list[str] = field(default_factory=list)
    """Position, status, attempt and iteration of each run of a task, and what an activity gave; sorted."""

    endings: list[int] = field(default_factory=list)
    """How often it ended, and each of its children."""

    calls: Counter[str] = field(default_factory=Counter)
    """By path."""

    keys: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The idempotency keys by path."""

    events: int = 0
    claims: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each wait was claimed."""

    last_ring: int = 0
    life: Window = (0.0, 0.0)

    def has_ended(self) -> bool:
        return self.life[1] < float("inf")

    def lasting(self) -> Mapping[str, object]:
        """Return what no disturbance may change."""
        return {
            "status": self.status,
            "output": self.output,
            "runs": self.runs,
            "endings": self.endings,
            "events": self.events,
            "paths called": sorted(self.calls),
            "keys by path": {path: len(keys) for path, keys in sorted(self.keys.items())},
        }


def portray(started: Sequence[Started], calls: Iterable[Call], claims: Iterable[Claim]) -> dict[str, Portrait]:
    """Return a portrait of each, by instance."""
    portraits = {each.instance: Portrait(each.kind, each.name) for each in started}
    by_name = {each.name: each for each in started}
    roots = {each.instance: each.instance for each in started}
    _add_rows(portraits, roots)
    _add_history(portraits, roots)
    for call in calls:
        name, _, path = call.path.removeprefix("/").partition("/")
        if name in by_name:
            portrait = portraits[by_name[name].instance]
            portrait.calls[path] += 1
            portrait.keys[path].add(call.key)
    for instance, wait, ring in claims:
        if instance in roots:
            portrait = portraits[roots[instance]]
            portrait.claims[instance, wait] += 1
            portrait.last_ring = max(portrait.last_ring, ring)
    for (source,) in models.ReceivedEvent.objects.values_list("source"):
        name = source.rpartition("/")[2]
        if name in by_name:
            portraits[by_name[name].instance].events += 1
    return portraits


def _add_rows(portraits: Mapping[str, Portrait], roots: dict[str, str]) -> None:
    for row in models.Instance.objects.filter(pk__in=list(portraits)):
        portrait = portraits[str(row.pk)]
        output = None if row.output is None else json.loads(bytes(row.output))
        portrait.status = row.status
        portrait.output = json.dumps(output, sort_keys=True).replace(portrait.name, "NAME")
        until = row.ended_at.timestamp() if row.ended_at else float("inf")
        portrait.life = (row.created_at.timestamp(), until)
    for child, parent in models.Instance.objects.filter(parent__in=list(portraits)).values_list("pk", "parent"):
        roots[str(child)] = str(parent)


def _add_history(portraits: Mapping[str, Portrait], roots: Mapping[str, str]) -> None:
    endings: Counter[str] = Counter()
    places: Counter[tuple[object, ...]] = Counter()
    rows = models.History.objects.filter(instance__in=list(roots)).values_list(
        "instance", "step", "ordinal", "is_phase", "position", "status", "attempt", "iteration", "kind", "output"
    )
    for instance, step, ordinal, is_phase, *run, kind, output in rows:
        places[instance, step, ordinal] += 1
        if not is_phase:
            portrait = portraits[roots[str(instance)]]
            given = bytes(output).decode() if output and kind in ACTIVITIES else ""
            portrait.runs.append(f"{json.dumps(run)} {given}".replace(portrait.name, "NAME"))
        elif run[1] in FINAL_STATUSES:
            endings[str(instance)] += 1
    for instance, root in roots.items():
        portraits[root].endings.append(endings[instance])
    for portrait in portraits.values():
        portrait.runs.sort()
    assert set(places.values()) <= {1}, "a step was recorded twice"


def damage(
    portraits: Mapping[str, Portrait], undisturbed: Mapping[str, Portrait], windows: Sequence[Window]
) -> list[str]:
    """Return what is wrong with them, a sentence each.

    Args:
        undisturbed: What an instance of each kind looks like when nothing happens.
        windows: When something did that may have work done again.
    """
    found = []
    for instance, portrait in portraits.items():
        usual = undisturbed[portrait.kind]
        found += [f"{portrait.kind} {instance}: {each}" for each in _changes(portrait, usual)]
        if not any(begin <= portrait.life[1] and portrait.life[0] <= end for begin, end in windows):
            found += [f"{portrait.kind} {instance}: {each}" for each in _repetitions(portrait, usual)]
    return found + _shared_keys(portraits)


def _changes(portrait: Portrait, usual: Portrait) -> Iterable[str]:
    wanted = usual.lasting()
    for what, value in portrait.lasting().items():
        if value != wanted[what]:
            yield f"{what} is {_difference(value, wanted[what])}"
    called, claimed = portrait.calls.total(), portrait.claims.total()
    if called > claimed:
        yield f"called {called} times, claimed {claimed} times"


def _repetitions(portrait: Portrait, usual: Portrait) -> Iterable[str]:
    if portrait.calls != usual.calls:
        yield f"calls were repeated though nothing broke: {dict(portrait.calls - usual.calls)}"


def reruns(portraits: Mapping[str, Portrait]) -> list[str]:
    """Return where work was rung for again, of instances that nothing at all has happened to."""
    return [
        f"{portrait.kind} {instance}: rung for again though nothing happened"
        for instance, portrait in portraits.items()
        if portrait.last_ring > 1 or any(count > 1 for count in portrait.claims.values())
    ]


def _shared_keys(portraits: Mapping[str, Portrait]) -> list[str]:
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for instance, portrait in portraits.items():
        for path, keys in portrait.keys.items():
            for key in keys - {""}:
                owners[key].add((instance, path))
    return [f"one idempotency key for {sorted(paths)}" for paths in owners.values() if len(paths) > 1]


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, list) and isinstance(wanted, list):
        more, less = Counter(map(str, found)), Counter(map(str, wanted))
        return f"{sorted((more - less).elements())} beyond and {sorted((less - more).elements())} short of the usual"
    return f"{found}, not {wanted}"

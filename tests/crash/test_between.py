"""Processes are killed at exact places between two lines of a step."""

from uuid import uuid4

import pytest

from tests.crash.definitions import child, post, visit
from tests.crash.harness import Installation
from tests.crash.stub import Stub
from workflows import models

TASKS = [
    {"one": visit("/one")},
    {"tell": {"emit": {"event": {"with": {"source": "https://example.com", "type": "example.told"}}}}},
    {"two": post("/two")},
    {"nap": {"wait": {"milliseconds": 200}}},
    {"three": visit("/three")},
]
"""Steps: web begins it; compute ends one; http ends two; maintenance ends the nap; compute ends three."""

ONCE = {"/one": 1, "/two": 1, "/three": 1}

PLACES = {
    "within the transaction of the first step": ("saving", "web", 0, ONCE),
    "between the commit of the first step and its ring": ("committed", "web", 0, ONCE),
    "between the first ring and the answer": ("published", "web", 0, ONCE),
    "between taking a message and the claim": ("taken", "compute", 0, ONCE),
    "between the claim and the call": ("claimed", "http", 0, ONCE),
    "between the end of an activity and its transaction": ("ended", "compute", 0, ONCE | {"/one": 2}),
    "within the transaction of an outcome": ("saving", "http", 0, ONCE | {"/two": 2}),
    "between the commit of an outcome and the next ring": ("committed", "compute", 0, ONCE),
    "between the commit of an outcome that sets a timer and the acknowledgement": ("settled", "http", 0, ONCE),
    "between the next ring and the acknowledgement": ("published", "compute", 0, ONCE),
    "between the commit and the acknowledgement": ("settled", "compute", 0, ONCE),
    "within the transaction of a timer": ("saving", "maintenance", 0, ONCE),
    "between the commit of a timer and its ring": ("committed", "maintenance", 0, ONCE),
    "within the last transaction": ("saving", "compute", 1, ONCE | {"/three": 2}),
    "after the last commit": ("committed", "compute", 1, ONCE),
}
"""Where it happens: the place, whose process, how many passages it survives; and the calls there are in the end."""


@pytest.fixture(scope="module", autouse=True)
def definitions(installation: Installation) -> None:
    installation.register("steps", TASKS)
    installation.register("little", [{"small": visit("/small")}])
    installation.register("awaits", [{"begin": child("little", awaited=True)}, {"later": post("/later")}])
    installation.register("detaches", [{"begin": child("little", awaited=False)}, {"later": post("/later")}])


@pytest.mark.parametrize("where", PLACES)
def test_a_kill_loses_nothing_and_repeats_nothing_that_was_committed(
    installation: Installation, stub: Stub, where: str
) -> None:
    place, role, passages, calls = PLACES[where]
    stub.calls.clear()
    models.ReceivedEvent.objects.all().delete()
    instance = str(uuid4())
    installation.arm(place, role, instance, passages=passages)

    installation.start("steps", {"stub": stub.url}, instance)
    [ending] = installation.await_end(instance)

    assert installation.armed() == []
    assert (ending.status, ending.output) == ("completed", {"visited": "three"})
    assert [(position, status) for position, status, _, _ in ending.history] == [
        ("/do/0/one", "completed"),
        ("/do/1/tell", "completed"),
        ("/do/2/two", "completed"),
        ("/do/3/nap", "completed"),
        ("/do/4/three", "completed"),
    ]
    assert stub.counts("/") == calls
    assert {len(set(stub.keys(path))) for path in calls} == {1}
    assert models.ReceivedEvent.objects.count() == 1


CHILD_PLACES = {
    "between the commit that wants a child and its begin": ("awaits", "committed", "web", 0),
    "between the commit that wants a stray and its begin": ("detaches", "committed", "web", 0),
    "before the parent has heard of the end": ("awaits", "committed", "compute", 0),
    "within the step in which the parent hears of it": ("awaits", "saving", "compute", 0),
}


@pytest.mark.parametrize("where", CHILD_PLACES)
def test_a_kill_between_parent_and_child_leaves_each_begun_once_and_told_once(
    installation: Installation, stub: Stub, where: str
) -> None:
    name, place, role, passages = CHILD_PLACES[where]
    stub.calls.clear()
    parent = str(uuid4())
    installation.arm(place, role, parent, passages=passages)

    installation.start(name, {"stub": stub.url}, parent)
    [ending] = installation.await_end(parent)
    [child_id] = models.Instance.objects.filter(parent=parent).values_list("pk", flat=True)
    [ending_of_child] = installation.await_end(str(child_id))

    assert (ending.status, ending_of_child.status) == ("completed", "completed")
    assert stub.counts("/") == {"/small": 1, "/later": 1}

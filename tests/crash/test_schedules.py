"""Timekeepers of schedules are killed wherever a start stands: each due time has one instance in the end."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

from tests.crash.harness import NAMESPACE, Installation
from workflows import models
from workflows.models import FINAL_STATUSES

PLACES = ("firing", "born", "fired", "saving", "committed")
SPAN = timedelta(milliseconds=200)


def document(name: str, **metadata: Any) -> dict[str, Any]:
    return {"dsl": "1.0.3", "namespace": NAMESPACE, "name": name, "version": "1.0.0", "metadata": metadata}


def starts_of(name: str) -> list[models.Fire]:
    return list(models.Fire.objects.filter(schedule__workflow=name).order_by("pk"))


def test_no_kill_loses_a_start_or_makes_two_of_it(installation: Installation) -> None:
    done = [{"done": {"set": {"x": 1}}}]
    every = document("ticks", schedule={"catchUp": "all"})
    installation.register("ticks", done, document=every, schedule={"every": {"milliseconds": 200}})
    installation.register("again", done, document=document("again"), schedule={"after": {"milliseconds": 50}})
    with installation.another("maintenance", "two"):
        for place in PLACES * 2:
            for role in ("maintenance", "maintenance-two"):
                installation.arm(place, role, "any", passages=1)
            installation.wait(lambda: not installation.armed(), installation.armed)
        # Nobody keeps time for a while, and all is made up for.
        installation.kill("maintenance", "maintenance-two")
        before = len(starts_of("ticks"))
        installation.revive()
        installation.wait(lambda: len(starts_of("ticks")) > before + 20)
        for schedule in models.Schedule.objects.all():
            installation.ask("POST", f"/schedules/{schedule.pk}/pause", {})
        everything = models.Instance.objects.filter(workflow__in=("ticks", "again"))
        installation.wait(lambda: not everything.exclude(status__in=FINAL_STATUSES).exists())

    ticks, again = starts_of("ticks"), starts_of("again")
    due = [start.due_at for start in ticks]
    anchor = models.Schedule.objects.get(workflow="ticks").anchor_at
    assert due == [anchor + number * SPAN for number in range(1, len(due) + 1)]
    instances = {row.pk: row for row in everything}
    assert sorted(start.instance for start in (*ticks, *again)) == sorted(instances)
    assert {row.status for row in instances.values()} == {"completed"}
    for one, following in pairwise(again):
        ended_at = instances[one.instance].ended_at
        assert ended_at is not None
        assert following.due_at == ended_at + timedelta(milliseconds=50)

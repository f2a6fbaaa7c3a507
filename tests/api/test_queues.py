"""`GET /queues` in a process that takes no jobs itself."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.doors import Caller
from workflows.models import Node


def test_a_door_counts_the_workers_that_live(api: Caller):
    now = datetime.now(UTC)
    for roles, seen_at in (("http,io", now), ("http", now), ("http", now - timedelta(hours=1))):
        Node.objects.create(id=uuid4(), name="n", roles=roles, started_at=seen_at, seen_at=seen_at, taken={}, held=[])

    items = api.get("/queues").json["items"]

    assert {item["pool"]: item["consumers"] for item in items} == {"http": 2, "io": 1}

"""`/schedules`: what it answers, and what it says to mistakes."""

from datetime import timedelta
from typing import Any

import pytest

from tests.doors import ECHO, Caller, register, text_of
from workflows import models

DAILY = f"schedule: {{cron: CRON_TZ=Europe/Berlin 0 9 * * *}}\n{ECHO}"


@pytest.fixture
def daily(api: Caller) -> str:
    """The path of a schedule."""
    register(DAILY)
    return f"/schedules/{models.Schedule.objects.get().pk}"


def test_a_schedule_tells_what_it_says_and_when_it_starts_next(api: Caller, daily: str) -> None:
    shown = api.get(daily).json

    row = models.Schedule.objects.get()
    assert row.due_at is not None
    assert shown == {
        "id": str(row.pk),
        "workflow": {"namespace": "tests", "name": "echo", "version": "1.0.0"},
        "kind": "cron",
        "expression": "CRON_TZ=Europe/Berlin 0 9 * * *",
        "timeZone": "Europe/Berlin",
        "catchUp": "once",
        "status": "active",
        "nextFireAt": row.due_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "awaitedInstance": None,
        "lastFireAt": None,
        "fireCount": 0,
        "lastMissedAt": None,
        "pausedAt": None,
        "pausedBy": None,
        "createdAt": row.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "fires": [],
    }
    assert api.get("/schedules").json == {"items": [shown], "next": None}
    assert api.get("/schedules?namespace=tests&name=other").json["items"] == []


def test_a_trigger_answers_with_the_start_and_where_its_instance_is(api: Caller, daily: str) -> None:
    answer = api.post(f"{daily}/trigger", {"reason": "now"}, Idempotency_Key="k")
    again = api.post(f"{daily}/trigger", {"reason": "now"}, Idempotency_Key="k")

    assert (answer.status, answer.json["kind"], answer.json["dueAt"]) == (202, "trigger", None)
    assert again.json == answer.json
    location = answer.headers["Location"].removeprefix("/api/v1")
    assert api.get(f"{location}?wait=20").json["status"] == "completed"
    assert [fire["instance"] for fire in api.get(daily).json["fires"]] == [answer.json["instance"]]


def test_pause_and_resume_answer_with_the_schedule(api: Caller, daily: str) -> None:
    paused = api.post(f"{daily}/pause", {"reason": "feast"}).json
    resumed = api.post(f"{daily}/resume").json

    assert (paused["status"], paused["nextFireAt"]) == ("paused", None)
    assert (resumed["status"], resumed["nextFireAt"] is None) == ("active", False)


def test_a_backfill_answers_with_what_it_started(api: Caller, daily: str) -> None:
    end = models.Schedule.objects.get().anchor_at
    window = {"from": (end - timedelta(days=3)).isoformat(), "to": end.isoformat()}

    answer = api.post(f"{daily}/backfill", window)
    again = api.post(f"{daily}/backfill", window)

    assert (answer.status, answer.json["started"], answer.json["skipped"]) == (202, 3, 0)
    assert again.json == {"started": 0, "skipped": 3, "instances": []}
    wanted = f"/instances?label=lemline.schedule:{daily.rpartition('/')[2]}"
    assert len(api.get(wanted).json["items"]) == 3


WRONG: list[tuple[str, Any, int, str]] = [
    ("/schedules/77", None, 404, "schedule 77 does not exist"),
    ("/schedules/x", None, 404, "There is no schedule 'x'"),
    (f"/schedules/{'9' * 40}", None, 404, "There is no schedule"),
    ("{}/backfill", {}, 400, "/from"),
    ("{}/backfill", {"from": "2026-01-02", "to": "2026-01-01"}, 400, "ends after it begins"),
    ("{}/backfill", {"from": "2026-01-01", "to": "2999-01-01"}, 400, "only what is past"),
    ("{}/backfill", {"from": 5, "to": "2026-01-01"}, 400, "a time is ISO 8601 text"),
    ("{}/pause", {"why": "x"}, 400, "/why"),
    ("{}/pause", b"{", 400, "not JSON"),
    ("{}/trigger", {"reason": "\x00"}, 400, "a NUL is not possible"),
]


@pytest.mark.parametrize(("path", "body", "status", "message"), WRONG)
def test_what_it_says_to_mistakes(api: Caller, daily: str, path: str, body: Any, status: int, message: str) -> None:
    target = path.format(daily)

    answer = api.get(target) if body is None else api.post(target, body)

    assert answer.status == status
    assert message in answer.bytes.decode()


def test_a_cron_that_never_happens_is_refused_with_its_place(api: Caller) -> None:
    text = text_of(f"schedule: {{cron: 0 0 30 2 *}}\n{ECHO}", name="never")

    answer = api.post("/workflows", text.encode(), Content_Type="application/yaml")

    assert answer.status == 400
    [error] = answer.json["errors"]
    assert (error["pointer"], error["line"]) == ("/schedule/cron", 2)
    assert "no month has such a day" in error["message"]

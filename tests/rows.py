"""Short makers of what records store."""

from datetime import UTC, datetime
from typing import Any

import uuid6

from workflows import models
from workflows.runtime.records import HISTORY_COLUMNS, Birth, Changes, Checkpointed, Phase, Records, pack

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def birth(**more: Any) -> Birth:
    values: dict[str, Any] = {
        "instance_id": str(uuid6.uuid7()), "definition": models.Definition.objects.get().pk, "namespace": "tests",
        "workflow": "played", "version": "1.0.0", "priority": 3, "labels": "{}", "input": b"{}", "created_at": NOW,
    }  # fmt: skip
    return Birth(**{**values, **more})


def phase(instance: str, **more: Any) -> Phase:
    values: dict[str, Any] = {
        "instance_id": instance, "status": "running", "started_at": NOW, "ended_at": None, "output": None,
        "context": None, "problem": None, "problem_type": "",
    }  # fmt: skip
    return Phase(**{**values, **more})


def after(instance: str, **more: Any) -> Checkpointed:
    values: dict[str, Any] = {
        "instance_id": instance, "before": 0, "step": 1, "state": pack(b"state"), "due_at": None,
        "leased_until": None, "has_open_work": False, "parked": False,
    }  # fmt: skip
    return Checkpointed(**{**values, **more})


def history(instance: str, **more: Any) -> tuple[object, ...]:
    """Return the row of a run."""
    values: dict[str, Any] = {
        "instance": instance, "step": 1, "ordinal": 0, "is_phase": False, "position": "/do/0/a", "name": "a",
        "kind": "call", "status": "completed", "attempt": 1, "ended_at": NOW, "pool": "", "worker": "", "input": b"1",
        "output": b"2", "reason": "", "by": "", **more,
    }  # fmt: skip
    return tuple(values.get(column) for column in HISTORY_COLUMNS)


def stored(records: Records, *births: Birth, **more: Any) -> list[str]:
    """Store instances; their ids."""
    given = births or (birth(),)
    records.lock([], wait=False)
    made = [(each, phase(each.instance_id), after(each.instance_id, **more)) for each in given]
    records.save(Changes(births=made))
    return [each.instance_id for each in given]


def update(records: Records, *changed: Checkpointed, **more: Any) -> None:
    records.lock([each.instance_id for each in changed], wait=False)
    records.save(Changes(checkpoints=list(changed), **more))

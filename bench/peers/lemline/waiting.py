"""Instances that wait for a timer: one is started, the database multiplies it."""

from typing import Any

from bench.driver import Row
from bench.peers.lemline.site import Site, rows, wait_for
from bench.peers.lemline.trial import Trial

NAP = "  - nap: {wait: {days: 30}}\n"

_CLONE = """\
WITH clones AS MATERIALIZED (
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 4, 15))::uuid AS id
    FROM generate_series(1, %(count)s)
), instances AS (
    INSERT INTO workflows_instance ({instance}) SELECT {instance_values}
    FROM clones, workflows_instance t WHERE t.id = %(original)s
), checkpoints AS (
    INSERT INTO workflows_checkpoint ({checkpoint}) SELECT {checkpoint_values}
    FROM clones, workflows_checkpoint t WHERE t.instance = %(original)s
)
INSERT INTO workflows_history ({history}) SELECT {history_values}
FROM clones, workflows_history t WHERE t.instance = %(original)s RETURNING 1
"""
_STATE = (
    "'\\x00'::bytea || convert_to(replace(convert_from(substr(t.state, 2), 'UTF8'), %(original)s, clones.id::text),"
    " 'UTF8')"
)
# When it is due stands in a column for the timekeeper and in the state for the engine, which decides.
_HURRY = """\
UPDATE workflows_checkpoint c SET due_at = v.due, state = '\\x00'::bytea || convert_to(regexp_replace(
    convert_from(substr(c.state, 2), 'UTF8'), '"wait","[^"]+"',
    '"wait","' || to_char(v.due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"'), 'UTF8')
FROM (
    SELECT instance, now() + interval '1 second' * (%(after)s + row_number() OVER () / %(rate)s::float) AS due
    FROM (SELECT instance FROM workflows_checkpoint WHERE definition = %(definition)s LIMIT %(count)s) chosen
) v
WHERE c.instance = v.instance RETURNING c.instance::text, v.due
"""


def have_open(site: Site, count: int) -> None:
    """Add instances until so many are open that wait for a month."""
    [(known,)] = rows("SELECT count(*) FROM workflows_checkpoint WHERE due_at > now() + interval '1 day'")
    if count > int(str(known)):
        multiply(Trial(site, NAP, lambda number: {"wf": number}), count - int(str(known)))


def multiply(trial: Trial, count: int) -> None:
    """Have so many instances of a trial of `NAP`, all of them waiting."""
    original = trial.start(0)
    wait_for("SELECT count(*) = 1 FROM workflows_checkpoint WHERE instance = %s", (original,), "no instance waits")
    if count > 1:
        rows(_clone(), {"original": original, "count": count - 1})
    for table in ("instance", "checkpoint", "history"):
        _vacuum(table)


def hurry(trial: Trial, *, count: int, rate: int, after_seconds: float) -> dict[str, Any]:
    """Have some of them become due, so many per second from a moment on; when, by instance."""
    given = {"definition": trial.definition, "count": count, "rate": rate, "after": after_seconds}
    return {str(instance): due for instance, due in rows(_HURRY, given)}


def _clone() -> str:
    from workflows.models import Checkpoint, History, Instance

    values: Row = {}
    for name, model, changed in (
        ("instance", Instance, {"id": "clones.id"}),
        ("checkpoint", Checkpoint, {"instance": "clones.id", "state": _STATE}),
        ("history", History, {"instance": "clones.id"}),
    ):
        automatic = "id" if name == "history" else ""
        columns = [field.column for field in model._meta.concrete_fields if field.column != automatic]
        values[name] = ", ".join(f'"{column}"' for column in columns)
        values[f"{name}_values"] = ", ".join(changed.get(column, f't."{column}"') for column in columns)
    return _CLONE.format(**values)


def _vacuum(table: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM (ANALYZE) workflows_{table}")

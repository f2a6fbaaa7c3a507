"""How PostgreSQL keeps the tables, by what was measured (docs/adr). Settings only: no row is rewritten."""

from typing import Any

from django.db import migrations

BEFORE = {
    "workflows_checkpoint": "fillfactor = 60",
    "workflows_instance": "fillfactor = 80",
}
AFTER = {
    # All updates stay on their page from 80 on; the rest is room for states that grow. A small table, vacuumed often.
    "workflows_checkpoint": "fillfactor = 70, autovacuum_vacuum_cost_delay = 0",
    # No update of it stays on its page, since indexes name the status: room on pages would be for nothing.
    "workflows_instance": "fillfactor = 100, autovacuum_vacuum_scale_factor = 0.05",
    # What retention removes is found as soon as what is appended.
    "workflows_history": "autovacuum_vacuum_scale_factor = 0.05",
}
RESET = {
    "workflows_checkpoint": "autovacuum_vacuum_cost_delay",
    "workflows_instance": "autovacuum_vacuum_scale_factor",
    "workflows_history": "autovacuum_vacuum_scale_factor",
}
VALUES = (
    ("workflows_instance", ("input", "output", "context", "problem")),
    ("workflows_history", ("input", "output", "problem")),
    ("workflows_checkpoint", ("input",)),
    ("workflows_receivedevent", ("event",)),
)
_KNOWS_LZ4 = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"


def tune(apps: Any, schema_editor: Any) -> None:
    """Set them; other databases have no such settings."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, settings in AFTER.items():
        schema_editor.execute(f"ALTER TABLE {table} SET ({settings})")
    _compress(schema_editor, "lz4")


def restore(apps: Any, schema_editor: Any) -> None:
    """Set what was before."""
    if schema_editor.connection.vendor != "postgresql":
        return
    for table, names in RESET.items():
        schema_editor.execute(f"ALTER TABLE {table} RESET ({names})")
    for table, settings in BEFORE.items():
        schema_editor.execute(f"ALTER TABLE {table} SET ({settings})")
    _compress(schema_editor, "default")


def _compress(schema_editor: Any, method: str) -> None:
    """Choose how values are compressed from now on, where the server was built with a choice."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_KNOWS_LZ4)
        knows = cursor.fetchone()
    if not knows or not knows[0]:
        return
    for table, columns in VALUES:
        changes = ", ".join(f'ALTER COLUMN "{column}" SET COMPRESSION {method}' for column in columns)
        schema_editor.execute(f"ALTER TABLE {table} {changes}")


class Migration(migrations.Migration):
    """Reversible."""

    dependencies = (("workflows", "0005_lists"),)
    operations = (migrations.RunPython(tune, restore),)

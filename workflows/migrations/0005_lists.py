"""Lists go by time of creation, each along an index of its own; labels are found in a table beside.

The indexes are built while nobody writes instances: on a large table, upgrade at a quiet hour.
"""

from typing import Any

from django.db import migrations, models

_MEMBERS = {"postgresql": "jsonb_each_text(i.labels) m", "sqlite": "json_each(i.labels) m"}


def extract(apps: Any, schema_editor: Any) -> None:
    """Store the labels of what is there already."""
    schema_editor.execute(
        'INSERT INTO workflows_label (instance, "key", value, created_at)'
        f" SELECT i.id, m.key, m.value, i.created_at FROM workflows_instance i, {_MEMBERS[schema_editor.connection.vendor]}"
    )


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0004_retention"),
    ]

    operations = [
        migrations.CreateModel(
            name="Label",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "instance", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("instance", models.UUIDField()),
                ("key", models.CharField(max_length=63)),
                ("value", models.CharField(max_length=255)),
                ("created_at", models.DateTimeField()),
            ],
        ),
        migrations.RemoveIndex(
            model_name="instance",
            name="instance_status",
        ),
        migrations.RemoveIndex(
            model_name="instance",
            name="instance_workflow",
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["created_at", "id"], name="instance_created"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["namespace", "created_at", "id"], name="instance_namespace"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["namespace", "workflow", "created_at", "id"], name="instance_workflow"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("status", "completed"), _negated=True),
                fields=["status", "created_at", "id"],
                name="instance_status",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("problem_type", ""), _negated=True),
                fields=["created_at", "id"],
                name="instance_problem",
            ),
        ),
        migrations.AddIndex(
            model_name="label",
            index=models.Index(fields=["key", "value", "created_at", "instance"], name="label_created"),
        ),
        migrations.RunPython(extract, migrations.RunPython.noop),
    ]

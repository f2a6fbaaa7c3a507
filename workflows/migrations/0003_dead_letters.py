"""Instances that were given up can be found, and processes say which suspect they try. No lease was ever taken."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds columns with a constant default, which rewrites no table."""

    dependencies = (("workflows", "0002_history_queued_at"),)

    operations = (
        migrations.DeleteModel(name="Lease"),
        migrations.AddField(
            model_name="instance", name="given_up", field=models.BooleanField(db_default=False, default=False)
        ),
        migrations.AddField(model_name="node", name="trying", field=models.JSONField(default=list)),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("given_up", True)), fields=["-ended_at", "-id"], name="instance_given_up"
            ),
        ),
        migrations.CreateModel(
            name="DeadLetter",
            fields=[],
            options={"verbose_name": "dead letter", "proxy": True, "indexes": [], "constraints": []},
            bases=("workflows.instance",),
        ),
    )

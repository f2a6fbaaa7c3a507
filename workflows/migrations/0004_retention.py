"""What is old enough is found by its age, and many that ended at one moment by their ids."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0003_dead_letters"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="instance",
            name="instance_ended",
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["at"], name="audit_at"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)), fields=["ended_at", "id"], name="instance_ended"
            ),
        ),
        migrations.AddIndex(
            model_name="receivedevent",
            index=models.Index(fields=["received_at"], name="event_received"),
        ),
    ]

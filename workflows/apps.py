"""The Django app of definitions and instances."""

from django.apps import AppConfig
from django.core.signals import request_started


class WorkflowsConfig(AppConfig):
    """Registers the system checks, and has each request begin with a connection that is alive."""

    name = "workflows"
    verbose_name = "Workflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks that `manage.py check` runs."""
        from workflows import checks  # noqa: F401  (registers on import)
        from workflows.runtime.connections import drop_dead

        request_started.connect(drop_dead, dispatch_uid="lemline.connections")

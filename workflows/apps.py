"""The Django app of definitions and instances."""

from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    """Registers the system checks."""

    name = "workflows"
    verbose_name = "Workflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks that `manage.py check` runs."""
        from workflows import checks  # noqa: F401  (registers on import)

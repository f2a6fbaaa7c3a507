"""Outside work: JSON in, JSON or a problem out. Knows neither Django nor Celery."""

from collections.abc import Mapping

from workers.activities.calls import (
    ActivityCall,
    ActivityError,
    ActivityResult,
    AsyncActivity,
    Cancellation,
    Limits,
    SyncActivity,
)
from workers.activities.functions import Context, FunctionActivity, Problem, activity
from workers.activities.http import HttpActivity
from workers.activities.openapi import OpenApiActivity
from workers.activities.process import ScriptActivity, ShellActivity

ACTIVITIES: Mapping[str, AsyncActivity | SyncActivity] = {
    "function": FunctionActivity(),
    "http": HttpActivity(),
    "openapi": OpenApiActivity(),
    "script": ScriptActivity(),
    "shell": ShellActivity(),
}
"""Kind of a command to the activity that carries it out."""

__all__ = [
    "ACTIVITIES", "ActivityCall", "ActivityError", "ActivityResult", "AsyncActivity", "Cancellation", "Context",
    "Limits", "Problem", "SyncActivity", "activity",
]  # fmt: skip

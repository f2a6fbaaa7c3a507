"""Outside work: JSON in, JSON or a problem out. Knows neither Django nor Celery."""

from collections.abc import Mapping

from workers.activities import functions
from workers.activities.calls import (
    ActivityCall,
    ActivityError,
    ActivityResult,
    AsyncActivity,
    Cancellation,
    Limits,
    SyncActivity,
)
from workers.activities.client import CLIENT
from workers.activities.functions import AsyncFunctionActivity, Context, FunctionActivity, Problem, activity
from workers.activities.http import HttpActivity
from workers.activities.openapi import OpenApiActivity
from workers.activities.process import ScriptActivity, ShellActivity
from workflows.dsl.jsontext import Json

ACTIVITIES: Mapping[str, AsyncActivity | SyncActivity] = {
    "function": FunctionActivity(),
    "http": HttpActivity(),
    "openapi": OpenApiActivity(),
    "script": ScriptActivity(),
    "shell": ShellActivity(),
}
"""Kind of a command to the activity that carries it out."""

ASYNC_FUNCTION = AsyncFunctionActivity()


def find_activity(kind: str, arguments: Json) -> AsyncActivity | SyncActivity | None:
    """Return what carries out a command; None when nothing here does."""
    if kind == "function":
        function = functions.lookup(arguments["function"])
        if function is not None and function.is_async:
            return ASYNC_FUNCTION
    return ACTIVITIES.get(kind)


async def close() -> None:
    """Close what activities keep open on this event loop."""
    await CLIENT.close()


__all__ = [
    "ACTIVITIES", "ActivityCall", "ActivityError", "ActivityResult", "AsyncActivity", "Cancellation", "Context",
    "Limits", "Problem", "SyncActivity", "activity", "close", "find_activity",
]  # fmt: skip

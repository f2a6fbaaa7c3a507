"""Runs single activities, as the desk would, and whole workflows in memory."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.builders import HEADER
from workers import activities
from workers.activities import ActivityCall, ActivityError, ActivityResult, Cancellation, Limits, find_activity
from workers.embedded import run_file
from workflows.dsl import jsontext
from workflows.engine.problems import ProblemError
from workflows.engine.secrets import mark
from workflows.runtime.views import InstanceView

SEAL = "the-seal"
LIMITS = Limits(private_addresses=("loopback",))
SECRETS = {"token": "s3cret-t0ken", "login": {"username": "ada", "password": "love/lace"}}


def secret(*path: str) -> str:
    """Return the mark of a secret, as the engine writes it into arguments."""
    return mark(SEAL, path)


@dataclass
class Asked:
    """An activity that is to run."""

    kind: str
    arguments: dict[str, Any]
    limits: Limits = LIMITS
    timeout_seconds: float | None = None
    cancelled: Cancellation = field(default_factory=Cancellation)
    key: str = "key-1"
    attempt: int = 1
    namespace: str = "tests"

    def call(self) -> ActivityCall:
        return ActivityCall(
            kind=self.kind, arguments=self.arguments, idempotency_key=self.key, instance_id="i", wait_id="1",
            position="/do/0/work", name="work", attempt=self.attempt,
            definition=(self.namespace, "calling", "1.0.0"),
            timeout_seconds=self.timeout_seconds, secrets=SECRETS.__getitem__, seal=SEAL, limits=self.limits,
            cancelled=self.cancelled,
        )  # fmt: skip

    async def run(self) -> Any:
        """Return the output; ActivityError or ProblemError otherwise."""
        activity: Any = find_activity(self.kind, self.arguments)
        found = activity.run(self.call())
        result: ActivityResult = found if isinstance(found, ActivityResult) else await found
        return result.output


def output_of(kind: str, arguments: dict[str, Any], **more: Any) -> Any:
    """Return what an activity gives back."""
    return all_of(lambda: Asked(kind, arguments, **more).run())[0]


def failure_of(kind: str, arguments: dict[str, Any], **more: Any) -> ActivityError:
    """Return how an activity fails."""
    try:
        output = output_of(kind, arguments, **more)
    except ActivityError as error:
        return error
    except ProblemError as error:
        return ActivityError(error.problem)
    raise AssertionError(f"it gave {output!r}")


def all_of(*works: Callable[[], Any]) -> list[Any]:
    """Run coroutines one after the other on one event loop, and leave nothing open."""

    async def run() -> list[Any]:
        try:
            return [await work() for work in works]
        finally:
            await activities.close()

    return asyncio.run(run())


def short(error: ActivityError) -> tuple[str, int]:
    """Return the last part of a problem's type, and its status."""
    return error.problem.type.rpartition("/")[2], error.problem.status


def played(text: str, given: object = None, *, seconds: float = 30) -> InstanceView:
    """Run a workflow to its end, with real activities, in memory."""
    whole = text if text.startswith("document:") else HEADER + text
    return run_file(whole.encode(), jsontext.encode({} if given is None else given), seconds)


def result_of(view: InstanceView) -> Any:
    """Return the output of an instance that completed."""
    assert view.status == "completed", view.problem
    assert view.output is not None
    return jsontext.decode(view.output)


def fault_of(view: InstanceView) -> Any:
    """Return the problem of an instance that faulted."""
    assert view.status == "faulted", view.output
    assert view.problem is not None
    return jsontext.decode(view.problem)

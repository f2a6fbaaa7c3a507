"""Starts as many instances as it is told, each with one activity: `python -m tests.crash.crowd COUNT STUB`."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

STARTERS = 48
"""Callers at the same time: what arrives together is stored together."""


def main(count: int, stub: str) -> None:
    """Return once all of them are stored and rung for."""
    from workflows.runtime import operations, process, registrations
    from workflows.runtime.audit import Actor

    actor = Actor(name="tests", door="cli", is_admin=True)
    document = {"dsl": "1.0.3", "namespace": "crash", "name": "crowd", "version": "1.0.0"}
    tasks = [{"work": {"call": "crash/visit", "with": {"url": stub}}}]
    registrations.register(json.dumps({"document": document, "do": tasks}).encode(), actor=actor)
    request = operations.StartRequest(namespace="crash", name="crowd")

    def start(_: int) -> Any:
        return operations.start(request, actor=actor)

    with ThreadPoolExecutor(STARTERS) as threads:
        for _ in threads.map(start, range(count)):
            pass
    process.end()


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), sys.argv[2])

"""`GET /instances/{id}/history`."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.doors import ECHO, FAILING, Caller, register, start

CALL = "call: http, with: {method: get, endpoint: 'http://127.0.0.1:9'}"
"""Stays open, since nobody works here."""


def history(api: Caller, name: str, query: str = "") -> Any:
    return api.get(f"/instances/{name}/history{query}").json


def positions(tasks: list[dict[str, Any]]) -> list[str]:
    return [task["position"] for task in tasks]


def test_a_run_tells_what_where_when_and_with_which_data(api: Caller) -> None:
    register("do: [{double: {set: '${ .n * 2 }'}}]")

    answer = history(api, start(input=b'{"n":2}').id)

    (task,) = answer["tasks"]
    assert task.pop("startedAt").endswith("Z")
    assert task.pop("endedAt").endswith("Z")
    assert task == {
        "position": "/do/0/double", "name": "double", "kind": "set", "status": "completed", "attempt": 1, "pool": None,
        "worker": None, "input": {"n": 2}, "output": 4,
    }  # fmt: skip
    assert [phase["status"] for phase in answer["phases"]] == ["running", "completed"]
    assert answer["next"] is None


def test_runs_stand_in_the_order_of_their_start_each_task_before_those_within_it(api: Caller) -> None:
    register("do: [{a: {do: [{b: {set: {x: 1}}}, {c: {do: [{d: {set: {x: 1}}}]}}]}}, {e: {set: {x: 1}}}]")

    tasks = history(api, start().id)["tasks"]

    assert [task["name"] for task in tasks] == ["a", "b", "c", "d", "e"]


def test_a_run_under_way_has_no_end_and_stands_where_it_began(api: Caller) -> None:
    register(f"do: [{{outer: {{do: [{{first: {{set: {{x: 1}}}}}}, {{'call/it': {{{CALL}}}}}]}}}}]")

    tasks = history(api, start().id)["tasks"]

    shown = [(task["name"], task["kind"], task["status"], task["endedAt"] is None, task["pool"]) for task in tasks]
    assert shown == [
        ("outer", "do", "running", True, None),
        ("first", "set", "completed", False, None),
        ("call/it", "call", "running", True, "http"),
    ]


def test_pages_have_each_run_once_and_in_the_same_order(api: Caller) -> None:
    register(f"do: [{{a: {{set: {{x: 1}}}}}}, {{b: {{set: {{x: 1}}}}}}, {{c: {{set: {{x: 1}}}}}}, {{d: {{{CALL}}}}}]")
    made = start().id

    found, cursor, sizes = [], "", []
    while cursor is not None:
        page = history(api, made, f"?limit=3&cursor={cursor}")
        found += [task["name"] for task in page["tasks"]]
        sizes.append(len(page["tasks"]))
        cursor = page["next"]

    assert (found, sizes) == (["a", "b", "c", "d"], [3, 1])


def test_a_page_holds_no_more_than_its_limit_also_with_runs_under_way(api: Caller) -> None:
    branches = ", ".join(f"{{b{number}: {{{CALL}}}}}" for number in range(4))
    register(f"do: [{{all: {{fork: {{branches: [{branches}]}}}}}}]")
    made = start().id

    first = history(api, made, "?limit=2")
    rest = history(api, made, f"?limit=3&cursor={first['next']}")

    assert [task["name"] for task in (*first["tasks"], *rest["tasks"])] == ["all", "b0", "b1", "b2", "b3"]
    assert rest["next"] is None


def test_iterations_are_told_apart_by_their_index(api: Caller) -> None:
    register("do: [{each: {for: {in: '${ [7, 8] }'}, do: [{one: {set: '${ $item }'}}]}}]")

    tasks = history(api, start().id)["tasks"]

    ones = [(task["iteration"], task["output"]) for task in tasks if task["name"] == "one"]
    assert ones == [(0, 7), (1, 8)]
    assert "iteration" not in tasks[0]


def test_a_run_that_faulted_has_its_problem(api: Caller) -> None:
    register(FAILING)

    (task,) = history(api, start().id)["tasks"]

    assert (task["status"], task["error"]["status"], task["error"]["instance"]) == ("faulted", 500, "/do/0/fail")
    assert "output" not in task


def test_attempts_are_counted(api: Caller) -> None:
    broken = "raise: {error: {type: https://example.com/errors/x, status: 503}}"
    register(f"do: [{{try: {{try: [{{go: {{{broken}}}}}], catch: {{retry: {{limit: {{attempt: {{count: 2}}}}}}}}}}}}]")

    tasks = history(api, start().id)["tasks"]

    assert [task["attempt"] for task in tasks if task["name"] == "go"] == [1, 2, 3]


def test_a_large_value_is_left_out_with_its_size_and_where_to_look(
    api: Caller, configure: Callable[[Mapping[str, str]], None]
) -> None:
    configure({"lemline.history.max-value": "1K"})
    register(ECHO)
    made = start(input=b'"' + b"x" * 2000 + b'"')

    (task,) = history(api, made.id)["tasks"]

    assert task["input"] == {"$truncated": True, "size": 2002, "href": f"/api/v1/instances/{made.id}"}


def test_phases_say_who_and_why(api: Caller) -> None:
    register("do: [{nap: {wait: {days: 1}}}]")
    made = start().id
    api.post(f"/instances/{made}/suspend", {"reason": "maintenance"})
    api.post(f"/instances/{made}/resume")
    api.post(f"/instances/{made}/cancel", {"reason": "not needed"})

    phases = history(api, made)["phases"]

    told = [(phase["status"], phase.get("reason")) for phase in phases if "by" in phase]
    assert told[:2] == [("suspended", "maintenance"), ("running", None)]
    assert told[-1] == ("cancelled", "not needed")
    assert phases[-1]["by"] == "key admin of tests"
    assert all(phase["at"].endswith("Z") for phase in phases)


def test_a_retry_goes_on_with_the_same_history(api: Caller) -> None:
    register(FAILING)
    made = start().id

    api.post(f"/instances/{made}/retry")

    answer = history(api, made)
    assert positions(answer["tasks"]) == ["/do/0/fail"] * 2
    assert [phase["status"] for phase in answer["phases"]] == ["running", "faulted", "running", "faulted"]


def test_the_history_of_an_instance_that_is_not_there_is_404(api: Caller) -> None:
    assert api.get("/instances/01a21319-da7a-73cb-966a-28cb6e1a69d5/history").status == 404

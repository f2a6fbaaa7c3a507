"""What becomes a dead letter, in which order they are listed, and how one is taken up again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests.runtimes import ONE, Runtime, define, instance_of, status_of, wait_of
from workflows import models
from workflows.engine import facts
from workflows.engine.problems import problem
from workflows.runtime import dead_letters
from workflows.runtime.audit import Actor
from workflows.runtime.errors import InvalidRequestError

ROOT = Actor(name="tests", door="cli", is_admin=True)


def die_of(runtime: Runtime, instance: str, times: int = 3, limit: int = 3) -> None:
    """Have so many processes die of the activity that an instance waits for."""
    wait = wait_of(instance, "work")
    for ring in range(1, times + 1):
        lost = facts.ActivityLost(at=runtime.now, wait_id=wait, ring=ring, blamed=True, limit=limit)
        runtime.apply(instance, lost)


def letters(**more: object) -> list[dead_letters.DeadLetter]:
    options = {"actor": ROOT, "kind": None, "limit": 50, "cursor": None, **more}
    return dead_letters.list_dead_letters(**options).items  # type: ignore[arg-type]


def retry(runtime: Runtime, instance: str) -> bool:
    return runtime.apply(instance, facts.RetryRequested(at=runtime.now))[0].changed


def test_an_instance_whose_activity_processes_died_of_is_a_dead_letter_that_names_the_task(runtime: Runtime) -> None:
    define(ONE)
    instance = runtime.start()

    die_of(runtime, instance)

    [letter] = letters(kind="instance")
    assert (letter.id, letter.namespace, letter.name, letter.version) == (instance, "tests", "played", "1.0.0")
    assert letter.position == "/do/0/work"
    assert letter.reason == "3 processes died while they ran the task 'work'; it is not tried again"
    assert letter.problem["type"].endswith("/runtime")
    assert letter.given_up_at == instance_of(instance).ended_at


def test_how_many_processes_may_die_comes_with_the_verdict(runtime: Runtime) -> None:
    define(ONE)
    instance = runtime.start()

    die_of(runtime, instance, times=4, limit=5)

    assert (status_of(instance), letters()) == ("running", [])


def test_an_instance_whose_step_could_not_be_stored_is_a_dead_letter(runtime: Runtime) -> None:
    define(ONE)
    instance = runtime.start()

    runtime.stepper.consequences.bury(instance, OSError("the value is refused"))

    [letter] = letters()
    assert (letter.id, letter.position) == (instance, None)
    assert letter.reason == "the step could not be taken: OSError: the value is refused"


def test_what_a_fault_of_the_workflow_ended_or_somebody_cancelled_is_none(runtime: Runtime) -> None:
    define(ONE)
    faulted, cancelled = runtime.start(), runtime.start()

    failed = problem("runtime", "as the workflow said")
    runtime.apply(faulted, facts.ActivityFailed(at=runtime.now, wait_id=wait_of(faulted, "work"), problem=failed))
    runtime.apply(cancelled, facts.CancelRequested(at=runtime.now))

    assert (status_of(faulted), status_of(cancelled)) == ("faulted", "cancelled")
    assert letters() == []


@pytest.mark.parametrize("is_buried", [False, True], ids=["poison", "buried"])
def test_once_it_is_taken_up_again_it_is_none_whatever_becomes_of_it(runtime: Runtime, is_buried: bool) -> None:
    define(ONE)
    instance = runtime.start()
    if is_buried:
        runtime.stepper.consequences.bury(instance, OSError("no"))
    else:
        die_of(runtime, instance)

    assert retry(runtime, instance)
    assert (status_of(instance), letters()) == ("running", [])
    failed = problem("communication", "away")
    runtime.apply(instance, facts.ActivityFailed(at=runtime.now, wait_id=wait_of(instance, "work"), problem=failed))

    assert (status_of(instance), letters()) == ("faulted", [])


def test_what_is_given_up_and_taken_up_within_one_batch_is_none(runtime: Runtime) -> None:
    define(ONE)
    instance = runtime.start()
    die_of(runtime, instance, times=2)
    lost = facts.ActivityLost(at=runtime.now, wait_id=wait_of(instance, "work"), ring=3, blamed=True)

    outcomes = runtime.apply(instance, lost, facts.RetryRequested(at=runtime.now))

    assert [outcome.changed for outcome in outcomes] == [True, True]
    assert (status_of(instance), letters()) == ("running", [])


def test_a_retried_dead_letter_that_processes_die_of_again_is_one_again(runtime: Runtime) -> None:
    define(ONE)
    instance = runtime.start()
    die_of(runtime, instance)
    retry(runtime, instance)

    die_of(runtime, instance)

    assert [letter.id for letter in letters()] == [instance]


def test_an_activity_that_nobody_waits_for_makes_no_dead_letter(runtime: Runtime) -> None:
    define("do: [{work: {run: {shell: {command: ls}, await: false}}}]")
    instance = runtime.start()
    [wait] = models.Checkpoint.objects.filter(pk=instance).count() * ["1"]

    for ring in (1, 2, 3):
        runtime.apply(instance, facts.ActivityLost(at=runtime.now, wait_id=wait, ring=ring, blamed=True))

    assert (status_of(instance), letters()) == ("completed", [])


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)


def given_up(second: int, name: UUID | None = None, namespace: str = "tests") -> str:
    """Store a dead letter as it was given up at a time."""
    definition = models.Definition.objects.first() or define(ONE)
    row = models.Instance.objects.create(
        pk=name or uuid4(), definition=definition, namespace=namespace, workflow="w", version="1.0.0", input=b"{}",
        status="faulted", problem=b'{"type":"t"}', created_at=at(0), ended_at=at(second), given_up=True,
    )  # fmt: skip
    return str(row.pk)


def test_what_was_given_up_last_comes_first_whatever_its_id(database: str) -> None:
    middle, last, first = given_up(2), given_up(3, UUID(int=1)), given_up(1, UUID(int=2**128 - 1))

    assert [letter.id for letter in letters()] == [last, middle, first]


def test_pages_leave_out_nothing_and_repeat_nothing_also_of_one_moment(database: str) -> None:
    together = {given_up(2) for _ in range(5)}
    alone = given_up(1)

    found, cursor = [], None
    for _ in range(3):
        page = dead_letters.list_dead_letters(actor=ROOT, kind=None, limit=2, cursor=cursor)
        found += [letter.id for letter in page.items]
        cursor = page.next

    assert cursor is None
    assert (set(found[:5]), found[5:]) == (together, [alone])


@pytest.mark.parametrize("cursor", ["", "x", "MjAyNi0xMy0wMQ"])
def test_a_cursor_of_another_list_is_refused(database: str, cursor: str) -> None:
    if not cursor:
        assert letters(cursor=cursor) == []
        return
    with pytest.raises(InvalidRequestError):
        letters(cursor=cursor)


def test_there_are_no_events_among_them(database: str) -> None:
    given_up(1)

    assert letters(kind="event") == []


def test_foreign_namespaces_are_absent(database: str) -> None:
    own, _ = given_up(1, namespace="own"), given_up(2, namespace="foreign")

    assert [letter.id for letter in letters(actor=Actor(name="a", door="api", namespaces=frozenset({"own"})))] == [own]

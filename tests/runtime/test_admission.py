"""When starts are refused: by what is under way on all nodes, and by how many come in."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache

from lemline_site.config.sections import BackPressure
from tests.doors import ROOT, SHELL, SLEEPER, register, start
from tests.runtimes import ONE, Runtime, define
from workflows.runtime import operations, process
from workflows.runtime.admission import Admission
from workflows.runtime.errors import OverloadedError
from workflows.runtime.operations import StartRequest

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    opened = Runtime()
    yield opened
    opened.close()


@pytest.fixture
def doors() -> Iterator[None]:
    cache.clear()
    yield
    process.end()


def limited(**limits: int) -> Admission:
    return Admission(BackPressure(**limits))  # type: ignore[arg-type]


def begin_work(runtime: Runtime, count: int) -> list[str]:
    define(ONE)
    return [runtime.start() for _ in range(count)]


def is_taken(runtime: Runtime, admission: Admission) -> bool:
    """Whether a start is taken by somebody who looks anew."""
    admission._looked_at = float("-inf")
    try:
        admission.ask(runtime.now)
    except OverloadedError:
        return False
    return True


def test_starts_are_refused_once_so_many_instances_are_being_worked_on(runtime: Runtime) -> None:
    begin_work(runtime, 5)

    assert is_taken(runtime, limited(max_outstanding_requests=6))
    with pytest.raises(OverloadedError, match="max-outstanding-requests"):
        limited(max_outstanding_requests=5).ask(runtime.now)


def test_between_two_looks_a_process_counts_what_it_lets_in(runtime: Runtime) -> None:
    begin_work(runtime, 5)
    admission = limited(max_outstanding_requests=7)

    admission.ask(runtime.now)
    admission.ask(runtime.now)

    with pytest.raises(OverloadedError):
        admission.ask(runtime.now)


def test_what_was_shut_is_opened_below_four_fifths_and_not_at_each_end(runtime: Runtime) -> None:
    ids = begin_work(runtime, 10)
    admission = limited(max_outstanding_requests=10)

    seen = [is_taken(runtime, admission)]
    for instance in ids[:3]:
        runtime.succeed(instance, "work")
        seen.append(is_taken(runtime, admission))

    assert seen == [False, False, True, True]


def test_what_waits_for_a_time_is_not_being_worked_on(runtime: Runtime) -> None:
    define(SLEEPER)
    for _ in range(5):
        runtime.start()

    assert is_taken(runtime, limited(max_outstanding_requests=1))


def test_nothing_is_refused_when_it_is_off(runtime: Runtime) -> None:
    begin_work(runtime, 2)

    admission = Admission(BackPressure(enabled=False, max_outstanding_requests=1, max_request_rate=1))

    for _ in range(3):
        admission.ask(runtime.now)


def test_the_rate_counts_all_processes_and_begins_anew_each_second(runtime: Runtime) -> None:
    cache.clear()
    second = runtime.now.replace(microsecond=0)
    one, other = limited(max_request_rate=3), limited(max_request_rate=3)

    one.ask(second)
    other.ask(second + timedelta(milliseconds=500))
    one.ask(second + timedelta(milliseconds=600))

    with pytest.raises(OverloadedError, match="max-request-rate"):
        other.ask(second + timedelta(milliseconds=999))
    other.ask(second + timedelta(seconds=1))


@pytest.mark.usefixtures("doors")
def test_what_was_accepted_before_is_answered_however_much_is_under_way() -> None:
    register(SHELL)
    process.current().admission = limited(max_outstanding_requests=1)
    chosen = uuid4()
    start(instance_id=chosen)

    again = operations.start(StartRequest(namespace="tests", name="echo", instance_id=chosen), actor=ROOT)

    assert (again.instance.id, again.created) == (str(chosen), False)
    with pytest.raises(OverloadedError):
        start()

"""Functions of a message, and the helpers that go on where one takes long."""

import threading

from tests.runtimes import DEADLINE_SECONDS
from workers.crew import Crew
from workers.slots import Slots


def crew_of(helpers: int) -> Crew:
    slots = Slots(64, 5, 16)
    slots.announce(1)
    return Crew(helpers, slots)


def test_quick_functions_are_run_in_order_by_the_thread_that_asked():
    ran: list[tuple[int, str]] = []

    crew = crew_of(4)
    crew.run(crew.batch([lambda n=n: ran.append((n, threading.current_thread().name)) for n in range(50)], 3))

    assert ran == [(n, threading.current_thread().name) for n in range(50)]


def test_each_function_is_run_once_however_many_help():
    ran: list[int] = []
    done = threading.Semaphore(0)

    def work(n: int) -> None:
        if n % 10 == 0:
            threading.Event().wait(0.05)
        ran.append(n)
        done.release()

    crew = crew_of(8)
    crew.run(crew.batch([lambda n=n: work(n) for n in range(40)], 3))
    for _ in range(40):
        assert done.acquire(timeout=DEADLINE_SECONDS)

    assert sorted(ran) == list(range(40))


def test_as_many_functions_as_may_are_blocked_at_once_and_no_more_helpers_are_asked_for():
    crew = crew_of(3)
    gate, blocked = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        blocked.release()
        gate.wait(DEADLINE_SECONDS)

    runner = threading.Thread(target=crew.run, args=(crew.batch([work] * 20, 3),))
    runner.start()
    for _ in range(4):
        assert blocked.acquire(timeout=DEADLINE_SECONDS)
    assert not blocked.acquire(timeout=0.2)

    assert crew._helpers._work_queue.qsize() == 0
    gate.set()
    runner.join()

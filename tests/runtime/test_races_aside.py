"""A step that is slow is set aside: row 5 of the table of races in docs/architecture.md, part 4."""

from collections.abc import Callable

import psycopg2
from django.db import connection

from tests.runtimes import TWO, Runtime, define, output_of, runs_of, state_of, status_of
from workflows.engine import facts
from workflows.runtime.ports import Outcome
from workflows.runtime.step import Due

SLOW = "do: [{work: {call: work}}, {think: {set: '${ [limit(3; repeat(1))] | length }'}}]"


class Waiting:
    """An executor that begins nothing before it is told to."""

    def __init__(self, runtime: Runtime) -> None:
        self._real = runtime.stepper._aside
        self._works: list[tuple[object, ...]] = []
        runtime.stepper._aside = self  # type: ignore[assignment]

    def submit(self, *work: object) -> None:
        self._works.append(work)

    def go(self) -> None:
        works, self._works = self._works, []
        for work, *arguments in works:
            self._real.submit(work, *arguments)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._works)

    def shutdown(self) -> None:
        self._real.shutdown()


def test_a_slow_step_is_set_aside_and_the_batch_does_not_wait(runtime: Runtime) -> None:
    define(SLOW, name="slow")
    define(TWO)
    slow, quick = runtime.start("slow"), runtime.start()
    aside = Waiting(runtime)

    for instance, task in ((slow, "work"), (quick, "first")):
        runtime.stepper.submit(instance, runtime.success(instance, task))
    runtime.stepper.turn()
    assert (runs_of(slow), runs_of(quick)) == ([], ["first"])
    aside.go()
    runtime.settle()

    assert (status_of(slow), output_of(slow)) == ("completed", 3)


def test_what_was_prepared_aside_counts_only_while_the_step_number_is_the_same(runtime: Runtime) -> None:
    define(SLOW)
    instance = runtime.start()
    aside = Waiting(runtime)
    outcomes: list[Outcome] = []
    runtime.stepper.submit(instance, runtime.success(instance, "work"), outcomes.append)
    runtime.stepper.turn()

    runtime.stepper.submit(instance, facts.SuspendRequested(at=runtime.now))
    runtime.stepper.turn()
    aside.go()
    runtime.settle()

    assert outcomes[0].changed
    assert (status_of(instance), runs_of(instance)) == ("suspended", [])
    assert len(state_of(instance).held) == 1


def test_a_fact_that_arrives_with_what_was_prepared_is_not_swallowed_by_it(runtime: Runtime) -> None:
    thinking = "{think: {do: [{a: {call: work}}, {t: {set: '${ [limit(3; repeat(1))] | length }'}}]}}"
    define(f"do: [{{both: {{fork: {{branches: [{thinking}, {{b: {{call: work}}}}]}}}}}}]")
    instance = runtime.start()
    aside = Waiting(runtime)
    b = runtime.success(instance, "b", "b")
    runtime.stepper.submit(instance, runtime.success(instance, "a"))
    runtime.stepper.turn()
    prepared, subject = aside._works[0][1:]
    runtime.stepper._prepare(prepared, subject)  # type: ignore[arg-type]

    [outcome] = runtime.apply(instance, b)

    assert outcome.changed
    assert (status_of(instance), output_of(instance)) == ("completed", [3, "b"])


def test_what_was_prepared_is_kept_while_another_process_holds_the_row(
    postgresql: str, new_runtime: Callable[[], Runtime]
) -> None:
    runtime = new_runtime()
    define(SLOW)
    instance = runtime.start()
    aside = Waiting(runtime)
    outcomes: list[Outcome] = []
    runtime.stepper.submit(instance, runtime.success(instance, "work"), outcomes.append)
    runtime.stepper.turn()
    prepared, subject = aside._works[0][1:]

    keeper = psycopg2.connect(dsn())
    with keeper:
        keeper.cursor().execute("SELECT 1 FROM workflows_checkpoint FOR UPDATE")
        runtime.stepper.submit(instance, Due(), outcomes.append)
        runtime.stepper.turn()
        runtime.stepper._prepare(prepared, subject)  # type: ignore[arg-type]
        runtime.stepper.turn()
        assert outcomes == []
    keeper.close()
    runtime.settle()

    assert len(outcomes) == 2
    assert status_of(instance) == "completed"


def dsn() -> str:
    settings = connection.settings_dict
    parts = {"dbname": settings["NAME"], "user": settings["USER"], "password": settings["PASSWORD"],
             "host": settings["HOST"], "port": settings["PORT"]}  # fmt: skip
    return psycopg2.extensions.make_dsn(**{name: value for name, value in parts.items() if value})

"""One instance's share of a transaction: what is kept of it, and which definition it goes by."""

from collections.abc import Callable, Mapping

import pytest

from tests.runtimes import ONE, Runtime, checkpoint_of, define, phases_of, runs_of, status_of
from workflows import models
from workflows.dsl import jsontext, parse
from workflows.engine import facts
from workflows.runtime.definitions import Definitions
from workflows.runtime.endings import Endings

MIXED = "do: [{first: {set: {n: 1}}}, {work: {call: work}}, {last: {set: {n: 2}}}]"

Configure = Callable[[Mapping[str, str]], None]


@pytest.mark.parametrize(
    ("level", "kept"), [("tasks", ["first", "work", "last"]), ("activities", ["work"]), ("off", [])]
)
def test_the_history_keeps_what_its_level_says_and_every_phase(
    database: str, configure: Configure, new_runtime: Callable[[], Runtime], level: str, kept: list[str]
) -> None:
    configure({"lemline.history.level": level})
    runtime = new_runtime()
    define(MIXED)
    instance = runtime.start()

    runtime.succeed(instance, "work")

    assert runs_of(instance) == kept
    assert phases_of(instance) == ["running", "completed"]


def test_values_over_the_limit_are_left_out_of_the_history_with_their_size(
    database: str, configure: Configure, new_runtime: Callable[[], Runtime]
) -> None:
    configure({"lemline.history.max-value": "1K"})
    runtime = new_runtime()
    define(ONE)
    instance = runtime.start(input="x" * 1022)

    runtime.succeed(instance, "work", "y" * 1023)

    row = models.History.objects.get(is_phase=False)
    assert bytes(row.input) == b'"' + b"x" * 1022 + b'"'
    assert jsontext.decode(bytes(row.output)) == {"$truncated": True, "size": 1025, "href": ""}
    assert models.Instance.objects.get().output is not None


def test_a_large_input_that_all_items_have_is_kept_with_their_loop_and_left_out_of_each_item(
    database: str, new_runtime: Callable[[], Runtime]
) -> None:
    runtime = new_runtime()
    define("do: [{all: {for: {in: .items, parallel: true}, do: [{work: {call: work}}]}}]")
    given = {"items": ["x" * 600, "y" * 600]}
    instance = runtime.start(input=given)

    runtime.succeed(instance, "work")
    runtime.succeed(instance, "work")

    inputs = [(row.name, jsontext.decode(bytes(row.input))) for row in models.History.objects.filter(is_phase=False)]
    left_out = {"$truncated": True, "size": len(jsontext.encode(given)), "href": ""}
    assert inputs == [("work", left_out), ("work", left_out), ("all", given)]


def test_an_instance_is_written_when_its_phase_changes_and_not_with_every_step(runtime: Runtime) -> None:
    define("do: [{a: {call: work}}, {b: {call: work}}]")
    instance = runtime.start()
    written: list[int] = []
    runtime.records.before["save"] = lambda changes: written.append(len(changes.phases))

    runtime.succeed(instance, "a")
    runtime.succeed(instance, "b")

    assert written == [0, 1]


def test_nothing_is_left_of_the_checkpoint_of_what_completed_and_all_of_what_faulted(runtime: Runtime) -> None:
    define(ONE, name="one")
    define("do: [{fail: {raise: {error: {type: https://example.com/w, status: 500}}}}]", name="failing")

    good, bad = runtime.start("one"), runtime.start("failing")
    runtime.succeed(good, "work")

    assert (status_of(good), checkpoint_of(good)) == ("completed", None)
    row = checkpoint_of(bad)
    assert row is not None
    assert (status_of(bad), row.parked, row.has_open_work) == ("faulted", True, False)


def test_names_longer_than_their_columns_fail_no_step(runtime: Runtime) -> None:
    define("do: [{work: {call: work, metadata: {pool: " + "p" * 100 + "}}}]")
    instance = runtime.start()
    answer = runtime.success(instance, "work")

    [done] = runtime.apply(
        instance,
        facts.ActivitySucceeded(at=answer.at, wait_id=answer.wait_id, output=1, worker="w" * 1000),
    )
    other = runtime.start()
    runtime.apply(other, facts.CancelRequested(at=runtime.now, by="b" * 1000, reason="r" * 10_000))

    assert done.changed
    assert (status_of(instance), status_of(other)) == ("completed", "cancelled")


def test_a_definition_is_read_and_parsed_once(postgresql: str, django_assert_num_queries: object) -> None:
    row = define(ONE)
    definitions = Definitions(2)

    with django_assert_num_queries(1):  # type: ignore[operator]
        first = definitions.get(row.pk)
        second = definitions.get(row.pk)

    assert first is second
    assert first.key == ("tests", "played", "1.0.0")


def test_the_definition_that_was_not_used_for_longest_is_forgotten_first(sqlite: str) -> None:
    rows = [define(ONE, name=f"n{number}") for number in range(3)]
    definitions = Definitions(2)
    a, b = definitions.get(rows[0].pk), definitions.get(rows[1].pk)

    definitions.get(rows[0].pk)
    definitions.get(rows[2].pk)

    assert definitions.get(rows[0].pk) is a
    assert definitions.get(rows[1].pk) is not b


def test_a_definition_that_no_row_holds_can_be_made_known() -> None:
    text = "document: {dsl: 1.0.3, namespace: n, name: w, version: 1.0.0}\n" + ONE
    definitions = Definitions(2)

    definitions.know(0, parse(text))

    assert definitions.get(0).key == ("n", "w", "1.0.0")


def test_who_waits_for_an_end_is_woken_and_forgotten() -> None:
    endings = Endings()

    with endings.expecting("i") as first, endings.expecting("i") as second, endings.expecting("other") as other:
        endings.announce("i")
        woken = (first.is_set(), second.is_set(), other.is_set())
    endings.announce("i")

    assert woken == (True, True, False)
    assert not endings._waiting

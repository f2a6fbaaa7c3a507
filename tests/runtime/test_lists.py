"""Lists of instances: their order, their pages, and what they find."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.runtimes import ONE, Runtime, define
from workflows import models
from workflows.runtime import listing
from workflows.runtime.audit import Actor
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.listing import InstanceFilter, Page, cursor_of, read_instances
from workflows.runtime.views import InstanceView

NOW = datetime(2026, 5, 1, tzinfo=UTC)
EVERYONE = Actor(name="tests", door="api")


def store(count: int, **values: Any) -> list[str]:
    """Store ended instances, each created a second after the one before; ids of no order."""
    known = models.Definition.objects.named("tests", "played") or define(ONE)
    at = values.pop("at", NOW)
    common = {
        "definition": known, "namespace": "tests", "workflow": "played", "version": "1.0.0", "status": "completed",
        "input": b"{}", **values,
    }  # fmt: skip
    times = [at + timedelta(seconds=number) for number in range(count)]
    made = models.Instance.objects.bulk_create(
        models.Instance(id=uuid4(), created_at=each, ended_at=each, **common) for each in times
    )
    models.Label.objects.bulk_create(
        models.Label(instance=each.pk, key=key, value=value, created_at=each.created_at)
        for each in made
        for key, value in each.labels.items()
    )
    return [str(each.pk) for each in made]


def page(limit: int = 50, cursor: str | None = None, actor: Actor = EVERYONE, **wanted: Any) -> Page[InstanceView]:
    return read_instances(InstanceFilter(**wanted), actor=actor, limit=limit, cursor=cursor)


def ids(found: Page[InstanceView]) -> list[str]:
    return [view.id for view in found.items]


def test_the_newest_comes_first_whatever_its_id_is(runtime: Runtime) -> None:
    made = store(20)

    assert ids(page()) == made[::-1]


def test_pages_hold_each_instance_once_also_those_of_one_moment(runtime: Runtime) -> None:
    made = {*store(3), *(one for _ in range(7) for one in store(1, at=NOW + timedelta(hours=1)))}

    found, cursor = [], None
    while True:
        part = page(limit=2, cursor=cursor)
        found += ids(part)
        if (cursor := part.next) is None:
            break

    assert len(found) == 10
    assert set(found) == made


def test_each_filter_finds_its_own_alone_and_with_others(runtime: Runtime) -> None:
    [plain] = store(1)
    [faulted] = store(1, status="faulted", problem_type="https://example.com/errors/timeout")
    [labelled] = store(1, labels={"team": "blue", "a__b": "1"})
    [other] = store(1, workflow="other", version="2.0.0", labels={"team": "blue"}, status="cancelled")
    [quiet] = store(1, namespace="quiet", labels={"team": "blue"}, at=NOW - timedelta(days=1))

    assert ids(page(status="failed")) == ids(page(error="timeout")) == [faulted]
    assert ids(page(error="https://example.com/errors/timeout", status="faulted")) == [faulted]
    assert ids(page(error="timeout", status="cancelled")) == ids(page(error="out")) == []
    assert set(ids(page(status="completed", workflow="tests/played"))) == {plain, labelled}
    assert ids(page(workflow="tests/other")) == ids(page(version="2.0.0")) == ids(page(status="cancelled")) == [other]
    assert set(ids(page(labels={"team": "blue"}))) == {labelled, other, quiet}
    assert ids(page(labels={"team": "blue", "a__b": "1"})) == ids(page(labels={"a__b": "1"})) == [labelled]
    assert ids(page(labels={"team": "blue"}, status="cancelled")) == [other]
    assert ids(page(labels={"team": "blue"}, until=NOW)) == ids(page(until=NOW)) == [quiet]
    assert ids(page(labels={"team": "blue"}, workflow="quiet/played", since=NOW)) == []


@pytest.mark.parametrize("namespaces", [{"quiet"}, {"quiet", "none"}])
def test_an_actor_sees_their_namespaces_only_whatever_they_ask_for(runtime: Runtime, namespaces: set[str]) -> None:
    store(3, labels={"team": "blue"}, status="faulted", problem_type="timeout")
    own = store(1, namespace="quiet", labels={"team": "blue"}, status="faulted", problem_type="timeout")
    limited = Actor(name="ada", door="api", namespaces=frozenset(namespaces))

    for wanted in ({}, {"labels": {"team": "blue"}}, {"status": "faulted"}, {"error": "timeout"}):
        assert ids(page(actor=limited, **wanted)) == own
    assert ids(page(actor=limited, workflow="tests/played")) == []
    assert ids(page(actor=Actor(name="eve", door="api", namespaces=frozenset()))) == []


def test_what_few_have_among_many_is_found_by_going_on_from_a_page_that_ended_early(runtime: Runtime) -> None:
    [rare] = store(1, version="2.0.0")
    store(listing.MOST_READ, at=NOW + timedelta(days=1))

    first = page(version="2.0.0")
    second = page(version="2.0.0", cursor=first.next)

    assert (ids(first), ids(second), second.next) == ([], [rare], None)


def test_a_page_that_passed_others_over_goes_on_behind_its_last_instance(runtime: Runtime) -> None:
    wanted = [one for _ in range(5) for one in (*store(1, version="2.0.0", at=NOW), *store(0))]
    store(listing.WINDOW, at=NOW - timedelta(days=1))

    first = page(limit=3, version="2.0.0")
    second = page(limit=3, version="2.0.0", cursor=first.next)

    assert len(ids(first)) == 3
    assert {*ids(first), *ids(second)} == set(wanted)
    assert second.next is None


def test_labels_are_found_as_soon_as_their_instance_is_there(runtime: Runtime) -> None:
    define(ONE)
    first = runtime.start(labels='{"team":"blue","0":"1"}')
    second = runtime.start(labels='{"team":"blue"}', idempotency_key="k", may_exist=True)
    runtime.start(labels='{"team":"red"}', idempotency_key="k", may_exist=True)
    runtime.start()

    assert ids(page(labels={"team": "blue"})) == [second, first]
    assert ids(page(labels={"0": "1"})) == [first]
    assert ids(page(labels={"team": "red"})) == []
    assert models.Label.objects.count() == 3


@pytest.mark.parametrize("text", ["", "x", f"{UUID(int=1)}", f"1 {UUID(int=1)} 2", f"-1 {UUID(int=1)}", "9" * 18])
def test_a_cursor_of_another_list_is_refused(runtime: Runtime, text: str) -> None:
    with pytest.raises(InvalidRequestError, match="cursor"):
        page(cursor=cursor_of(text) or "-")

"""Definitions as people manage them: what is immutable, in which order versions come, who sees what is new."""

import random
from collections.abc import Iterator
from threading import Barrier

import pytest
from django.db import connection

from tests.doors import ECHO, ROOT, SLEEPER, start, text_of
from tests.doors import register as register_text
from tests.runtimes import Beside
from workflows import models
from workflows.runtime import operations, process
from workflows.runtime.errors import ConflictError, InvalidRequestError, NotFoundError
from workflows.runtime.operations import Actor
from workflows.runtime.registrations import version_key

ORDERED = [
    "0.0.1", "0.2.0", "0.10.0", "1.0.0-0", "1.0.0-2", "1.0.0-10", "1.0.0-2a", "1.0.0-Beta", "1.0.0-alpha",
    "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-alpha-1", "1.0.0-alpha0", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
    "1.0.0-rc.1", "1.0.0-rc.1.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0-rc.1", "2.0.0", "10.0.0",
    "123456789012345678901234567890.0.0",
]  # fmt: skip
"""As the specification of semantic versions orders them."""


@pytest.fixture(autouse=True)
def doors(database: str) -> Iterator[None]:
    yield
    process.end()


def test_versions_come_in_the_order_of_semantic_versions() -> None:
    shuffled = random.Random(7).sample(ORDERED, len(ORDERED))

    assert sorted(shuffled, key=version_key) == ORDERED


def test_a_build_number_does_not_count() -> None:
    assert version_key("1.0.0+build.5") == version_key("1.0.0")
    assert version_key("1.0.0-rc.1+5") == version_key("1.0.0-rc.1")


def test_the_order_is_the_same_whatever_language_the_database_sorts_by() -> None:
    if connection.vendor != "postgresql":
        return
    keys = [version_key(version) for version in ORDERED]

    for collation in ("C", "en-US-x-icu", "cs-x-icu", "und-x-icu"):
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT v FROM unnest(%s::text[]) v ORDER BY v COLLATE "{collation}"', (keys[::-1],))
            assert [key for (key,) in cursor.fetchall()] == keys, collation


def test_latest_is_the_highest_version_and_not_the_newest() -> None:
    for version in ("1.10.0", "1.9.0", "1.10.0-rc.1", "2.0.0-alpha", "1.2.0"):
        register_text(ECHO, version=version)

    assert operations.find_definition("tests", "echo", actor=ROOT).version == "2.0.0-alpha"
    operations.delete_definition("tests", "echo", "2.0.0-alpha", actor=ROOT)
    assert operations.find_definition("tests", "echo", actor=ROOT).version == "1.10.0"


def test_what_was_just_registered_counts_here_at_once() -> None:
    register_text(ECHO)
    assert start().version == "1.0.0"

    register_text(ECHO, version="1.1.0")

    assert start().version == "1.1.0"


def test_a_version_is_immutable() -> None:
    register_text(ECHO)

    with pytest.raises(ConflictError, match=r"tests/echo:1\.0\.0"):
        register_text(SLEEPER)

    assert operations.register(text_of(ECHO).encode(), actor=ROOT).created is False
    assert models.Definition.objects.count() == 1


def test_a_forced_replacement_leaves_the_old_text_to_who_runs_by_it() -> None:
    register_text(SLEEPER)
    old = start()

    operations.register(text_of(ECHO).encode(), actor=ROOT, force=True)

    assert start().status == "completed"
    assert operations.get_instance(old.id, actor=ROOT).status == "waiting"
    assert models.Definition.objects.current().count() == 1
    assert models.Definition.objects.count() == 2


def test_two_who_register_different_texts_at_once_are_settled_by_the_unique_key(beside: Beside) -> None:
    barrier = Barrier(2)

    def register(body: str) -> object:
        barrier.wait()
        try:
            return operations.register(text_of(body).encode(), actor=ROOT).created
        except ConflictError:
            return "conflict"

    answers = [each.result() for each in [beside.run(register, body) for body in (ECHO, SLEEPER)]]

    assert sorted(map(str, answers)) == ["True", "conflict"]
    assert models.Definition.objects.current().count() == 1


def test_two_who_register_one_text_at_once_both_have_it(beside: Beside) -> None:
    barrier = Barrier(2)

    def register() -> bool:
        barrier.wait()
        return operations.register(text_of(ECHO).encode(), actor=ROOT).created

    answers = [each.result() for each in [beside.run(register) for _ in range(2)]]

    assert sorted(answers) == [False, True]


def test_a_definition_is_not_deleted_while_instances_of_it_are_open_unless_by_force() -> None:
    register_text(SLEEPER)
    instance = start()

    with pytest.raises(ConflictError, match="1 instances"):
        operations.delete_definition("tests", "echo", "1.0.0", actor=ROOT)
    operations.delete_definition("tests", "echo", "1.0.0", actor=ROOT, force=True)

    with pytest.raises(NotFoundError):
        start()
    assert operations.get_instance(instance.id, actor=ROOT).status == "waiting"


def test_a_foreign_namespace_does_not_exist() -> None:
    register_text(ECHO)
    stranger = Actor(name="s", door="api", namespaces=frozenset({"other"}))

    with pytest.raises(NotFoundError):
        operations.find_definition("tests", "echo", actor=stranger)
    with pytest.raises(NotFoundError):
        operations.register(text_of(ECHO).encode(), actor=stranger)
    assert operations.list_definitions(actor=stranger, limit=9, cursor=None).items == []


def test_what_was_done_is_audited_by_whom_also_when_the_name_is_long() -> None:
    actor = Actor(name="key " + "n" * 150, door="api")
    operations.register(text_of(SLEEPER).encode(), actor=actor)
    instance = start()

    operations.suspend(instance.id, actor=actor, reason="a pause")  # type: ignore[arg-type]

    entries = list(models.AuditEntry.objects.order_by("pk").values_list("action", "by", "reason", "door"))
    assert entries == [
        ("definition.register", actor.name[:150], "", "api"),
        ("instance.suspend", actor.name[:150], "a pause", "api"),
    ]
    assert operations.get_instance(instance.id, actor=ROOT).status == "suspended"


def test_a_version_that_no_column_holds_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="255"):
        register_text(ECHO, version="1.0.0-" + "a" * 250)
    register_text(ECHO, version="1.0.0-" + "a" * 249)

"""Parsed definitions that a process remembers."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.runtimes import ONE, define
from workflows.runtime.definitions import Definitions

pytestmark = pytest.mark.usefixtures("database")

Queries = Callable[[int], AbstractContextManager[object]]


@pytest.mark.parametrize(("size", "seconds", "queries"), [(10, 3600.0, 1), (0, 3600.0, 2), (10, 0.0, 2)])
def test_a_definition_is_read_again_only_when_it_is_not_remembered(
    django_assert_num_queries: Queries, size: int, seconds: float, queries: int
) -> None:
    definitions, row = Definitions(size, seconds), define(ONE)

    with django_assert_num_queries(queries):
        assert definitions.get(row.pk).key == definitions.get(row.pk).key == ("tests", "played", "1.0.0")


def test_the_least_recently_used_is_read_again(django_assert_num_queries: Queries) -> None:
    definitions = Definitions(2)
    one, two, three = (define(ONE, name=name).pk for name in ("one", "two", "three"))

    for identifier in (one, two, one, three):
        definitions.get(identifier)

    with django_assert_num_queries(0):
        definitions.get(one)
    with django_assert_num_queries(1):
        definitions.get(two)

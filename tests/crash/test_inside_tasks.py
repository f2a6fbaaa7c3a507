"""Processes are killed while every sort of task is under way."""

from collections.abc import Sequence

import pytest

from tests.crash.every_sort import begun_again, kill_inside
from tests.crash.harness import Installation
from tests.crash.stub import Stub


@pytest.mark.parametrize("victims", [("http", "compute"), ("web", "http", "compute", "maintenance")])
def test_a_kill_inside_any_sort_of_task_loses_nothing_and_repeats_nothing_that_was_committed(
    installation: Installation, stub: Stub, victims: Sequence[str]
) -> None:
    undisturbed, counts, events = kill_inside(installation, stub, victims=())

    disturbed, counts_of_disturbed, events_of_disturbed = kill_inside(installation, stub, victims=victims)

    assert disturbed == undisturbed
    assert counts_of_disturbed == {path: count + begun_again(path) for path, count in counts.items()}
    assert events_of_disturbed == events

"""The collector's modes, each in a process of its own: what they change cannot be changed back."""

import subprocess
import sys

import pytest

SHOW = """
import gc, logging, sys
from workers.garbage import settle
settle({strategy!r}, {pause})
print(gc.get_freeze_count() > 1000, *gc.get_threshold())
circles = [[] for _ in range(200_000)]
for each in circles:
    each.append(each)
gc.collect()
"""

TOLD = """
import threading
told = threading.Event()
class Teller(logging.Handler):
    def emit(self, record):
        print(record.getMessage(), record.generation)
        told.set()
logging.getLogger("lemline.garbage").addHandler(Teller())
"""


def run(strategy: str, pause: int | None = None, *, before: str = "", after: str = "") -> str:
    code = before + SHOW.format(strategy=strategy, pause=pause) + after
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not ended.stderr
    return ended.stdout.strip()


@pytest.mark.parametrize(
    ("strategy", "seen"),
    [
        ("freeze", "True 20000 20 20"),
        ("G1GC", "True 20000 20 20"),
        ("throughput", "True 200000 50 100"),
        ("ParallelGC", "True 200000 50 100"),
        ("default", "False 700 10 10"),
        ("SerialGC", "False 700 10 10"),
    ],
)
def test_a_strategy_says_what_is_frozen_and_how_often_is_looked(strategy: str, seen: str) -> None:
    assert run(strategy) == seen


def test_a_collection_over_its_goal_is_logged_with_its_generation() -> None:
    assert "gc.pause 2" in run("default", 1, before=f"import logging{TOLD}", after="assert told.wait(30)")


def test_without_a_goal_no_pause_is_measured() -> None:
    assert run("default", after="print(gc.callbacks)").endswith("[]")

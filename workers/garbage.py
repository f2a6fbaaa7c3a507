"""Python's collector of cycles, told what a long-lived process is like."""

import gc

THRESHOLDS = (20_000, 20, 20)
"""A step makes few cycles and many objects: at Python's own 700, looking for cycles was a tenth of a worker's time."""


def settle() -> None:
    """Leave out of every later collection what is there now: modules and their like stay until the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)

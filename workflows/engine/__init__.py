"""State and fact in, state and commands out. No clock, no randomness, no I/O, no Django."""

from workflows.engine.advance import advance
from workflows.engine.codec import Glance, decode_state, encode_state, glance_at
from workflows.engine.data import Data
from workflows.engine.state import State, Wait, new_state
from workflows.engine.step import Mark, PhaseChange, Step, TaskRun

__all__ = [
    "Data",
    "Glance",
    "Mark",
    "PhaseChange",
    "State",
    "Step",
    "TaskRun",
    "Wait",
    "advance",
    "decode_state",
    "encode_state",
    "glance_at",
    "new_state",
]

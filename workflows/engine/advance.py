"""The engine's one door: a fact reaches an instance."""

from workflows.dsl.model import Definition
from workflows.engine.facts import Fact
from workflows.engine.state import State
from workflows.engine.step import Step


def advance(definition: Definition, state: State, fact: Fact) -> Step:
    """Apply one fact."""
    raise NotImplementedError

"""Text to definition. Pure: no Django, no clock, no files."""

from workflows.dsl.issues import DefinitionError, DefinitionIssue
from workflows.dsl.model import Definition
from workflows.dsl.parse import parse

__all__ = ["Definition", "DefinitionError", "DefinitionIssue", "parse"]

"""Registered texts as plain values, for the doors."""

from workflows.dsl.jsontext import Json, JsonError, decode
from workflows.dsl.yamltext import load


def document_of(text: str) -> Json:
    """Return the document of a registered text. JSON is read as JSON: YAML spells some of its escapes differently."""
    try:
        return decode(text)
    except JsonError:
        return load(text)

"""JSON data in both its forms, value and text, each made when it is first asked for.

Tasks hand data on without looking into it more often than not. One `Data` is then shared by every
frame that holds it: read from the stored state it stays text, and encoded it is encoded once, for the
checkpoint and the history alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json


class _Unset:
    """Stands where a form has not been made; `None` is JSON's null."""


_UNSET = _Unset()


class Data:
    """An immutable JSON document. Whoever takes its value must not change it."""

    __slots__ = ("_text", "_value")

    def __init__(self, value: Json = _UNSET, text: bytes | None = None) -> None:
        self._value = value
        self._text = text

    def is_written(self, text: bytes) -> None:
        """Learn the text, which stands apart from where a stored state first speaks of the document."""
        self._text = text

    @classmethod
    def array(cls, items: Sequence[Data]) -> Data:
        """Return the array of these documents, their texts reused."""
        return cls(text=b"[" + b",".join([item.text for item in items]) + b"]")

    @property
    def value(self) -> Json:
        """The document as Python values.

        Raises:
            jsontext.JsonError: It was made from a text that is not JSON.
        """
        if self._value is _UNSET:
            self._value = jsontext.decode(self.text)
        return self._value

    @property
    def text(self) -> bytes:
        """The document as compact JSON text, UTF-8."""
        if self._text is None:
            self._text = jsontext.encode(self._value)
        return self._text

    def __repr__(self) -> str:
        return f"Data({self.text[:80]!r})"

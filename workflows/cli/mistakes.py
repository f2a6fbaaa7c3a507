"""Mistakes in a text, one line each, in the form that editors and terminals make clickable."""

from collections.abc import Mapping

from workflows.dsl.jsontext import Json


def line_of(mistake: object, *, file: str = "") -> str:
    """Return `file:line:column: pointer: message (hint)`; what is unknown is left out."""
    fields = fields_of(mistake)
    place = [str(part) for part in (file, fields.get("line"), fields.get("column")) if part]
    where = ":".join(place)
    subject = fields.get("pointer") or fields.get("parameter")
    parts = [str(part) for part in (where, subject, fields.get("message")) if part]
    text = ": ".join(parts)
    hint, allowed = fields.get("hint"), fields.get("allowed")
    if isinstance(allowed, list):
        allowed = ", ".join(map(str, allowed))
    notes = [str(note) for note in (hint, f"allowed: {allowed}" if allowed else None) if note]
    return f"{text} ({'; '.join(notes)})" if notes else text


def fields_of(mistake: object) -> Mapping[str, Json]:
    """Return a mistake as a mapping, however the part that found it spells it."""
    if isinstance(mistake, Mapping):
        return mistake
    names = ("pointer", "position", "line", "column", "message", "hint")
    fields = {name: getattr(mistake, name) for name in names if hasattr(mistake, name)}
    return fields or {"message": str(mistake)}

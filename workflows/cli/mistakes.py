"""Mistakes in a text, one line each, in the form that editors and terminals make clickable."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

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


def mistake_to_json(mistake: object) -> dict[str, Json]:
    """Return a mistake for programs: what is known of it."""
    fields = fields_of(mistake)
    names = {"position": "pointer", **{name: name for name in fields}}
    return {names[name]: _plain(value) for name, value in fields.items() if value not in (None, "")}


def _plain(value: object) -> Json:
    return value if isinstance(value, (bool, int, list)) else str(value)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the known name that is most like this one, or nothing."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def fields_of(mistake: object) -> Mapping[str, Json]:
    """Return a mistake as a mapping, however the part that found it spells it."""
    if isinstance(mistake, Mapping):
        return mistake
    names = ("pointer", "position", "line", "column", "message", "hint")
    fields = {name: getattr(mistake, name) for name in names if hasattr(mistake, name)}
    return fields or {"message": str(mistake)}

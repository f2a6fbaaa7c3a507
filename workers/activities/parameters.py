"""Parameters of an OpenAPI operation: each in its place, in the form that the document says."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from workers.activities.calls import failure
from workers.activities.http import spelled
from workflows.dsl.jsontext import Json

_SEPARATORS = {
    "csv": ",", "ssv": " ", "tsv": "\t", "pipes": "|", "form": ",", "spaceDelimited": " ", "pipeDelimited": "|",
}  # fmt: skip
"""`collectionFormat` of Swagger and `style` of OpenAPI to what stands between the items of an array."""


class Parts:
    """The parts of a request, as parameters are put in their places."""

    def __init__(self, path: str, left: dict[str, Json]) -> None:
        self.path = path
        self.query: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self.left = left
        """What found no place: the body."""

        self._body: list[Json] = []
        self._form: dict[str, Json] = {}
        self._cookies: list[str] = []

    def place(self, parameter: Mapping[str, Any], operation: str) -> None:
        """Put one parameter where it belongs. ActivityError (`validation`) when it is missing and needed."""
        name, place = str(parameter.get("name")), parameter.get("in")
        if self.left.get(name) is None:
            if place == "path" or (parameter.get("required") and place != "body"):
                raise failure("validation", f"the operation {operation} needs the parameter {name!r}")
            if name not in self.left or place != "body":
                # null leaves a parameter out, as it does in a query.
                self.left.pop(name, None)
                return
        value = self.left.pop(name)
        match place:
            case "path":
                self.path = self.path.replace(f"{{{name}}}", quote(_listed(value), safe=","))
            case "query":
                self.query.extend(_pairs(name, value, parameter))
            case "header":
                self.headers[name] = _listed(value)
            case "cookie":
                self._cookies.append(f"{name}={quote(spelled(value))}")
                self.headers["Cookie"] = "; ".join(self._cookies)
            case "formData":
                self._form[name] = value
                self.headers["Content-Type"] = "application/x-www-form-urlencoded"
            case _:
                self._body.append(value)

    def has_body(self) -> bool:
        """Return whether anything goes into a body."""
        return bool(self._form or self._body or self.left)

    def body(self) -> Json:
        """Return the body: the form, the body parameter, the one called `body`, or all that is left."""
        if self._form:
            return self._form
        if self._body:
            return self._body[0]
        return self.left["body"] if set(self.left) == {"body"} else self.left


def _listed(value: Json) -> str:
    """Return a value as text: the items of an array joined by commas."""
    return ",".join(map(spelled, value)) if isinstance(value, list) else spelled(value)


def _pairs(name: str, value: Json, parameter: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a query parameter's pairs: an array is repeated or joined, an object spread, as the document says."""
    style = str(parameter.get("collectionFormat") or parameter.get("style") or "")
    explode = style == "multi" or bool(parameter.get("explode", "schema" in parameter and style in ("", "form")))
    if isinstance(value, Mapping) and style == "deepObject":
        return [(f"{name}[{key}]", spelled(each)) for key, each in value.items()]
    if isinstance(value, Mapping) and "schema" in parameter and explode:
        return [(key, spelled(each)) for key, each in value.items()]
    if not isinstance(value, list):
        return [(name, spelled(value))]
    texts = [spelled(each) for each in value]
    return [(name, text) for text in texts] if explode else [(name, _SEPARATORS.get(style, ",").join(texts))]

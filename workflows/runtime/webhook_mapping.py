"""What makes a CloudEvent of the JSON that was posted to a webhook: a template for each attribute and for the data.

In the expressions `.` is the JSON, `$headers` are the headers by name in small letters, `$query` are the parameters.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from workflows.dsl.cloud_events import IDENTIFYING, NUMBERS
from workflows.dsl.expression import (
    ArrayTemplate,
    Expression,
    ExpressionSyntaxError,
    Interpolation,
    Literal,
    ObjectTemplate,
    Template,
    mistakes,
    parse_expression,
    parse_template,
    variables,
)
from workflows.dsl.jsontext import Json, encode
from workflows.engine import expressions
from workflows.engine.problems import ProblemError
from workflows.runtime.errors import InvalidRequestError
from workflows.runtime.views import instant

VARIABLES = ("headers", "query")
SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
"""They let somebody in: no expression reads them, so that no event carries them."""

_NAME = re.compile(r"[a-z0-9]{1,20}")
"""Source: CloudEvents 1.0, "Naming Conventions"."""

_ATTRIBUTES = frozenset({"id", "source", "type", "subject", "time", "datacontenttype", "dataschema"})
_OURS = {"specversion": "is 1.0 in each event", "data_base64": "is not for JSON, which goes into data"}


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A request to a webhook, as its mapping sees it."""

    body: bytes
    value: Json
    """The body as JSON."""

    headers: Mapping[str, str]
    """By name in small letters."""

    query: Mapping[str, str]
    message_id: str
    """The id that the sender gave it, the same when it is sent again; empty where it gave none."""

    at: datetime

    def scope(self) -> Mapping[str, Json]:
        """Return what expressions read besides the body."""
        readable = {name: text for name, text in self.headers.items() if name not in SECRET_HEADERS}
        return {"headers": readable, "query": dict(self.query), "now": self.at.timestamp()}


@dataclass(frozen=True, kw_only=True)
class EventTemplate:
    """What a webhook makes of what is posted, read and checked."""

    attributes: Mapping[str, Template]
    """Attribute of the CloudEvent, or `data`, to what it is."""

    when: Expression | None
    """Whether there is an event at all."""


def parse_mapping(mapping: Mapping[str, Json], when: str) -> EventTemplate:
    """Return what a webhook says, ready for use.

    Args:
        mapping: Attribute, or `data`, to a value that may hold `${ }`. `type` has to be there.
        when: A condition; empty for always.

    Raises:
        InvalidRequestError: With every mistake and its pointer.
    """
    errors: list[dict[str, object]] = [
        {"pointer": f"/mapping/{name}", "message": message} for name, message in _misnamed(mapping)
    ]
    if "type" not in mapping:
        errors.append({"pointer": "/mapping", "message": "type is missing: it says what has happened"})
    attributes: dict[str, Template] = {}
    condition = None
    for name, value in mapping.items():
        try:
            attributes[name] = parse_template(value)
        except ExpressionSyntaxError as error:
            errors.append({"pointer": f"/mapping/{name}", "message": str(error)})
    try:
        condition = parse_expression(when) if when else None
    except ExpressionSyntaxError as error:
        errors.append({"pointer": "/when", "message": str(error)})
    found = [(f"/mapping/{name}", each) for name, template in attributes.items() for each in _expressions(template)]
    errors += _unfit(found + ([("/when", condition)] if condition else []))
    if errors:
        said = "; ".join(f"{error['pointer']}: {error['message']}" for error in errors)
        raise InvalidRequestError(f"The webhook cannot be read: {said}.", errors=tuple(errors))
    return EventTemplate(attributes=attributes, when=condition)


def _misnamed(mapping: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for name in mapping:
        if name in _OURS:
            yield name, _OURS[name]
        elif not _NAME.fullmatch(name):
            yield name, "an attribute of a CloudEvent is named by 1 to 20 small letters and digits"


def _expressions(template: Template) -> Iterator[Expression]:
    match template:
        case Expression():
            yield template
        case Interpolation(parts):
            yield from (part for part in parts if isinstance(part, Expression))
        case ObjectTemplate(members):
            for _, member in members:
                yield from _expressions(member)
        case ArrayTemplate(items):
            for item in items:
                yield from _expressions(item)
        case _:
            pass


def _unfit(found: list[tuple[str, Expression]]) -> Iterator[dict[str, object]]:
    for place, expression in found:
        unknown = sorted(variables(expression) - set(VARIABLES))
        if unknown:
            there = " and ".join(f"${name}" for name in VARIABLES)
            yield {"pointer": place, "message": f"${unknown[0]} is not defined here; there are {there}"}
    known = [(place, each) for place, each in found if not variables(each) - set(VARIABLES)]
    for place, error in mistakes(known):
        yield {"pointer": place, "message": f"{error}{f' ({error.hint})' if error.hint else ''}"}


def event_of(template: EventTemplate, posted: Posted, *, name: str) -> dict[str, Json] | None:
    """Return the CloudEvent in JSON format; None where the webhook's condition does not hold.

    Without an `id` of its own, the event has the sender's id of the message, else one that follows from the body: the
    same body posted twice is one event.

    Raises:
        InvalidRequestError: An expression fails on this body, or an attribute is not what it has to be.
    """
    scope = posted.scope()
    if template.when is not None and not _holds(template.when, posted.value, scope):
        return None
    event = {
        "specversion": "1.0",
        "id": posted.message_id or f"sha256:{hashlib.sha256(posted.body).hexdigest()}",
        "source": f"/api/v1/hooks/{name}",
        "time": instant(posted.at.astimezone(UTC)),
        "datacontenttype": "application/json",
        "data": posted.value,
    }
    for attribute, part in template.attributes.items():
        value = _rendered(attribute, part, posted.value, scope)
        event[attribute] = value if attribute == "data" else _attribute(attribute, value)
    # Null is no value of an attribute: one that is not there.
    event = {key: value for key, value in event.items() if value is not None or key == "data"}
    for attribute in IDENTIFYING:
        if not event.get(attribute):
            raise _no_event(attribute, "is empty for this body")
    return event


def _holds(condition: Expression, value: Json, scope: Mapping[str, Json]) -> bool:
    try:
        return expressions.test(condition, value, scope)
    except ProblemError as error:
        message = str(error)
        raise InvalidRequestError(
            f"The webhook's condition fails on this body: {message}.",
            errors=({"pointer": "/when", "message": message},),
        ) from error


def _rendered(attribute: str, template: Template, value: Json, scope: Mapping[str, Json]) -> Json:
    if isinstance(template, Literal):
        return template.value
    try:
        return expressions.render(template, value, scope)
    except ProblemError as error:
        raise _no_event(attribute, str(error)) from error


def _attribute(attribute: str, value: Json) -> Json:
    """Return a value as CloudEvents have it: numbers in what is text by its nature, such as an id, become texts."""
    if isinstance(value, dict | list):
        raise _no_event(attribute, f"has to be a text, not {'an object' if isinstance(value, dict) else 'an array'}")
    if value is None or isinstance(value, str):
        return value
    is_whole = isinstance(value, int) and (isinstance(value, bool) or value in NUMBERS)
    return value if is_whole and attribute not in _ATTRIBUTES else encode(value).decode()


def _no_event(attribute: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The webhook makes no event of this body: {attribute} {message}.",
        errors=({"pointer": f"/mapping/{attribute}", "message": message},),
    )

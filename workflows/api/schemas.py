"""What routes take and give, as types: they check requests and make the OpenAPI document.

Answers are described here and written elsewhere, from bytes (`bodies.py`): no model stands between
a workflow's value and the caller.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel

from workflows.dsl.jsontext import Json
from workflows.runtime.errors import InvalidRequestError

MAX_WAIT_SECONDS = 60
MAX_PAGE = 500

_LABEL = re.compile(r"[^:\s][^:]*:.*", re.DOTALL)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d\D.+|\d{4}-\d\d-\d\d")


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError("a label is written key:value")
    return text


def _moment_text(value: Json) -> Json:
    """A number would be taken for seconds since 1970, and a year for one."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("a time is ISO 8601 text, such as 2026-01-31T12:00:00Z")
    return value


def _utc(moment: datetime) -> datetime:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time lies in the years 1 to 9999") from error


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a NUL is not possible here")
    return text


def _duration_text(value: Json) -> Json:
    if not isinstance(value, str) or not value.startswith("P"):
        raise ValueError("a duration is ISO 8601 text, such as PT15M")
    return value


def labels_of(texts: list[str]) -> dict[str, str]:
    """Return `["k:v"]` as `{"k": "v"}`."""
    return dict(text.split(":", 1) for text in texts)


Label = Annotated[str, AfterValidator(_label)]
Moment = Annotated[datetime, BeforeValidator(_moment_text), AfterValidator(_utc)]
"""ISO 8601; UTC when it says nothing else."""

IsoDuration = Annotated[timedelta, BeforeValidator(_duration_text)]
Text = Annotated[str, AfterValidator(_without_nul)]
WaitSeconds = Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False)]
Priority = Annotated[int, Field(description="1 is the most urgent; `lemline.execution.prioritization.levels`")]


class Params(BaseModel):
    """Parameters of a query. Names that the route does not know are refused, not ignored."""

    model_config = ConfigDict(alias_generator=AliasGenerator(alias=to_camel), populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown(cls, data: Json, info: ValidationInfo) -> Json:
        """Compare with the query itself, since the framework hands over known names only."""
        if info.context is not None:
            query = info.context["request"].GET
            _refuse_unknown(query, frozenset(field.alias or name for name, field in cls.model_fields.items()))
            _refuse_nul(query.lists())
        return data


def _refuse_unknown(given: Iterable[str], names: frozenset[str]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        allowed = sorted(names)
        raise InvalidRequestError(
            f"There is no parameter {', '.join(unknown)} here; allowed: {', '.join(allowed) or 'none'}.",
            errors=tuple({"parameter": name, "message": "unknown", "allowed": allowed} for name in unknown),
        )


def _refuse_nul(given: Iterable[tuple[str, list[str]]]) -> None:
    found = [name for name, values in given if any("\x00" in value for value in values)]
    if found:
        raise InvalidRequestError(
            f"A NUL is not possible in {', '.join(found)}.",
            errors=tuple({"parameter": name, "message": "a NUL is not possible here"} for name in found),
        )


def without_parameters(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Have a route refuse every parameter of a query: the framework cannot read a `Params` without fields."""

    @wraps(view)
    def checked(request: HttpRequest, **path: str) -> HttpResponse:
        _refuse_unknown(request.GET, frozenset())
        return view(request, **path)

    return checked


class PageParams(Params):
    """Parameters of every list."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    cursor: str | None = None


class RegisterParams(Params):
    """Of `POST /workflows`."""

    force: bool = False
    dry_run: Annotated[bool, Field(alias="dry_run")] = False


class DefinitionsParams(PageParams):
    """Of the list of definitions."""

    namespace: str | None = None
    name: str | None = None


class DefinitionParams(Params):
    """Of one definition."""

    format: Literal["yaml", "json"] | None = None


class ForceParams(Params):
    """Of a deletion."""

    force: bool = False


class WaitParams(Params):
    """Of one instance."""

    wait: WaitSeconds = 0


class RunParams(Params):
    """Of a start whose body is the input."""

    wait: WaitSeconds | None = None
    priority: Priority | None = None
    label: list[Label] = []


class StartParams(Params):
    """Of a start with everything in the body."""

    wait: WaitSeconds | None = None


class InstancesParams(PageParams):
    """Filters of the list of instances."""

    workflow: Annotated[str, Field(pattern="^[^/]+/[^/]+$")] | None = None
    version: str | None = None
    status: str | None = None
    label: list[Label] = []
    since: Moment | None = None
    until: Moment | None = None
    error: str | None = None


class Body(BaseModel):
    """What is sent. Members that the route does not know are refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=AliasGenerator(alias=to_camel), populate_by_name=True)


class WorkflowRef(Body):
    """Which definition."""

    namespace: Text
    name: Text
    version: Text | None = None


class StartBody(Body):
    """A start with everything in the body."""

    workflow: WorkflowRef
    input: Any = None
    priority: Annotated[Priority, Field(strict=True)] | None = None
    labels: dict[str, str] = {}
    id: UUID | None = None
    start_at: Moment | None = None


class ReasonBody(Body):
    """Why."""

    reason: Annotated[Text, Field(max_length=2000)] = ""


class SuspendBody(ReasonBody):
    """Why, and when it goes on by itself."""

    resume_after: IsoDuration | None = None


class RetryBody(ReasonBody):
    """Where to go on, and with what."""

    from_: Annotated[Text, Field(alias="from", pattern="^(failed|beginning|/.*)$")] = "failed"
    input: Any = None


class KeyBody(Body):
    """A new API key."""

    name: Annotated[Text, Field(min_length=1, max_length=150)]
    role: Literal["viewer", "operator", "editor", "admin"]
    namespaces: list[Annotated[Text, Field(min_length=1, max_length=63)]] = []
    expires_at: Moment | None = None


class Answer(BaseModel):
    """What is answered, in the spelling of JSON."""

    model_config = ConfigDict(alias_generator=AliasGenerator(alias=to_camel), populate_by_name=True)


class ProblemAnswer(Answer):
    """RFC 7807."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, Any]] = []


class RegisteredAnswer(Answer):
    """A definition that is registered."""

    namespace: str
    name: str
    version: str
    digest: str
    warnings: list[dict[str, Any]]


class DefinitionItem(Answer):
    """A definition in a list."""

    namespace: str
    name: str
    version: str
    digest: str
    title: str
    summary: str
    created_at: datetime
    created_by: str


class DefinitionsAnswer(Answer):
    """A page of definitions."""

    items: list[DefinitionItem]
    next: str | None


class InstanceAnswer(Answer):
    """An instance."""

    id: UUID
    workflow: WorkflowRef
    status: str
    priority: int
    labels: dict[str, str]
    input: Any
    output: Any
    context: Any
    error: dict[str, Any] | None
    positions: list[str]
    parent: UUID | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class InstancesAnswer(Answer):
    """A page of instances."""

    items: list[InstanceAnswer]
    next: str | None


class HistoryAnswer(Answer):
    """What an instance has done and does."""

    tasks: list[dict[str, Any]]
    next: str | None
    phases: list[dict[str, Any]]


class KeyItem(Answer):
    """An API key, without its text."""

    id: int
    name: str
    prefix: str
    role: str
    namespaces: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class CreatedKeyAnswer(KeyItem):
    """An API key with its text, which is answered this once."""

    key: str


class KeysAnswer(Answer):
    """All API keys that the caller manages."""

    items: list[KeyItem]
    next: str | None


class QueueItem(Answer):
    """What waits for one pool."""

    pool: str
    depth: dict[str, int] | None
    consumers: int
    oldest_age_seconds: float | None


class QueuesAnswer(Answer):
    """Every pool."""

    items: list[QueueItem]
    next: str | None


def body_of(schema: type[BaseModel], *, required: bool = False) -> dict[str, Any]:
    """Return the OpenAPI description of a JSON body that a route reads from bytes by itself."""
    described = schema.model_json_schema(ref_template="{model}")
    parts = described.pop("$defs", {})
    content = {"application/json": {"schema": _whole(described, parts)}}
    return {"requestBody": {"required": required, "content": content}}


def _whole(part: Any, parts: Mapping[str, Any]) -> Any:
    """Return a description with its parts in place: it stands outside the document's components."""
    match part:
        case {"$ref": name}:
            return _whole(parts[name], parts)
        case dict():
            return {name: _whole(value, parts) for name, value in part.items()}
        case list():
            return [_whole(value, parts) for value in part]
        case _:
            return part


ANY_BODY = {"requestBody": {"required": False, "content": {"application/json": {"schema": {}}}}}
TEXT_BODY = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string"}} for kind in ("application/yaml", "application/json")},
    }
}

_ALWAYS = (400, 401, 403, 404, 405, 429, 500, 503)


def answers(success: dict[int, Any], *more: int) -> dict[int, Any]:
    """Return the answers of a route: these, these problems, and those that any route may give."""
    return {**success, **dict.fromkeys((*_ALWAYS, *more), ProblemAnswer)}

"""`call: openapi`: finds an operation in a document and sends its request.

Source: DSL reference, "OpenAPI Call"; docs/dsl.md 39: Swagger 2.0, OpenAPI 3.0 and 3.1.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from multidict import CIMultiDict

from workers.activities.calls import ActivityCall, ActivityResult, failure, members, required
from workers.activities.client import Request, shown
from workers.activities.http import body_of, built, endpoint_of, exchange, fetch, spelled
from workers.activities.parameters import Parts
from workflows.dsl import DefinitionError
from workflows.dsl.jsontext import Json
from workflows.dsl.yamltext import read

KEPT = 100
"""Documents remembered per process."""

KEPT_SECONDS = 300.0
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_REFERENCES = 20
"""How often a reference may lead to another one."""

_FORM = "application/x-www-form-urlencoded"


class OpenApiActivity:
    """Runs `call: openapi`."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, tuple[float, Document]] = OrderedDict()

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Find the operation, put the parameters where they belong, send the request."""
        arguments, public = call.revealed(), call.redacted()
        endpoint = required(required(arguments, "document"), "endpoint")
        document = await self._document(endpoint, public["document"]["endpoint"], call)
        operation = document.operation(str(required(arguments, "operationId")))
        request = operation.request(members(arguments.get("parameters"), "parameters"), call)
        seen = operation.request(members(public.get("parameters"), "parameters"), call)
        return await exchange(call, request, seen, arguments.get("authentication"))

    async def _document(self, endpoint: Json, public: Json, call: ActivityCall) -> "Document":
        """Return a document, remembered for a while unless it takes credentials to read it."""
        uri, policy = str(endpoint_of(endpoint).get("uri")), endpoint_of(endpoint).get("authentication")
        known = self._documents.get(uri)
        if known is not None and policy is None and time.monotonic() - known[0] < KEPT_SECONDS:
            return known[1]
        text = await fetch(call, endpoint, public)
        named = shown(spelled(endpoint_of(public).get("uri")))
        document = await asyncio.to_thread(_parsed, text, uri, named, call.limits.response_bytes)
        if policy is None:
            self._documents[uri] = (time.monotonic(), document)
            self._documents.move_to_end(uri)
            while len(self._documents) > KEPT:
                self._documents.popitem(last=False)
        return document


def _parsed(text: bytes, address: str, named: str, limit: int) -> "Document":
    try:
        found = read(text, limit).value
    except DefinitionError as error:
        raise failure("communication", f"{named} is neither JSON nor YAML: {error.errors[0]}", status=502) from error
    if not isinstance(found, Mapping) or not ({"swagger", "openapi"} & found.keys()):
        raise failure("configuration", f"{named} is no OpenAPI document")
    return Document(found, address, named)


class Document:
    """Swagger 2.0 or OpenAPI 3.

    Args:
        value: What it says.
        address: Where it came from; relative servers are resolved against it.
        named: The same for people.
    """

    def __init__(self, value: Mapping[str, Any], address: str, named: str) -> None:
        self.value = value
        self.address = address
        self.named = named
        self._operations = {str(each.details.get("operationId")): each for each in self._found()}

    def operation(self, name: str) -> "Operation":
        """Return the operation of this `operationId`. ActivityError (`configuration`) without one."""
        found = self._operations.get(name)
        if found is None:
            known = ", ".join(sorted(self._operations)[:20]) or "none"
            raise failure("configuration", f"{self.named} has no operation {name!r}; it has {known}")
        return found

    def _found(self) -> "Iterator[Operation]":
        for path, given in _object(self.value.get("paths")).items():
            item = _object(self.resolved(given))
            for method in METHODS:
                details = _object(item.get(method))
                if "operationId" in details:
                    yield Operation(document=self, path=path, method=method.upper(), item=item, details=details)

    def resolved(self, value: Any) -> Any:
        """Return a value, or what it refers to. ActivityError (`configuration`) for a reference into the void."""
        for _ in range(_REFERENCES):
            if not isinstance(value, Mapping) or "$ref" not in value:
                return value
            value = self._referred(str(value["$ref"]))
        raise failure("configuration", f"references in {self.named} go round in circles")

    def _referred(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise failure("configuration", f"{self.named} refers to another document: {reference}")
        found: Any = self.value
        for part in reference[2:].split("/"):
            found = _object(found).get(part.replace("~1", "/").replace("~0", "~"))
        if found is None:
            raise failure("configuration", f"{self.named} refers to {reference}, which it lacks")
        return found


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One operation of a document."""

    document: Document
    path: str
    method: str
    item: Mapping[str, Any]
    details: Mapping[str, Any]

    def request(self, given: Mapping[str, Json], call: ActivityCall) -> Request:
        """Return the request: parameters go where the document says, what is left is the JSON body."""
        parameters = self._parameters()
        parts = Parts(self.path, dict(given))
        for parameter in parameters:
            parts.place(parameter, str(self.details["operationId"]))
        self._check(parts, parameters)
        headers = CIMultiDict(parts.headers)
        if self._takes_form():
            headers.setdefault("Content-Type", _FORM)
        body = body_of(parts.body(), headers) if parts.has_body() else None
        if body is None:
            headers.pop("Content-Type", None)
        return built(self.method, self._server() + parts.path, call, headers, parts.query, body)

    def _check(self, parts: Parts, parameters: list[Mapping[str, Any]]) -> None:
        """Refuse what would be sent to no avail: a misspelled parameter, a hole in the path."""
        name = self.details["operationId"]
        if parts.left and self.method in ("GET", "HEAD") and "requestBody" not in self.details:
            wrong, known = sorted(parts.left), ", ".join(str(each.get("name")) for each in parameters) or "none"
            raise failure("validation", f"the operation {name} has no parameter {wrong[0]!r}; it has {known}")
        if hole := re.search(r"\{([^{}]*)\}", parts.path):
            raise failure("validation", f"the operation {name} needs the parameter {hole[1]!r}")

    def _parameters(self) -> list[Mapping[str, Any]]:
        """Return the parameters, those of the operation before those of the path."""
        found: dict[tuple[Any, Any], Mapping[str, Any]] = {}
        for each in (*(self.details.get("parameters") or ()), *(self.item.get("parameters") or ())):
            parameter = _object(self.document.resolved(each))
            found.setdefault((parameter.get("name"), parameter.get("in")), parameter)
        return list(found.values())

    def _takes_form(self) -> bool:
        """Return whether a form is the only kind of body that the operation takes."""
        content = _object(_object(self.document.resolved(self.details.get("requestBody"))).get("content"))
        return _FORM in content and not any("json" in kind for kind in content)

    def _server(self) -> str:
        """Return where paths begin, without a slash at the end."""
        document, address = self.document.value, self.document.address
        if "swagger" in document:
            own = urljoin(address, "/").rstrip("/")
            host = document.get("host")
            base = f"{self._scheme(own.partition(':')[0])}://{host}" if host else own
            return base + str(document.get("basePath") or "").rstrip("/")
        servers = self.details.get("servers") or self.item.get("servers") or document.get("servers")
        server = _object(servers[0] if servers else {})
        url = str(server.get("url", "/"))
        for name, variable in _object(server.get("variables")).items():
            url = url.replace(f"{{{name}}}", str(_object(variable).get("default", "")))
        return urljoin(address, url).rstrip("/")

    def _scheme(self, own: str) -> str:
        schemes = self.details.get("schemes") or self.document.value.get("schemes") or [own]
        return own if own in schemes else str(schemes[0])

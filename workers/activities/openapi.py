"""`call: openapi`: finds an operation in a document and sends its request.

Source: DSL reference, "OpenAPI Call"; docs/dsl.md 39: Swagger 2.0, OpenAPI 3.0 and 3.1.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urljoin

from workers.activities.authentication import headers_of
from workers.activities.calls import ActivityCall, ActivityResult, failure
from workers.activities.http import CLIENT, Request, address_of, body_of, exchange, spelled, with_defaults
from workflows.dsl import DefinitionError
from workflows.dsl.jsontext import Json
from workflows.dsl.yamltext import read

KEPT = 100
"""Documents remembered per process."""

KEPT_SECONDS = 300.0
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_REFERENCES = 20
"""How often a reference may lead to another one."""


class OpenApiActivity:
    """Runs `call: openapi`."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, tuple[float, Json]] = OrderedDict()

    async def run(self, call: ActivityCall) -> ActivityResult:
        """Find the operation, put the parameters where they belong, send the request."""
        arguments = call.revealed()
        endpoint = arguments["document"]["endpoint"]
        address = address_of(endpoint["uri"])
        document = await self._document(address, endpoint.get("authentication"), call)
        operation = Operation(document, str(arguments["operationId"]), address)
        request = operation.request(arguments.get("parameters") or {}, arguments.get("authentication"), call)
        return await exchange(call, request, arguments)

    async def _document(self, address: str, policy: Json, call: ActivityCall) -> Json:
        known = self._documents.get(address)
        if known is not None and policy is None and time.monotonic() - known[0] < KEPT_SECONDS:
            return known[1]
        headers = {"User-Agent": call.limits.user_agent, **headers_of(policy)}
        request = Request(method="GET", url=address, headers=headers)
        response = await CLIENT.send(request, call.limits, call.seconds(call.limits.http_seconds), follow=True)
        if response.status >= 300:
            raise failure("communication", f"{address} answered {response.status}", status=response.status)
        document = await asyncio.to_thread(_parsed, response.body, address, call.limits.response_bytes)
        if policy is None:
            self._documents[address] = (time.monotonic(), document)
            while len(self._documents) > KEPT:
                self._documents.popitem(last=False)
        return document


def _parsed(text: bytes, address: str, limit: int) -> Json:
    try:
        document = read(text, limit).value
    except DefinitionError as error:
        raise failure("communication", f"{address} is neither JSON nor YAML: {error.errors[0]}", status=502) from error
    if not isinstance(document, Mapping) or not ({"swagger", "openapi"} & document.keys()):
        raise failure("configuration", f"{address} is no OpenAPI document")
    return document


class Operation:
    """One operation of a document.

    Args:
        document: Swagger 2.0 or OpenAPI 3.
        name: Its `operationId`.
        address: Where the document came from; relative servers are resolved against it.
    """

    def __init__(self, document: Mapping[str, Any], name: str, address: str) -> None:
        self._document = document
        self._address = address
        self._name = name
        found = next((each for each in self._operations() if each[3].get("operationId") == name), None)
        if found is None:
            known = sorted(str(each[3]["operationId"]) for each in self._operations() if "operationId" in each[3])
            raise failure("configuration", f"{address} has no operation {name!r}; it has {', '.join(known[:20])}")
        self._path, self._method, self._item, self._operation = found

    def _operations(self) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
        for path, given in (self._document.get("paths") or {}).items():
            item = self._resolved(given)
            for method in METHODS:
                if isinstance(item.get(method), Mapping):
                    yield path, method, item, item[method]

    def _resolved(self, value: Any) -> Any:
        for _ in range(_REFERENCES):
            if not isinstance(value, Mapping) or "$ref" not in value:
                return value
            value = self._referred(str(value["$ref"]))
        raise failure("configuration", f"references in {self._address} go round in circles")

    def _referred(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise failure("configuration", f"{self._address} refers to another document: {reference}")
        found: Any = self._document
        for part in reference[2:].split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if found is None:
            raise failure("configuration", f"{self._address} refers to {reference}, which it lacks")
        return found

    def request(self, given: Mapping[str, Json], policy: Json, call: ActivityCall) -> Request:
        """Return the request: parameters go where the document says, what is left is the JSON body."""
        parts = _Parts(self._path, dict(given))
        for parameter in self._parameters():
            parts.place(parameter, self._name)
        headers = {**parts.headers, **headers_of(policy)}
        data = body_of(parts.body(), headers) if parts.has_body() else None
        method = self._method.upper()
        return Request(
            method=method,
            url=self._server() + parts.path,
            headers=with_defaults(headers, method, call),
            query=tuple(parts.query),
            body=data,
        )

    def _parameters(self) -> list[Mapping[str, Any]]:
        """Return the parameters, those of the operation before those of the path."""
        found: dict[tuple[Any, Any], Mapping[str, Any]] = {}
        for each in (*(self._operation.get("parameters") or ()), *(self._item.get("parameters") or ())):
            parameter = self._resolved(each)
            found.setdefault((parameter.get("name"), parameter.get("in")), parameter)
        return list(found.values())

    def _server(self) -> str:
        """Return where paths begin, without a slash at the end."""
        if "swagger" in self._document:
            own = urljoin(self._address, "/").rstrip("/")
            scheme = self._scheme(own.partition(":")[0])
            host = self._document.get("host")
            base = f"{scheme}://{host}" if host else own
            return base + str(self._document.get("basePath") or "").rstrip("/")
        servers = self._operation.get("servers") or self._item.get("servers") or self._document.get("servers")
        server: Mapping[str, Any] = servers[0] if servers else {"url": "/"}
        url = str(server.get("url", "/"))
        for name, variable in (server.get("variables") or {}).items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        return urljoin(self._address, url).rstrip("/")

    def _scheme(self, own: str) -> str:
        schemes = self._operation.get("schemes") or self._document.get("schemes") or [own]
        return own if own in schemes else str(schemes[0])


class _Parts:
    """The parts of a request, as parameters are put in their places."""

    def __init__(self, path: str, left: dict[str, Json]) -> None:
        self.path = path
        self.query: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}
        self._left = left
        self._body: list[Json] = []
        self._form: dict[str, Json] = {}
        self._cookies: list[str] = []

    def place(self, parameter: Mapping[str, Any], operation: str) -> None:
        name, place = str(parameter["name"]), parameter.get("in")
        if self._left.get(name) is None and (place == "path" or parameter.get("required")):
            raise failure("validation", f"the operation {operation} needs the parameter {name!r}")
        if name not in self._left:
            return
        value = self._left.pop(name)
        match place:
            case "path":
                self.path = self.path.replace(f"{{{name}}}", quote(spelled(value), safe=""))
            case "query":
                self.query.extend(_pairs(name, value, parameter))
            case "header":
                self.headers[name] = spelled(value)
            case "cookie":
                self._cookies.append(f"{name}={quote(spelled(value))}")
                self.headers["Cookie"] = "; ".join(self._cookies)
            case "formData":
                self._form[name] = value
                self.headers["Content-Type"] = "application/x-www-form-urlencoded"
            case _:
                self._body.append(value)

    def has_body(self) -> bool:
        return bool(self._form or self._body or self._left)

    def body(self) -> Json:
        if self._form:
            return self._form
        if self._body:
            return self._body[0]
        return self._left["body"] if set(self._left) == {"body"} else self._left


def _pairs(name: str, value: Json, parameter: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a query parameter's pairs: an array is repeated or joined, as the document says."""
    if not isinstance(value, list):
        return [(name, spelled(value))]
    texts = [spelled(each) for each in value]
    style = parameter.get("collectionFormat") or ("multi" if parameter.get("explode", "schema" in parameter) else "csv")
    separators = {"csv": ",", "ssv": " ", "tsv": "\t", "pipes": "|"}
    return [(name, text) for text in texts] if style == "multi" else [(name, separators.get(style, ",").join(texts))]

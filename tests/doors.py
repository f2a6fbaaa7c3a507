"""What tests of the doors share: workflows that need no worker, and a caller of the API."""

from collections.abc import Mapping
from typing import Any

from django.test import Client

from workflows.dsl import jsontext
from workflows.dsl.jsontext import Json
from workflows.runtime import accounts, operations, process
from workflows.runtime.operations import Actor, InstanceView, StartRequest

ROOT = Actor(name="tests", door="api", is_admin=True)

ECHO = "do: [{echo: {set: '${ . }'}}]"
"""Ends in its first step."""

SLEEPER = "do: [{nap: {wait: {days: 1}}}]"
"""Waits."""

SHELL = "do: [{list: {run: {shell: {command: ls}}}}]"
"""Wants a worker, whom these tests have not."""

FAILING = "do: [{fail: {raise: {error: {type: https://example.com/errors/broken, status: 500, title: Broken}}}}]"
"""Faults in its first step."""


def text_of(body: str, *, name: str = "echo", namespace: str = "tests", version: str = "1.0.0") -> str:
    """Return the text of a definition."""
    return f"document: {{dsl: 1.0.3, namespace: {namespace}, name: {name}, version: {version}}}\n{body}\n"


def register(body: str, **document: str) -> None:
    """Register a definition."""
    operations.register(text_of(body, **document).encode(), actor=ROOT)


def start(name: str = "echo", namespace: str = "tests", **more: Any) -> InstanceView:
    """Start an instance and return it."""
    return operations.start(StartRequest(namespace=namespace, name=name, **more), actor=ROOT).instance


def give_up(instance: str, reason: str = "no") -> None:
    """Have a step of an instance be one that cannot be stored."""
    process.current().stepper.consequences.bury(instance, OSError(reason))


class Answer:
    """What the API answered."""

    def __init__(self, response: Any) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.bytes = b"" if response.streaming else bytes(response.content)
        if response.streaming:
            # It has no end; `tests/api/test_streams.py` reads some.
            response.close()

    @property
    def json(self) -> Any:
        """The body."""
        return jsontext.decode(self.bytes)


class Caller:
    """Somebody with an API key, or without one."""

    def __init__(self, key: str | None) -> None:
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._client = Client(enforce_csrf_checks=True)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask."""
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Json | bytes | None = None, **headers: str) -> Answer:
        """Send a JSON value, or bytes as they are."""
        return self.ask("POST", path, body, **headers)

    def delete(self, path: str) -> Answer:
        """Delete."""
        return self.ask("DELETE", path)

    def ask(self, method: str, path: str, body: Json | bytes | None = None, **headers: str) -> Answer:
        """Send a request below `/api/v1`; names of headers with `_` for `-`."""
        data = body if isinstance(body, bytes) else b"" if body is None else jsontext.encode(body)
        sent = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        kind = sent.pop("Content-Type", "application/json")
        target = path if path.startswith(("/health", "/q/", "/metrics", "/api")) else f"/api/v1{path}"
        return Answer(self._client.generic(method, target, data, kind, headers=sent))


def caller(role: str = "admin", *namespaces: str) -> Caller:
    """Return somebody with a new key of this role."""
    made = accounts.create_key(f"{role} of tests", role, namespaces=namespaces, actor=ROOT)
    return Caller(made.text)

"""`$authorization`: what the task's own authentication policy says about the header that was sent.

Only what is known without asking anybody: the worker resolves OAuth2 and OpenID Connect, and its
tokens never reach the engine.

Source: DSL, "Authorization Descriptor".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.dsl.jsontext import Json
from workflows.dsl.model import CallTask

if TYPE_CHECKING:
    from workflows.engine.scope import Scope

_SCHEMES = {"basic": "Basic", "bearer": "Bearer", "digest": "Digest", "oauth2": "Bearer", "oidc": "Bearer"}


def authorization_of(scope: Scope) -> Json:
    """Return `{scheme, parameter?}`, or null for a task that authenticates nowhere. Raises ProblemError."""
    task = scope.node.task
    if not isinstance(task, CallTask) or task.function is not None:
        return None
    arguments = scope.render(task.with_, scope.frame.input.value)
    policy = _policy(arguments)
    name = next((name for name in policy if name in _SCHEMES), None)
    if name is None:
        return None
    described = {"scheme": _SCHEMES[name]}
    if name == "bearer" and isinstance(policy[name], dict) and "token" in policy[name]:
        described["parameter"] = policy[name]["token"]
    return described


def _policy(arguments: Json) -> dict[str, Json]:
    """The authentication of an endpoint, or of the call as a whole."""
    if not isinstance(arguments, dict):
        return {}
    endpoint = arguments.get("endpoint")
    policy = endpoint.get("authentication") if isinstance(endpoint, dict) else None
    policy = arguments.get("authentication") if policy is None else policy
    return policy if isinstance(policy, dict) else {}

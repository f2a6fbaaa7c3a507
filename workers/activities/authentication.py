"""Authentication policies to request headers."""

import base64
from collections.abc import Mapping

from workers.activities.calls import failure
from workflows.dsl.jsontext import Json


def headers_of(policy: Json) -> dict[str, str]:
    """Return the headers that a policy adds.

    Args:
        policy: `{basic: {username, password}}` or `{bearer: {token}}`, or the same with the secret's own text.

    Raises:
        ActivityError: The policy is incomplete, or of a sort that is not supported.
    """
    if policy is None:
        return {}
    if not isinstance(policy, Mapping) or len(policy) != 1:
        raise failure("configuration", "an authentication says one of basic and bearer")
    [(kind, details)] = policy.items()
    match kind:
        case "basic":
            return {
                "Authorization": the_basic(_text(details, "username", "basic"), _text(details, "password", "basic"))
            }
        case "bearer":
            return {"Authorization": f"Bearer {_bearer(details)}"}
        case _:
            raise failure("configuration", f"{kind} authentication is not supported yet; basic and bearer are")


def the_basic(username: str, password: str) -> str:
    """Return the value of `Authorization` for a user and a password."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def _bearer(details: Json) -> str:
    return details if isinstance(details, str) else _text(details, "token", "bearer")


def _text(details: Json, name: str, kind: str) -> str:
    value = details.get(name) if isinstance(details, Mapping) else None
    if not isinstance(value, str):
        raise failure("authentication", f"{kind} authentication lacks its {name}")
    return value

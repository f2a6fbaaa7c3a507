"""Who may come in: API keys and Django users, their roles and namespaces.

A role includes those before it: `viewer` reads, `operator` starts and steers instances, `editor`
registers and deletes definitions, `admin` manages keys and replaces what is immutable for others.
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import transaction
from django.utils import timezone

from workflows.models import ApiKey
from workflows.runtime.audit import Actor, record
from workflows.runtime.errors import ConflictError, InvalidRequestError, NotFoundError

ROLES = ("viewer", "operator", "editor", "admin")

_KEY_START = "lemline_"
_PERMISSIONS = {
    "editor": "workflows.add_definition",
    "operator": "workflows.change_instance",
    "viewer": "workflows.view_instance",
}
_NAMESPACE_GROUP = "namespace:"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Someone who has shown a key or a session."""

    name: str
    role: str
    namespaces: frozenset[str] | None = None
    """None for all."""

    def may(self, role: str) -> bool:
        """Whether the identity's role includes this one."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, kw_only=True)
class CreatedKey:
    """A new key. Its text is shown once and kept nowhere."""

    key: ApiKey
    text: str


def create_key(
    name: str,
    role: str,
    *,
    actor: Actor,
    namespaces: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> CreatedKey:
    """Make a random API key.

    Args:
        name: What people call it; not unique.
        role: One of `ROLES`.
        actor: Who asks; one limited to namespaces can only give away those.
        namespaces: The only ones the key sees; empty for all that the actor sees.
        expires_at: Aware; None for never.

    Raises:
        InvalidRequestError: No such role, a namespace that is not the actor's to give, or a time gone by.
    """
    if expires_at is not None and expires_at <= timezone.now():
        message = "this time has gone by"
        raise InvalidRequestError(
            f"{message}: {expires_at.isoformat()}", errors=({"pointer": "/expiresAt", "message": message},)
        )
    allowed = _namespaces_to_give(frozenset(namespaces), actor.namespaces)
    text = f"{_KEY_START}{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        key = _save_key(text, name=name, role=role, namespaces=allowed, expires_at=expires_at)
        record(actor, "key.create", _named(key), "", key.created_at)
    return CreatedKey(key=key, text=text)


def ensure_api_key(text: str, role: str = "admin", *, name: str = "bootstrap") -> ApiKey:
    """Make this very key valid with this role, whether or not it is there already.

    Raises:
        InvalidRequestError: No such role, or a key of fewer than 8 characters.
    """
    _check_role(role)
    if len(text) < 8:
        raise InvalidRequestError("An API key has at least 8 characters.")
    key = ApiKey.objects.filter(prefix=_prefix_of(text)).first()
    if key is None:
        return _save_key(text, name=name, role=role, namespaces=frozenset(), expires_at=None)
    if not hmac.compare_digest(key.hashed, _digest(text)):
        raise ConflictError(f"Another key has the prefix {key.prefix}; choose another text.")
    key.role, key.revoked_at, key.expires_at = role, None, None
    key.save(update_fields=("role", "revoked_at", "expires_at"))
    _known.clear()
    return key


def ensure_admin(password: str, *, name: str = "admin") -> User:
    """Make a Django superuser of this name and password, or give the existing one this password."""
    user, _ = get_user_model().objects.get_or_create(username=name)
    user.is_staff = user.is_superuser = user.is_active = True
    user.set_password(password)
    user.save()
    return user


def list_keys(*, actor: Actor) -> list[ApiKey]:
    """Return the keys the actor may manage, newest first, revoked ones included."""
    keys = ApiKey.objects.order_by("-id")
    if actor.namespaces is None:
        return list(keys)
    return [key for key in keys if key.namespaces and actor.namespaces.issuperset(key.namespaces)]


def revoke_key(reference: str, *, actor: Actor, reason: str = "") -> ApiKey:
    """End a key for good. Other processes notice within a second.

    Args:
        reference: The key's number or its prefix.
        actor: Who does it.
        reason: For the audit.

    Raises:
        NotFoundError: No such key among those the actor may manage.
    """
    for key in list_keys(actor=actor):
        if reference in (str(key.pk), key.prefix):
            break
    else:
        raise NotFoundError(f"There is no API key {reference}.")
    with transaction.atomic():
        key.revoked_at = key.revoked_at or timezone.now()
        key.save(update_fields=("revoked_at",))
        record(actor, "key.revoke", _named(key), reason, key.revoked_at)
    _known.clear()
    return key


def identify(text: str) -> Identity | None:
    """Return whose key this is, or None when it is unknown, expired or revoked.

    A key that was found is believed for a second without looking again.
    """
    digest = _digest(text)
    known = _known.get(digest)
    if known is not None:
        return known
    key = ApiKey.objects.filter(prefix=_prefix_of(text), revoked_at=None).first()
    if key is None or not hmac.compare_digest(key.hashed, digest):
        return None
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return None
    identity = Identity(name=f"key {key.name}", role=key.role, namespaces=frozenset(key.namespaces) or None)
    _known.put(digest, identity)
    return identity


def identity_of(user: AbstractBaseUser | AnonymousUser) -> Identity | None:
    """Return what a Django user may do here, or None for somebody who may do nothing.

    The role follows from Django's permissions: superusers are `admin`, who may add definitions is
    `editor`, who may change instances `operator`, who may view them `viewer`. Membership of groups
    named `namespace:<name>` limits a user to those namespaces.
    """
    if not isinstance(user, User) or not user.is_active:
        return None
    if user.is_superuser:
        return Identity(name=user.get_username(), role="admin")
    role = next((role for role, permission in _PERMISSIONS.items() if user.has_perm(permission)), None)
    if role is None:
        return None
    return Identity(name=user.get_username(), role=role, namespaces=limits_of(user))


def limits_of(user: AbstractBaseUser | AnonymousUser) -> frozenset[str] | None:
    """Return the namespaces that a Django user is limited to, whatever they may do there; None for all."""
    if not isinstance(user, User) or user.is_superuser:
        return None
    groups = user.groups.filter(name__startswith=_NAMESPACE_GROUP).values_list("name", flat=True)
    return frozenset(group.removeprefix(_NAMESPACE_GROUP) for group in groups) or None


def _save_key(text: str, *, name: str, role: str, namespaces: frozenset[str], expires_at: datetime | None) -> ApiKey:
    _check_role(role)
    return ApiKey.objects.create(
        name=name,
        prefix=_prefix_of(text),
        hashed=_digest(text),
        role=role,
        namespaces=sorted(namespaces),
        created_at=timezone.now(),
        expires_at=expires_at,
    )


def _named(key: ApiKey) -> str:
    return f"key {key.prefix} ({key.name}, {key.role})"


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise InvalidRequestError(
            f"There is no role {role!r}.",
            errors=({"pointer": "/role", "message": f"{role!r} is no role", "allowed": list(ROLES)},),
        )


def _namespaces_to_give(wanted: frozenset[str], own: frozenset[str] | None) -> frozenset[str]:
    if own is None:
        return wanted
    foreign = sorted(wanted - own)
    if foreign:
        message = f"not a namespace of yours: {', '.join(foreign)}"
        raise InvalidRequestError(
            f"These namespaces are not yours to give: {', '.join(foreign)}.",
            errors=({"pointer": "/namespaces", "message": message, "allowed": sorted(own)},),
        )
    return wanted or own


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _prefix_of(text: str) -> str:
    """What finds a key: the visible part of a generated one, else the start of the digest."""
    head, _, tail = text.removeprefix(_KEY_START).partition("_")
    if text.startswith(_KEY_START) and tail and len(head) == 8:
        return head
    return f"#{_digest(text)[:12]}"


class _Known:
    """Identities seen a moment ago, by digest of their key. Bounded; safe between threads."""

    def __init__(self, *, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._entries: OrderedDict[str, tuple[float, Identity]] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str) -> Identity | None:
        entry = self._entries.get(digest)
        if entry is None or entry[0] < time.monotonic():
            return None
        return entry[1]

    def put(self, digest: str, identity: Identity) -> None:
        with self._lock:
            self._entries[digest] = (time.monotonic() + self._seconds, identity)
            self._entries.move_to_end(digest)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


_known = _Known(size=1024, seconds=1.0)

"""Who acts, what they may see, and the record of what they did."""

from dataclasses import dataclass
from datetime import datetime

from workflows import models
from workflows.runtime.errors import NotFoundError


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Somebody at a door. What they may do is the door's business; what they may see is decided here."""

    name: str
    door: str
    """`api`, `admin` or `cli`."""

    namespaces: frozenset[str] | None = None
    """Namespaces that exist for them; None for all."""

    is_admin: bool = False

    def sees(self, namespace: str) -> bool:
        """Return whether a namespace exists for them."""
        return self.namespaces is None or namespace in self.namespaces

    def must_see(self, namespace: str, what: str) -> None:
        """Raise NotFoundError for what lies in a namespace that does not exist for them."""
        if not self.sees(namespace):
            raise NotFoundError(f"{what} does not exist")


def record(actor: Actor, action: str, subject: str, reason: str, at: datetime) -> None:
    """Append to the audit log."""
    models.AuditEntry.objects.create(
        at=at, by=actor.name[:150], action=action, subject=subject[:300], reason=reason, door=actor.door
    )

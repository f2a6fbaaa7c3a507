"""Messages of brokers that are no event, kept for people to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from django.utils import timezone

from workflows import models
from workflows.dsl.jsontext import encode

MOST_BYTES = 16 * 1024 * 1024
"""Of a body; what is longer is cut."""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A message that is no event."""

    body: bytes
    headers: Mapping[str, str]
    content_type: str
    place: str
    reason: str

    def row(self, bridge: str) -> models.RejectedMessage:
        """Return what is stored."""
        headers = encode(dict(self.headers))
        cut = f" Of {len(self.body)} bytes the first {MOST_BYTES} are kept." if len(self.body) > MOST_BYTES else ""
        digest = sha256(b"\0".join((self.content_type.encode(), headers, self.body))).hexdigest()
        return models.RejectedMessage(
            bridge=bridge,
            digest=digest,
            place=self.place[:300],
            content_type=self.content_type[:300],
            headers=headers,
            body=self.body[:MOST_BYTES],
            reason=f"{self.reason}{cut}".replace("\x00", "\N{REPLACEMENT CHARACTER}"),
            at=timezone.now(),
        )


def keep(bridge: str, rejected: Sequence[Rejected]) -> None:
    """Store them, in one transaction; the same one, come again, is there already."""
    if rejected:
        models.RejectedMessage.objects.bulk_create([each.row(bridge) for each in rejected], ignore_conflicts=True)

"""The administrator's password and the API key of `make dev` and `make up`: given, or made once and kept."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lemline_site.secret_key import kept


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Whom the first start lets in."""

    password: str
    """Of `admin`."""

    api_key: str


def credentials(folder: Path, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return LEMLINE_DEV_PASSWORD and LEMLINE_DEV_API_KEY; what is not set is the same at each start."""
    return Credentials(
        password=environment.get("LEMLINE_DEV_PASSWORD") or kept(folder / "password", secrets.token_urlsafe(9)),
        api_key=environment.get("LEMLINE_DEV_API_KEY") or kept(folder / "api-key", f"dev-{secrets.token_urlsafe(18)}"),
    )

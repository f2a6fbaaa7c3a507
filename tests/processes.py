"""The environment of processes that tests start."""

import os
from pathlib import Path

from django.conf import settings


def environment(folder: Path) -> dict[str, str]:
    """Return one with nothing of the developer's, and the test's default database."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "DJANGO_SETTINGS_MODULE": "lemline_site.settings",
        "DATABASE_URL": settings.LEMLINE.database.url,
        "LEMLINE_CONFIG": os.devnull,
        "LEMLINE_DATA_DIR": str(folder / "data"),
        "LEMLINE_SECRET_KEY": settings.SECRET_KEY,
        "LEMLINE_HTTP_PRIVATE_ADDRESSES": "loopback",
        "PYTHONDONTWRITEBYTECODE": "1",
    }

"""Seals: what tells a mark that the engine made from a text that only looks like one."""

import hashlib
import hmac

from django.conf import settings


def seal_of(instance_id: str) -> str:
    """Return the seal of an instance: nobody without the site's secret key can guess it."""
    return hmac.new(settings.SECRET_KEY.encode(), instance_id.encode(), hashlib.sha256).hexdigest()[:16]

"""Settings of the tests: those of the product, without what the developer's shell and folder say."""

import os
import tempfile

if "LEMLINE_SPEC_DIR" in os.environ:
    os.environ.setdefault("LEMLINE_TEST_SPEC_DIR", os.environ["LEMLINE_SPEC_DIR"])
for variable in list(os.environ):
    if variable in ("DATABASE_URL", "BROKER_URL", "CACHE_URL") or (
        variable.startswith("LEMLINE_") and not variable.startswith(("LEMLINE_TEST_", "LEMLINE_BENCH_"))
    ):
        del os.environ[variable]

os.environ["LEMLINE_CONFIG"] = os.devnull
os.environ["LEMLINE_DATA_DIR"] = tempfile.mkdtemp(prefix="lemline-test-")
os.environ["LEMLINE_SECRET_KEY"] = "a key for tests only, the same in every process of a run"
os.environ["LEMLINE_HTTP_PRIVATE_ADDRESSES"] = "loopback"

from lemline_site.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Twenty migrations of others, none of which is ours to test.
MIGRATION_MODULES = {"django_celery_beat": None}

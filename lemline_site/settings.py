"""Django's and Celery's settings, derived from the configuration. Nothing else reads the environment."""

import socket
from datetime import timedelta
from importlib.metadata import distribution
from pathlib import Path

from lemline_site import addresses, logs, secret_key
from lemline_site.config import load

BASE_DIR = Path(__file__).resolve().parent.parent

API_PAGES = Path(str(distribution("django-ninja").locate_file("ninja")))
"""The API's page of documentation and its scripts. Not as an app: it would be imported by processes without an API."""

LEMLINE_SOURCES = load()
LEMLINE = LEMLINE_SOURCES.config

SECRET_KEY = LEMLINE.secret_key or secret_key.load_or_make(Path(LEMLINE.data_dir))
DEBUG = False
ALLOWED_HOSTS = list(LEMLINE.web.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(LEMLINE.web.trusted_origins)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LEMLINE.web.secure
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if LEMLINE.web.secure else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    # The pages are looked for where they are mounted (`urls.py`): no worker serves them.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "workflows",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "workflows.api.middleware.KeysFirst",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "lemline_site.urls"
WSGI_APPLICATION = "lemline_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [API_PAGES / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": addresses.database(LEMLINE)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": addresses.cache(LEMLINE.cache.url, LEMLINE.cluster.namespace)}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "static/"
STATICFILES_DIRS = [API_PAGES / "static"]
# Straight from the packages: nothing to collect before the first start.
WHITENOISE_USE_FINDERS = True

# The doors have limits of their own, per kind of body (`lemline.limits.*`).
DATA_UPLOAD_MAX_MEMORY_SIZE = None

LOGGING = logs.settings(LEMLINE.log)

LEMLINE_NODE = LEMLINE.cluster.node_id or socket.gethostname()

CELERY_BROKER_URL = addresses.broker(LEMLINE.messaging.url)
CELERY_BROKER_TRANSPORT_OPTIONS = addresses.transport_options(LEMLINE)
CELERY_BROKER_POOL_LIMIT = LEMLINE.messaging.connections
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_TIMEOUT = 4
CELERY_RESULT_BACKEND = None

# JSON only: a message must never be code.
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]

# A job is acknowledged after the commit. What its worker took to the grave is delivered again, and dropped if known.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_EAGER_RESULT = False
# A typing error in a queue's name must fail, not fill a queue that nobody reads.
CELERY_TASK_CREATE_MISSING_QUEUES = False
# Publishing gives up soon: the row is written, and is rung again.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}

CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = LEMLINE.execution.grace.total_seconds()
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False

# For Flower; names and ids only, no data (the dispatcher sets what arguments are shown).
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_TASK_TRACK_STARTED = True

CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "workers.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = timedelta(seconds=30).total_seconds()
# Celery's Django fixup would close the connection around every job; stale ones are found by their failure.
CELERY_DB_REUSE_MAX = 1_000_000_000

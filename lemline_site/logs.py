"""How the log is written: a stable event name, then fields, as text or as JSON objects."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from lemline_site.config.sections import Log

_QUIET = (
    "amqp", "kombu", "asyncio", "celery.app.trace", "celery.utils.functional", "celery.worker.consumer",
    "celery.worker.strategy", "django.server", "flower",
)  # fmt: skip
"""Of these, what is wrong is enough."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; anything else was given as `extra`."""


def settings(section: Log) -> dict[str, Any]:
    """Return Django's `LOGGING`."""
    quiet = {name: {"level": "WARNING"} for name in _QUIET}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"text": {"()": f"{__name__}.Text"}, "json": {"()": f"{__name__}.Json"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": section.format}},
        "root": {"handlers": ["stderr"], "level": section.level},
        "loggers": quiet,
    }


class Text(logging.Formatter):
    """`2026-01-31 12:00:00.000 INFO workflows.runtime.stepper step.taken instance_id=… step=3`."""

    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s%(fields)s")

    def format(self, record: logging.LogRecord) -> str:
        """Append the fields to the first line, before a traceback."""
        record.fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        return super().format(record)


class Json(logging.Formatter):
    """One object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write what is no JSON as its text: a log line must never fail."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN and name != "fields"}

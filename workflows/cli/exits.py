"""Exit codes, and the table from error to code."""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Exit(IntEnum):
    """How a command ended, for scripts."""

    OK = 0
    OTHER = 1
    USAGE = 2
    CONFIGURATION = 3
    CONNECTION = 4
    NOT_FOUND = 5
    VALIDATION = 6
    EXECUTION = 7
    TIMEOUT = 8
    AUTHENTICATION = 9
    INTERRUPTED = 130


class CommandError(Exception):
    """A command that cannot go on: what to tell the user, and the code to leave with."""

    def __init__(self, message: str, code: Exit = Exit.OTHER) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: Exception) -> Exit | None:
    """Return the code of an expected error; None for a bug of ours."""
    if isinstance(error, CommandError):
        return error.code
    from workflows.runtime import outages

    if outages.is_outage(error):
        return Exit.CONNECTION
    return next((code for kind, code in _table() if isinstance(error, kind)), None)


def explained(error: Exception) -> str:
    """Return what to tell people about an expected error: what is wrong, and what to do where that is known."""
    from django.conf import settings

    from workflows.cli.output import masked
    from workflows.runtime import outages

    text = str(error).strip() or type(error).__name__
    if isinstance(error, ImportError):
        return f"{text}; is it installed, and is lemline.activities right?"
    if not outages.is_outage(error):
        return text
    url = masked(settings.LEMLINE.database.url)
    if outages.is_unprepared(error):
        return f"{url} has not the tables of this version; run `python manage.py migrate`"
    return f"no connection to {url}: {text.splitlines()[0]}; is it running, and is DATABASE_URL right?"


def expected() -> tuple[type[Exception], ...]:
    """Return the errors that have a code: those that a command over several files notes before it goes on."""
    from workflows.runtime import outages

    return (CommandError, *outages.OUTAGES, *(kind for kind, _ in _table()))


def _table() -> "Iterator[tuple[type[Exception], Exit]]":
    """Built when something has gone wrong: a command that succeeds imports none of it."""
    from django.core.exceptions import ImproperlyConfigured

    from workflows.dsl import DefinitionError
    from workflows.runtime import errors

    yield DefinitionError, Exit.VALIDATION
    yield errors.InvalidRequestError, Exit.VALIDATION
    yield errors.TooLargeError, Exit.VALIDATION
    yield errors.NotFoundError, Exit.NOT_FOUND
    yield errors.UnavailableError, Exit.CONNECTION
    yield ConnectionError, Exit.CONNECTION
    yield ImproperlyConfigured, Exit.CONFIGURATION
    yield ImportError, Exit.CONFIGURATION
    yield TimeoutError, Exit.TIMEOUT
    yield PermissionError, Exit.AUTHENTICATION
    yield errors.LemlineError, Exit.OTHER
    yield OSError, Exit.OTHER

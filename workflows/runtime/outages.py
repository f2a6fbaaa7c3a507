"""What to tell a caller when the database fails."""

from django.db import DatabaseError, InterfaceError, OperationalError, ProgrammingError

OUTAGES: tuple[type[Exception], ...] = (OperationalError, InterfaceError, ProgrammingError)
"""What a database that is away, restarts or lacks our tables makes Django raise."""

_MISSING = ("no such table", "no such column", "does not exist")


def is_unprepared(error: BaseException) -> bool:
    """Return whether the database answers, but has not the tables of this version."""
    return isinstance(error, DatabaseError) and any(text in str(error) for text in _MISSING)


def is_outage(error: BaseException) -> bool:
    """Return whether the database is to blame; a statement that it refuses for its text is our own mistake."""
    if isinstance(error, ProgrammingError):
        return is_unprepared(error)
    return isinstance(error, OUTAGES)


def advice(error: BaseException) -> str:
    """Return a sentence that says what is wrong and what to do."""
    if is_unprepared(error):
        return "the database has not the tables of this version; run `python manage.py migrate`"
    return "the database does not answer; whatever was accepted goes on when it is back"

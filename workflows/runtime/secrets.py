"""Where the values of secrets come from: mounted files, then the environment. Values are never stored."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

from workflows.dsl.jsontext import Json, JsonError, decode
from workflows.engine.problems import ProblemError, problem
from workflows.runtime.ports import Secrets

log = logging.getLogger("lemline.secrets")

_OURS = frozenset({"LEMLINE_SECRET_KEY"})
"""Variables that look like secrets of workflows and configure this installation."""


class ProvidedSecrets:
    """Reads secrets by name: a file of that name, or an environment variable with a prefix.

    A text that is a JSON object or array is read as one, so `${ $secrets.db.password }` works.
    """

    def __init__(self, folder: str, prefix: str) -> None:
        self._folder = Path(folder) if folder else None
        self._prefix = prefix

    def read(self, name: str) -> Json:
        """Return a secret's value; KeyError when no provider has it."""
        text = self._from_file(name)
        variable = self._prefix + _as_variable(name)
        if text is None and variable not in _OURS:
            text = os.environ.get(variable)
        if text is None:
            raise KeyError(name)
        return _value(text)

    def _from_file(self, name: str) -> str | None:
        if self._folder is None or "/" in name or name.startswith("."):
            return None
        path = self._folder / name
        try:
            return path.read_text("utf-8").removesuffix("\n") if path.is_file() else None
        except (OSError, UnicodeError) as error:
            # As good as missing, for the workflow; the operator reads why.
            log.error("secret.unreadable", extra={"secret": name, "error": type(error).__name__})
            raise KeyError(name) from error


def reading(secrets: Secrets) -> Callable[[str], Json]:
    """Return what gives an activity the value of a secret, or an `authorization` problem without one."""

    def read(name: str) -> Json:
        try:
            return secrets.read(name)
        except KeyError:
            raise ProblemError(problem("authorization", f"the secret {name!r} is not provided here")) from None

    return read


def _as_variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()


def _value(text: str) -> Json:
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return decode(text)
    except JsonError:
        return text

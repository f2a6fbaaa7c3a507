"""Every key there is, read off the sections: its name, type, default and environment variable."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, get_type_hints

from lemline_site.config.sections import Config

PREFIX = "lemline"

SHORT_VARIABLES: Mapping[str, str] = {
    "lemline.database.url": "DATABASE_URL",
    "lemline.messaging.url": "BROKER_URL",
    "lemline.cache.url": "CACHE_URL",
    "lemline.web.port": "PORT",
}
"""Variables that platforms set, read besides those with the prefix."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """One thing that can be set."""

    name: str
    """`lemline.database.max-lifetime`."""

    path: tuple[str, ...]
    """The fields that lead to it: `("database", "max_lifetime")`."""

    section: type
    """The dataclass that has the field; what the key is for stands below the field."""

    kind: Any
    """The type of the field."""

    default: object

    @property
    def variable(self) -> str:
        """Its environment variable: dots and dashes become `_`."""
        return variable_of(self.name)


def variable_of(name: str) -> str:
    """Return the environment variable of a key's name."""
    return name.replace(".", "_").replace("-", "_").upper()


def read(config: Config, key: Key) -> object:
    """Return the value of a key."""
    value: object = config
    for name in key.path:
        value = getattr(value, name)
    return value


def changed(config: Config, values: Mapping[Key, object]) -> Config:
    """Return the configuration with other values for some keys."""
    for key, value in values.items():
        config = _with(config, key.path, value)
    return config


def _with(section: Any, path: tuple[str, ...], value: object) -> Any:
    name, *rest = path
    return replace(section, **{name: _with(getattr(section, name), tuple(rest), value) if rest else value})


def _walk(section: Any, path: tuple[str, ...]) -> Iterator[Key]:
    hints = get_type_hints(type(section))
    for field in fields(section):
        value, here = getattr(section, field.name), (*path, field.name)
        if is_dataclass(value):
            yield from _walk(value, here)
        else:
            name = ".".join((PREFIX, *(part.replace("_", "-") for part in here)))
            yield Key(name=name, path=here, section=type(section), kind=hints[field.name], default=value)


KEYS: Mapping[str, Key] = {key.name: key for key in _walk(Config(), ())}
"""Name to key, in the order of the sections."""

"""Where values come from: -D, then the environment, then a file, then the preset, then the default."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lemline_site.config import keys as all_keys
from lemline_site.config import rules
from lemline_site.config.files import read_file
from lemline_site.config.keys import KEYS, SHORT_VARIABLES, Key
from lemline_site.config.presets import PRESETS
from lemline_site.config.sections import Config
from lemline_site.config.values import ConfigurationError, format_value, parse_value

FILE_VARIABLE = "LEMLINE_CONFIG"
"""The file to read. Default: `lemline.yaml` or `lemline.properties` in the current folder."""

OVERRIDES_VARIABLE = "LEMLINE_OVERRIDES"
"""What `-D` said, `key=value` on each line: so it reaches the processes that a process starts."""

FILES = ("lemline.yaml", "lemline.yml", "lemline.properties")

ALIASES: Mapping[str, str] = {"lemline.database.write.url": "lemline.database.url"}
"""Other spellings of keys."""

_OTHER_VARIABLES = re.compile(
    r"LEMLINE_(CONFIG|OVERRIDES|DEV_\w+|TEST_\w+|BENCH_\w+|FAULT\w*|SPEC_DIR)"
    # What Kubernetes puts into pods for a service called lemline.
    r"|LEMLINE_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP)\w*)?)"
)
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_]\w*)(?::([^}]*))?\}")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key as it is now."""

    key: Key
    value: object
    source: str
    """`default`, `preset low`, the file's name, the variable's name, or `-D`."""

    @property
    def text(self) -> str:
        """The value as one would write it."""
        return format_value(self.value)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A configuration, and where each of its values came from."""

    config: Config
    settings: tuple[Setting, ...]
    """One per key, in the order of the reference."""


@dataclass(frozen=True, kw_only=True)
class _Given:
    name: str
    text: str
    source: str


def load(environment: Mapping[str, str] = os.environ, folder: Path | None = None) -> Loaded:
    """Read every source. ConfigurationError lists all mistakes at once."""
    mistakes: list[str] = []
    given = [
        *_from_overrides(environment.get(OVERRIDES_VARIABLE, "")),
        *_from_environment(environment, mistakes),
        *_from_file(_file(environment, folder or Path.cwd())),
    ]
    chosen = _choose(given, environment, mistakes)
    preset = chosen.get("lemline.preset")
    for name, text in PRESETS[str(preset.value) if preset else "none"].items():
        chosen.setdefault(name, _setting(_Given(name=name, text=text, source=f"preset {preset and preset.value}")))
    loaded = _loaded(chosen)
    mistakes += rules.mistakes(loaded.config)
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return loaded


def remember_overrides(arguments: Sequence[str], environment: dict[str, str] | os._Environ[str]) -> None:
    """Put `-Dkey=value`, `-D key=value` and `--config FILE` of a command line into the environment."""
    overrides = [environment[OVERRIDES_VARIABLE]] if OVERRIDES_VARIABLE in environment else []
    following = iter(arguments)
    for argument in following:
        if argument == "-D":
            overrides.append(next(following, ""))
        elif argument.startswith("-D"):
            overrides.append(argument[2:])
        elif argument == "--config":
            environment[FILE_VARIABLE] = next(following, "")
        elif argument.startswith("--config="):
            environment[FILE_VARIABLE] = argument.removeprefix("--config=")
    if overrides:
        environment[OVERRIDES_VARIABLE] = "\n".join(overrides)


def _loaded(chosen: Mapping[str, Setting]) -> Loaded:
    config = all_keys.changed(Config(), {setting.key: setting.value for setting in chosen.values()})
    settings = (chosen.get(key.name, Setting(key=key, value=key.default, source="default")) for key in KEYS.values())
    return Loaded(config=config, settings=tuple(settings))


def _choose(given: Sequence[_Given], environment: Mapping[str, str], mistakes: list[str]) -> dict[str, Setting]:
    """Keep the first of each key; what comes later is still checked for its name."""
    chosen: dict[str, Setting] = {}
    for each in given:
        name = ALIASES.get(each.name, each.name)
        if name not in KEYS:
            mistakes.append(f"{each.source}: unknown key {each.name}{_suggestion(each.name, KEYS)}")
        elif name not in chosen:
            try:
                text = _expand(each.text, environment)
                chosen[name] = _setting(_Given(name=name, text=text, source=each.source))
            except ValueError as error:
                mistakes.append(f"{each.source}: {each.name}={each.text}: {error}")
    return chosen


def _setting(given: _Given) -> Setting:
    key = KEYS[given.name]
    return Setting(key=key, value=parse_value(given.text, key.kind), source=given.source)


def _expand(text: str, environment: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name not in environment and default is None:
            raise ValueError(f"the variable {name} is not set, and no default is given as ${{{name}:default}}")
        return environment.get(name, default or "")

    return _PLACEHOLDER.sub(value, text)


def _from_overrides(text: str) -> Iterator[_Given]:
    for line in filter(None, text.split("\n")):
        name, separator, value = line.partition("=")
        if not separator:
            raise ConfigurationError(f"-D{line}: write -Dkey=value")
        yield _Given(name=_full(name.strip()), text=value, source="-D")


def _full(name: str) -> str:
    return name if name.startswith("lemline.") else f"lemline.{name}"


def _from_environment(environment: Mapping[str, str], mistakes: list[str]) -> Iterator[_Given]:
    by_variable = {key.variable: key.name for key in KEYS.values()}
    by_variable |= {all_keys.variable_of(alias): name for alias, name in ALIASES.items()}
    secrets = environment.get("LEMLINE_SECRETS_ENV_PREFIX", Config().secrets.env_prefix)
    for variable in sorted(environment):
        if variable in by_variable:
            yield _Given(name=by_variable[variable], text=environment[variable], source=variable)
        elif variable.startswith("LEMLINE_") and not (
            variable.startswith(secrets) or _OTHER_VARIABLES.fullmatch(variable)
        ):
            mistakes.append(f"environment: unknown variable {variable}{_suggestion(variable, by_variable)}")
    for name, variable in SHORT_VARIABLES.items():
        if environment.get(variable):
            yield _Given(name=name, text=environment[variable], source=variable)


def _file(environment: Mapping[str, str], folder: Path) -> Path | None:
    if named := environment.get(FILE_VARIABLE):
        path = folder / named
        if not path.exists():
            raise ConfigurationError(f"there is no configuration file {named}")
        return path
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def _from_file(path: Path | None) -> Iterator[_Given]:
    if path is None:
        return
    for name, text in dict(read_file(path)).items():
        yield _Given(name=name, text=text, source=path.name)


def _suggestion(name: str, known: Mapping[str, object]) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]}?" if nearest else ""

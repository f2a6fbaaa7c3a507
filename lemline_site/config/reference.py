"""Writes docs/configuration.md from the sections: `python -m lemline_site.config.reference [--check] FILE`."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from lemline_site.config.keys import KEYS, SHORT_VARIABLES, Key
from lemline_site.config.presets import PRESETS
from lemline_site.config.values import describe_type, format_value

_INTRODUCTION = """\
# Configuration

Generated from `lemline_site/config/sections.py` by `make docs`; do not edit.

A value comes from the first of these that has it:

1. `-Dlemline.key=value` on the command line (`lemline.` may be left out),
2. the environment: `LEMLINE_KEY`, the key in capitals with `_` for dots and dashes, or the short variable named below,
3. one file: `lemline.yaml` or `lemline.properties` in the current folder, or what `LEMLINE_CONFIG` or `--config` names,
4. the preset, `lemline.preset`,
5. the default.

A key that is not known stops the start with the nearest one that is. `manage.py lemline config list` shows every value
and where it came from.

- **duration**: ISO 8601 (`PT30S`, `P7D`) or short (`30s`, `1h 30m`, `250ms`),
- **size**: bytes, or with `K`, `M`, `G`, `T` in powers of 1024 (`8M`, `1GiB`),
- **list**: separated by commas, in YAML also a sequence,
- `${VARIABLE}` and `${VARIABLE:default}` in a value stand for a variable of the environment.
"""


def reference() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *_sections(), *_presets()]).rstrip() + "\n"


def describe(key: Key) -> str:
    """Return what a key is for: the text below its field."""
    return _texts(key.section).get(key.path[-1], "")


def main(arguments: Sequence[str]) -> int:
    """Write the page; with `--check`, only say whether it is true."""
    path = Path(arguments[-1])
    if "--check" not in arguments:
        path.write_text(reference(), "utf-8")
        return 0
    if path.is_file() and path.read_text("utf-8") == reference():
        return 0
    print(f"{path} is out of date: run `make docs`", file=sys.stderr)
    return 1


def _sections() -> Iterator[str]:
    heading = None
    for key in KEYS.values():
        if heading != (heading := key.path[:-1]):
            yield f"## {'.'.join(('lemline', *heading)).replace('_', '-')}\n"
            yield f"{inspect.cleandoc(key.section.__doc__ or '')}\n"
        yield _entry(key)


def _entry(key: Key) -> str:
    variables = [f"`{name}`" for name in (key.variable, SHORT_VARIABLES.get(key.name)) if name]
    text = format_value(key.default)
    default = f"default `{text}`" if text else "not set by default"
    facts = f"{describe_type(key.kind)}; {default}; {' or '.join(variables)}"
    return f"**`{key.name}`** ({facts})  \n{describe(key)}\n"


def _presets() -> Iterator[str]:
    yield "## Presets\n"
    names = [name for name in PRESETS if name != "none"]
    keys = list(dict.fromkeys(key for name in names for key in PRESETS[name]))
    yield f"| key | {' | '.join(names)} |"
    yield f"| --- |{' --- |' * len(names)}"
    for key in keys:
        yield f"| `{key}` | {' | '.join(PRESETS[name].get(key, '') for name in names)} |"


@cache
def _texts(section: type) -> dict[str, str]:
    """Return field to the string literal that follows it in the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    texts = {}
    if isinstance(body, ast.ClassDef):
        for field, following in zip(body.body, body.body[1:], strict=False):
            match field, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = inspect.cleandoc(text)
    return texts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How an area adds its verbs to the parser."""

import argparse
from collections.abc import Callable

from workflows.cli.output import Output

Verb = Callable[[argparse.Namespace, Output], int | None]
Areas = argparse._SubParsersAction  # the type has no public name


class Area:
    """An area of the command line, such as `instance`; also under its plural."""

    def __init__(self, areas: "Areas[argparse.ArgumentParser]", name: str, about: str, *aliases: str) -> None:
        parser = areas.add_parser(name, help=about, description=about, aliases=aliases)
        self._verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=type(parser))

    def area(self, name: str, about: str) -> "Area":
        """Add an area within this one."""
        return Area(self._verbs, name, about)

    def verb(self, name: str, run: Verb, *, aliases: tuple[str, ...] = ()) -> argparse.ArgumentParser:
        """Add a verb, described by the docstring of what runs it; returns its parser for the flags."""
        return add_verb(self._verbs, name, run, aliases=aliases)


def add_verb(
    verbs: "Areas[argparse.ArgumentParser]", name: str, run: Verb, *, aliases: tuple[str, ...] = ()
) -> argparse.ArgumentParser:
    """Add a command that ends here, with the flags that every command has."""
    from workflows.cli.main import global_flags

    about = (run.__doc__ or "").strip()
    parser = verbs.add_parser(
        name,
        aliases=aliases,
        help=about.partition("\n")[0],
        description=about,
        parents=[global_flags()],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(verb=run)
    return parser

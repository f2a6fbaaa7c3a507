"""`worker --roles …`: a process that takes jobs."""

import argparse

from workflows.cli.areas import Areas, add_verb
from workflows.cli.exits import CommandError, Exit
from workflows.cli.output import Output


def add(areas: "Areas[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = add_verb(areas, "worker", _work, aliases=("listen",))
    parser.add_argument(
        "--roles", required=True, type=_roles, metavar="ROLE,…", help="http, compute, io, events, maintenance"
    )
    parser.set_defaults(is_server=True)


def _work(options: argparse.Namespace, output: Output) -> int:
    """Take jobs of these roles until told to stop."""
    from workers import launcher
    from workflows.runtime.errors import InvalidRequestError

    try:
        return launcher.main(options.roles) or Exit.OK
    except InvalidRequestError as error:
        raise CommandError(str(error), Exit.CONFIGURATION) from error


def _roles(text: str) -> tuple[str, ...]:
    from workers.pools import ROLES

    roles = tuple(filter(None, (role.strip() for role in text.split(","))))
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        wrong = f"there is no role {', '.join(unknown)}" if unknown else "name at least one role"
        raise argparse.ArgumentTypeError(f"{wrong}; choose from {', '.join(ROLES)}")
    return roles

#!/usr/bin/env python
"""Django's command line, and `lemline` in it."""

import os
import sys


def main() -> None:
    """Load the configuration first, so that a mistake in it is told as such."""
    from lemline_site.config.sources import remember_overrides
    from lemline_site.config.values import ConfigurationError

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lemline_site.settings")
    remember_overrides(sys.argv[1:], os.environ)
    try:
        import lemline_site.settings  # noqa: F401  (loads the configuration)
    except ConfigurationError as error:
        print(f"configuration: {error}", file=sys.stderr)
        sys.exit(3)

    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

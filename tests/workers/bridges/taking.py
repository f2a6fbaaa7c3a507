"""`python -m tests.workers.bridges.taking URL …`: a process that takes over bridges until it is killed."""

import os
import signal
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lemline_site.settings")

LEASE_SECONDS = 1.0
"""So soon the next one goes on."""


def main(urls: list[str]) -> None:
    import django

    django.setup()
    from lemline_site.config.bridges import address_of
    from workers.bridges.bridge import Bridge
    from workers.bridges.lease import Lease
    from workers.bridges.sources import maker_of
    from workflows.runtime import process

    now = process.current().clock.now
    for address in map(address_of, urls):
        lease = Lease(address.name, f"process {os.getpid()}", now, LEASE_SECONDS)
        lease.look_seconds = 0.05
        Bridge(address.name, address.namespace, maker_of(address), lease).start()
    print("taking", flush=True)
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])

"""All bridges of a process."""

from lemline_site.config.bridges import addresses_of
from workers.bridges.bridge import Bridge
from workers.bridges.lease import Lease
from workers.bridges.sources import maker_of
from workflows.runtime.process import Process


class Bridges:
    """Those that are configured, each a thread.

    Args:
        process: The runtime whose database they store to.
        texts: `lemline.events.bridges`.
        group: `lemline.messaging.consumer-group`.

    Raises:
        InvalidRequestError: The client of one is not installed.
    """

    def __init__(self, process: Process, texts: tuple[str, ...], group: str) -> None:
        self._bridges = [
            Bridge(
                address.name,
                address.namespace,
                maker_of(address),
                Lease(address.name, process.presence.name, process.clock.now),
            )
            for address in addresses_of(texts, group)
        ]

    def start(self) -> None:
        """Begin to take."""
        for bridge in self._bridges:
            bridge.start()

    def stop(self) -> None:
        """Finish what is in hand."""
        for bridge in self._bridges:
            bridge.tell_to_stop()
        for bridge in self._bridges:
            bridge.stop()

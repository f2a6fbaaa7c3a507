"""Who waits for an instance to end, within this process."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Endings:
    """Wakes those who wait. Ends that other processes commit are not heard of here: waiters look themselves."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[threading.Event]] = defaultdict(list)
        self._lock = threading.Lock()

    def announce(self, instance_id: str) -> None:
        """Wake those who wait for this instance."""
        if not self._waiting:
            return
        with self._lock:
            for event in self._waiting.get(instance_id, ()):
                event.set()

    @contextmanager
    def expecting(self, instance_id: str) -> Iterator[threading.Event]:
        """Give an event that is set when the instance ends."""
        event = threading.Event()
        with self._lock:
            self._waiting[instance_id].append(event)
        try:
            yield event
        finally:
            with self._lock:
                self._waiting[instance_id].remove(event)
                if not self._waiting[instance_id]:
                    del self._waiting[instance_id]

"""Activities that a process goes on with where it stands, instead of having their pool rung.

Decided before the commit that wants them, and recorded by it in the state: wait to process. Whoever is
recorded ends the activity, or hands it back by a ring of its own; should that process die, the sweeper rings.
So nobody else is rung for it meanwhile, and no second copy of it is under way.
"""

import logging
from collections.abc import Iterable, Sequence
from copy import copy
from itertools import islice

from workflows.runtime.cluster import Presence
from workflows.runtime.ports import Delivery, Keeper
from workflows.runtime.step import Taken

LOOK = 4
"""Ready activities per keeper that are offered to it."""

log = logging.getLogger("lemline.holding")


class Holding:
    """What this process goes on with."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._me = str(presence.id)

    def decide(self, taken: Taken, keepers: Sequence[Keeper]) -> None:
        """Have the state say which open activities are held, before it is written: those that were, and one more per
        keeper at most.
        """
        if not (keepers or taken.state.holders):
            return
        holders = self._held_already(taken)
        taken.kept = [] if taken.rerung else _kept(taken, keepers)
        holders |= {delivery.command.wait_id: self._me for _, delivery in taken.kept}
        if holders != taken.state.holders:
            taken.state = copy(taken.state)
            taken.state.holders = holders

    def _held_already(self, taken: Taken) -> dict[str, str]:
        """Return who holds what is still open. Where all is rung for again, only those that can be relied on."""
        open_waits = taken.state.waits
        return {
            wait_id: holder
            for wait_id, holder in taken.state.holders.items()
            if wait_id in open_waits
            and (
                not taken.rerung
                or self._presence.is_held(holder, (taken.instance_id, wait_id, open_waits[wait_id].ring))
            )
        }


def _kept(taken: Taken, keepers: Sequence[Keeper]) -> list[tuple[Keeper, Delivery]]:
    """Return who goes on with which. Of a wide fan-out the first few are looked at: the rest is for others."""
    if not keepers:
        return []
    kept: list[tuple[Keeper, Delivery]] = []
    left = dict(enumerate(islice(taken.deliveries(), LOOK * len(keepers))))
    for keeper in keepers:
        found = next((number for number, delivery in left.items() if keeper.keeps(delivery)), None)
        if found is not None:
            kept.append((keeper, left.pop(found)))
    return kept


def go_on(done: Iterable[Taken]) -> None:
    """Begin what was kept, now that it is committed. Never raises."""
    for taken in done:
        for keeper, delivery in taken.kept:
            try:
                keeper.go_on(delivery)
            except Exception:
                # The sweeper finds it: its holder lives and does not report it.
                log.exception("continuation.failed", extra={"instance_id": delivery.instance_id})

"""An instance of each sort of task, under way at the same time; then processes are killed."""

from collections.abc import Mapping, Sequence

from tests.crash.definitions import CHILDREN, HELD, MIDDLES, within
from tests.crash.harness import Ending, Installation
from tests.crash.stub import Stub
from workflows import models

NEVER = "/race/lost"
"""Nobody lets go of it before all has ended."""


def begun_again(path: str) -> int:
    """What was under way when its worker died is begun once more; nothing else is."""
    return int(path in HELD.values() or path == NEVER)


def kill_inside(
    installation: Installation, stub: Stub, victims: Sequence[str]
) -> tuple[Mapping[str, Ending], Mapping[str, int], int]:
    """Start an instance of each sort, kill, let go. What is left of them, the calls by path, and events received."""
    stub.calls.clear()
    models.ReceivedEvent.objects.all().delete()
    stub.hold(*HELD.values(), NEVER)
    stub.fail("/try/held")
    stub.fail("/delay/flaky")
    for name, tasks in CHILDREN.items():
        installation.register(name, tasks)
    for name, task in MIDDLES.items():
        installation.register(name, within(name, task))
    started = {name: installation.start(name, {"stub": stub.url}) for name in MIDDLES}
    _let_them_get_stuck(installation, stub, victims)
    stub.release(*HELD.values())
    endings = installation.await_end(*started.values())
    installation.wait(lambda: not models.Instance.objects.filter(ended_at=None).exists())
    stub.release(NEVER)
    for path in HELD.values():
        assert len(set(stub.keys(path))) == (2 if path == "/try/held" else 1), path
    return dict(zip(started, endings, strict=True)), stub.counts("/"), models.ReceivedEvent.objects.count()


def _let_them_get_stuck(installation: Installation, stub: Stub, victims: Sequence[str]) -> None:
    begun = {path: 2 if path == "/try/held" else 1 for path in [*HELD.values(), NEVER]}
    installation.wait(lambda: all(stub.count(path) >= count for path, count in begun.items()), lambda: stub.counts("/"))
    if victims:
        installation.kill(*victims)
        installation.revive()
        installation.wait(
            lambda: all(stub.count(path) > count for path, count in begun.items()), lambda: stub.counts("/")
        )

"""What may happen to a running system. Each fault is a function that has it happen and returns what was hit, or None
when it did not come to it.
"""

import random
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

from tests.crash.campaign import mail, servers
from tests.crash.campaign.load import Load
from tests.crash.campaign.recovery import Recovery, open_steps
from tests.crash.campaign.servers import Server
from tests.crash.harness import LEASE_SECONDS, LEFT_UNDONE, Installation
from tests.crash.stub import Stub
from tests.waiting import wait_until

WORKERS = ("http", "compute", "maintenance", "spare")
CALLERS = ("http", "compute", "spare")
"""Those that run activities of the load."""

PLACES = ("taken", "claimed", "ended", "saving", "committed", "published", "settled")
CONTINUED = "kept"
"""One more where processes go on with instances by themselves."""

UNCOMMITTED = ("taken", "claimed", "ended", "saving")
"""Places where the broker must still have the message."""

REACHED_SECONDS = 8.0
"""How long a place may take to be reached before the fault counts as not tried."""


@dataclass
class World:
    """Everything that can be disturbed."""

    installation: Installation
    load: Load
    stub: Stub
    broker: mail.Broker
    chance: random.Random
    database: Server | None = None
    """None where others use it as well; so with the next two."""

    cache: Server | None = None
    rabbitmq: Server | None = None
    disk: Path | None = None
    """The database's, where it can be filled."""

    places: Sequence[str] = PLACES
    """Where processes may be killed and stopped."""

    patience_looks: int = 30
    damage: list[str] = field(default_factory=list)
    """What was seen to be wrong meanwhile."""


@dataclass
class Trial:
    """A fault that happens or has happened."""

    fault: str
    world: World
    hit: str | None = None
    recovery: Recovery | None = None
    lift: Callable[[], object] = lambda: None
    """Ends what lasts until all has recovered; doing so again does no harm."""

    is_alone: bool = False
    """Whether nothing else happened until all had recovered."""

    def is_over(self) -> bool:
        """Return whether all has moved on or was given up; then what lasted so long ends, for others to move on."""
        if self.recovery is not None and not self.recovery.is_over():
            return False
        self.lift()
        return True

    def has_recovered(self) -> bool:
        """Return whether all that was disturbed has moved on."""
        return self.recovery is not None and not self.recovery.waiting

    def has_moved_on(self, instance: str) -> None:
        """Wait no longer for one that was seen to go on: its next step may be held up until the others have."""
        if self.recovery is not None:
            self.recovery.waiting.pop(instance, None)

    def mark(self) -> None:
        """From here on counts how long it takes until all that is open now has moved on."""
        [steps] = wait_until(lambda: None if (found := open_steps()) is None else [found])
        self.recovery = Recovery(steps, self.world.patience_looks)


def _pause(world: World, low: float, high: float) -> None:
    threading.Event().wait(world.chance.uniform(low, high))


def kill_workers(trial: Trial) -> str:
    world = trial.world
    names = world.chance.sample(WORKERS, world.chance.choice((1, 1, 2, 3)))
    world.installation.kill(*names)
    trial.mark()
    world.installation.revive()
    return ", ".join(names)


def kill_web(trial: Trial) -> str:
    trial.world.installation.kill("web")
    trial.mark()
    trial.world.installation.revive()
    return "web"


def kill_between_lines(trial: Trial) -> str | None:
    world = trial.world
    place = world.chance.choice(world.places)
    roles = [*CALLERS, "web", "maintenance"] if place in ("saving", "committed", "published") else CALLERS
    role = world.chance.choice(roles)
    world.installation.arm(place, role, "any", passages=world.chance.randrange(3))
    _start_some(world)
    if not _happens(world):
        return None
    trial.mark()
    return f"{role} at `{place}`"


def stop_worker(trial: Trial) -> str:
    """The zombie: it sleeps until others have taken over, and goes on where it was."""
    world = trial.world
    name = world.chance.choice(WORKERS)
    world.installation.send_all(name, signal.SIGSTOP)
    trial.mark()
    _pause(world, LEASE_SECONDS + 0.5, LEASE_SECONDS + 2)
    world.installation.send_all(name, signal.SIGCONT)
    return name


def stop_between_lines(trial: Trial) -> str | None:
    """The same at a place, with an instance of its own: its message must be at the broker until the commit. When the
    zombie goes on, its instance is at the next activity.
    """
    world, instance = trial.world, str(uuid4())
    place, name = world.chance.choice(world.places), f"double-{instance}"
    world.stub.hold(f"/{name}/second")
    trial.lift = lambda: world.stub.release(f"/{name}/second")
    for role in CALLERS:
        world.installation.arm(place, role, instance, number=signal.SIGSTOP)
    world.load.start("double", name, instance=instance)
    stopped = _meets_one(world)
    for role in stopped:
        world.installation.wait(partial(world.installation.is_stopped, role))
    trial.mark()
    if stopped and place in UNCOMMITTED and not world.broker.knows(instance):
        world.damage.append(f"double {instance}: acknowledged before its outcome was committed (at `{place}`)")
    _pause(world, LEASE_SECONDS + 0.5, LEASE_SECONDS + 2)
    with suppress(AssertionError):
        world.installation.wait(lambda: world.stub.count(f"/{name}/second"), seconds=REACHED_SECONDS)
        trial.has_moved_on(instance)
    for role in stopped:
        world.installation.send_all(role, signal.SIGCONT)
    return f"{', '.join(stopped)} at `{place}`" if stopped else None


def restart_worker(trial: Trial) -> str:
    """In order, as a rolling restart does: nothing is done again."""
    name = trial.world.chance.choice(WORKERS)
    trial.world.installation.restart(name)
    return name


def step_clocks(trial: Trial) -> str | None:
    """Wall clocks of those who keep time and of those who work jump apart while one is at work, and back."""
    world, instance = trial.world, str(uuid4())
    path = f"/single-{instance}/work"
    world.stub.hold(path)
    world.load.start("single", f"single-{instance}", instance=instance)
    with suppress(AssertionError):
        world.installation.wait(lambda: world.stub.count(path), seconds=REACHED_SECONDS)
    way = world.chance.choice((1, -1))
    steps = {name: way * world.chance.uniform(60, 7200) * (1 if name == "maintenance" else -1) for name in WORKERS}
    for name, seconds in steps.items():
        world.installation.set_clock(name, seconds)
    _pause(world, LEASE_SECONDS + 0.5, LEASE_SECONDS + 1.5)
    for name in steps:
        world.installation.set_clock(name, 0)
    world.stub.release(path)
    return ", ".join(f"{name} {seconds:+.0f} s" for name, seconds in steps.items())


def take_down(attribute: str, number: int) -> Callable[[Trial], str]:
    """Return the fault that ends a server with a signal and starts it again."""

    def fault(trial: Trial) -> str:
        server = getattr(trial.world, attribute)
        server.take_down(number)
        _pause(trial.world, 0.3, 1.5)
        server.look_after()
        return server.program.name

    return fault


def flush_redis(trial: Trial) -> str:
    assert trial.world.cache is not None
    servers.flush(trial.world.cache.url)
    return "everything"


def flush_queues(trial: Trial) -> str:
    trial.world.broker.flush()
    return "every queue"


def cut_connections(trial: Trial) -> str:
    return f"{servers.cut_connections(trial.world.installation.environment['DATABASE_URL'])} sessions"


def fill_disk(trial: Trial) -> str:
    world = trial.world
    assert world.disk is not None
    assert world.database is not None
    with servers.full(world.disk):
        _pause(world, 2, 3)
    world.database.look_after()
    return "the database's"


def mistreat(way: str) -> Callable[[Trial], str | None]:
    """Return the fault that steals messages and gives them back in a way."""

    def fault(trial: Trial) -> str | None:
        with ThreadPoolExecutor(1) as beside:
            started = beside.submit(_start_some, trial.world)
            stolen = trial.world.broker.steal()
        started.result()
        count = mail.mistreat(trial.world.broker, stolen, trial.world.chance, way)
        return f"{count} messages" if count else None

    return fault


def lose_beside_long(trial: Trial) -> str | None:
    """The ring of a branch is lost, beside one that goes on for as long as it takes."""
    world, instance = trial.world, str(uuid4())
    name = f"beside-{instance}"
    world.stub.hold(f"/{name}/slow")
    trial.lift = lambda: world.stub.release(f"/{name}/slow")
    for role in CALLERS:
        world.installation.arm("ringing", role, instance, number=LEFT_UNDONE)
    world.load.start("beside", name, instance=instance)
    happened = _meets_one(world)
    trial.mark()
    return "one branch" if happened else None


def lose_on_idle_queue(trial: Trial) -> str | None:
    """The ring of the only work of its priority is lost: no later message will ever pass by."""
    world, instance = trial.world, str(uuid4())
    world.installation.arm("ringing", "web", instance, number=LEFT_UNDONE)
    world.load.start("single", f"idle-{instance}", instance=instance, priority=5)
    happened = _happens(world)
    trial.mark()
    return "one instance" if happened else None


def _start_some(world: World) -> None:
    """See to it that something goes on, whatever the load is doing."""
    for kind in ("double", "double", "double", "timer", "timer"):
        world.load.start(kind, f"{kind}-{uuid4()}")


def _meets_one(world: World) -> list[str]:
    """Wait until one of the callers has reached the place where all of them were awaited; which it was."""
    with suppress(AssertionError):
        world.installation.wait(lambda: len(world.installation.armed()) < len(CALLERS), seconds=REACHED_SECONDS)
    waiting = {name.partition(".")[0] for name in world.installation.armed()}
    world.installation.disarm()
    return [role for role in CALLERS if role not in waiting]


def _happens(world: World) -> bool:
    with suppress(AssertionError):
        world.installation.wait(lambda: not world.installation.armed(), seconds=REACHED_SECONDS)
    happened = not world.installation.armed()
    world.installation.disarm()
    return happened


@dataclass(frozen=True)
class Fault:
    """One row of the campaign's table."""

    do: Callable[[Trial], str | None]
    needs: Sequence[str] = ()
    """Attributes of the world without which it cannot be tried."""

    repeats: bool = True
    """Whether an activity may be run again for it."""


FAULTS = {
    "worker killed": Fault(kill_workers),
    "web killed": Fault(kill_web),
    "killed between two lines": Fault(kill_between_lines),
    "worker stopped and continued": Fault(stop_worker),
    "stopped between two lines": Fault(stop_between_lines),
    "rolling restart": Fault(restart_worker, repeats=False),
    "wall clocks stepped": Fault(step_clocks, repeats=False),
    "Redis killed": Fault(take_down("cache", signal.SIGKILL), ("cache",)),
    "Redis restarted": Fault(take_down("cache", signal.SIGTERM), ("cache",)),
    "Redis flushed": Fault(flush_redis, ("cache",)),
    "RabbitMQ killed": Fault(take_down("rabbitmq", signal.SIGKILL), ("rabbitmq",)),
    "RabbitMQ restarted": Fault(take_down("rabbitmq", signal.SIGTERM), ("rabbitmq",)),
    "queues emptied": Fault(flush_queues),
    "PostgreSQL restarted": Fault(take_down("database", signal.SIGINT), ("database",)),
    "PostgreSQL ended at once": Fault(take_down("database", signal.SIGQUIT), ("database",)),
    "connections cut": Fault(cut_connections),
    "disk full": Fault(fill_disk, ("database", "disk")),
    "messages doubled": Fault(mistreat("doubled")),
    "messages dropped": Fault(mistreat("dropped")),
    "messages reordered": Fault(mistreat("reordered")),
    "ring lost beside a long branch": Fault(lose_beside_long),
    "ring lost from an idle queue": Fault(lose_on_idle_queue),
}

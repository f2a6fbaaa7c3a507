"""A campaign: steady load, faults by chance of a seed, and what must hold afterwards."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from tests.crash.campaign import invariants
from tests.crash.campaign.faults import FAULTS, Fault, Trial, World
from tests.crash.campaign.invariants import Portrait, Window
from tests.crash.campaign.load import KINDS, TARGETS, Started
from tests.crash.campaign.recovery import asked
from tests.crash.campaign.silence import Silence
from tests.crash.campaign.worlds import NAMESPACE
from workflows import models
from workflows.models import FINAL_STATUSES

GIVE_UP_SECONDS = 90.0
"""Beyond any recovery, on a machine that does other things as well."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a campaign does; the same plan does the same, as far as processes do."""

    seed: int
    instances: int
    per_second: float = 4.0
    faults: Sequence[str] = tuple(FAULTS)
    kinds: Sequence[str] = tuple(KINDS)
    overlap: float = 0.25
    """Chance that a fault strikes before the one before has been recovered from."""

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.instances} instances"


@dataclass
class Report:
    """What happened."""

    plan: Plan
    setting: str
    trials: list[Trial] = field(default_factory=list)
    sequence: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Faults that could not be tried here, and why."""

    damage: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Return a row per fault: tried, recovered, longest recovery in seconds, alone and beside another fault."""
        lines = [f"{'fault':<32} {'tried':>6} {'recovered':>10} {'longest alone (s)':>18} {'beside another':>15}"]
        for name in self.plan.faults:
            if name in self.skipped:
                lines.append(f"{name:<32} {self.skipped[name]}")
                continue
            trials = [trial for trial in self.trials if trial.fault == name]
            over = [trial for trial in trials if trial.has_recovered()]
            alone = _longest(trial for trial in over if trial.is_alone)
            beside = _longest(trial for trial in over if not trial.is_alone)
            lines.append(f"{name:<32} {len(trials):>6} {len(over):>10} {alone:>18} {beside:>15}")
        return "\n".join(lines)

    def __str__(self) -> str:
        wrong = [f"wrong: {len(self.damage)}", *(f"  {each}" for each in self.damage)] if self.damage else []
        heading = [f"crash campaign: {self.plan}, {self.setting}"]
        return "\n".join([*heading, *wrong, "", self.table(), "", "sequence:", *self.sequence])


def _longest(trials: Iterable[Trial]) -> str:
    seconds = [trial.recovery.seconds for trial in trials if trial.recovery]
    return f"{max(seconds):.1f}" if seconds else ""


class Campaign:
    """One campaign on an installation that is open."""

    def __init__(self, plan: Plan, world: World, setting: str) -> None:
        self._plan = plan
        self._world = world
        self._chance = world.chance
        self._begun = time.monotonic()
        self._windows: list[tuple[Fault, float]] = []
        self._disturbed: list[Window] = []
        self._pending: list[Trial] = []
        self.report = Report(plan, setting)

    def run(self) -> Report:
        """Disturb until every instance is started, wait for the end of all, and look at what is left."""
        with Silence(self._world.installation) as silence:
            undisturbed = self._undisturbed(silence)
            if not self.report.damage:
                try:
                    self._disturb()
                    if not self._is_damaged():
                        self._await_end(self._world.load.started)
                except AssertionError as error:
                    self._note(f"it came to a stop: {error}")
                self._disturbed += silence.windows
                self._inspect(undisturbed)
        return self.report

    def _disturb(self) -> None:
        """Let one fault follow another until every instance is started and each fault has struck once, or something is
        known to be wrong.
        """
        world, plan, struck = self._world, self._plan, set[str]()
        with world.load.running(plan.instances, plan.per_second, self._chance, plan.kinds):
            for name in self._deck():
                self._strike(name)
                struck.add(name)
                has_struck = len(struck) + len(self.report.skipped) == len(plan.faults)
                if (has_struck and world.load.is_over(plan.instances)) or self._is_damaged():
                    break
        self._await_recovery()

    def _is_damaged(self) -> bool:
        return bool(self.report.damage or self._world.damage)

    def _undisturbed(self, silence: Silence) -> Mapping[str, Portrait]:
        """Return what an instance of each kind looks like when nothing happens, by kind."""
        load = self._world.load
        load.register()
        usual = [load.start(kind, f"{kind}-usual") for kind in [*self._plan.kinds, *TARGETS]]
        try:
            self._await_end(usual)
        except AssertionError as error:
            self._note(f"without any fault: {error}")
            return {}
        portraits = invariants.portray(usual, self._world.stub.calls, self._world.installation.claims())
        for wrong in [] if silence.windows else invariants.reruns(portraits):
            self._note(wrong)
        for portrait in portraits.values():
            if portrait.status != "completed":
                self._note(f"{portrait.kind} ended as {portrait.status}")
        load.started.clear()
        return {portrait.kind: portrait for portrait in portraits.values()}

    def _deck(self) -> Iterator[str]:
        """Yield faults for ever, if there are any: each comes once before any comes again."""
        possible = []
        for name in self._plan.faults:
            missing = [need for need in FAULTS[name].needs if getattr(self._world, need) is None]
            if missing:
                self.report.skipped[name] = f"not tried: needs a {' and a '.join(missing)} of its own"
            else:
                possible.append(name)
        while possible:
            yield from self._chance.sample(possible, len(possible))

    def _strike(self, name: str) -> None:
        fault, trial, begun = FAULTS[name], Trial(name, self._world), time.time()
        at = time.monotonic() - self._begun
        self._world.installation.look_after()
        self._pending.append(trial)
        self._windows.append((fault, begun))
        trial.hit = fault.do(trial)
        beside = "" if trial is self._pending[0] else ", not waiting for the one before"
        self.report.sequence.append(f"{at:7.1f} s  {name}: {trial.hit or 'did not come to it'}{beside}")
        if trial.hit is None:
            trial.recovery = None
        else:
            self.report.trials.append(trial)
            if trial.recovery is None:
                trial.mark()
        if self._chance.random() >= self._plan.overlap:
            self._await_recovery()

    def _await_recovery(self) -> None:
        """Wait until all that was disturbed has moved on, or was given up."""
        self._world.installation.wait(
            lambda: False not in {trial.is_over() for trial in self._pending},
            lambda: [trial.fault for trial in self._pending if trial.recovery and trial.recovery.waiting],
            GIVE_UP_SECONDS,
        )
        for trial in self._pending:
            trial.is_alone = len(self._pending) == 1
            if trial.recovery and trial.recovery.is_given_up():
                self._note(f"{trial.fault}: the sweeper passed over {sorted(trial.recovery.waiting)} again and again")
        now = time.time()
        self._disturbed += [(begun, now) for fault, begun in self._windows if fault.repeats]
        self._pending, self._windows = [], []

    def _await_end(self, started: Sequence[Started]) -> None:
        """Return once they have ended, and nothing of anything is open."""
        wanted = models.Instance.objects.filter(pk__in=[each.instance for each in started])
        left = models.Checkpoint.objects.all()

        def is_over() -> bool | None:
            return asked(lambda: wanted.filter(status__in=FINAL_STATUSES).count() == len(started) and not left.exists())

        def seen() -> object:
            rows = wanted.exclude(status__in=FINAL_STATUSES).values_list("workflow", "status", "pk")
            return asked(lambda: [*map(str, rows), *(f"checkpoint of {row.instance}" for row in left)])

        self._world.installation.wait(is_over, seen, GIVE_UP_SECONDS)

    def _inspect(self, undisturbed: Mapping[str, Portrait]) -> None:
        world = self._world
        for wrong in [*world.damage, *world.load.refusals]:
            self._note(wrong)
        # Calls first: a claim comes before its call.
        calls, claims = list(world.stub.calls), world.installation.claims()
        portraits = invariants.portray(world.load.started, calls, claims)
        if self._is_damaged():
            portraits = {name: portrait for name, portrait in portraits.items() if portrait.has_ended()}
        for wrong in invariants.damage(portraits, undisturbed, self._disturbed):
            self._note(wrong)
        if self._is_damaged():
            return
        try:
            world.installation.wait(lambda: not self._left_over(), self._left_over, GIVE_UP_SECONDS)
        except AssertionError as error:
            self._note(f"left over: {error}")

    def _left_over(self) -> dict[str, Any]:
        """Return messages, activities held by living processes, and claims that would stay for ever."""
        left: dict[str, Any] = dict(self._world.broker.left())
        pids = {f"/{self._world.installation.pid(name)}" for name in self._world.installation.names if name != "web"}
        for node in models.Node.objects.all():
            if node.held and any(node.name.endswith(pid) for pid in pids):
                left[node.name] = node.held
        with redis.Redis.from_url(self._world.installation.environment["CACHE_URL"]) as cache:
            lasting = [key.decode() for key in cache.keys(f"{NAMESPACE}:claim:*") if cache.ttl(key) == -1]
        return left | ({"claims": lasting} if lasting else {})

    def _note(self, wrong: str) -> None:
        self.report.damage.append(wrong)

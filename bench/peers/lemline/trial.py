"""One measurement: a definition of its own, the instances that are started of it, and what must be true of them."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.peers.lemline.site import Site, rows, wait_for
from bench.peers.lemline.statements import MARK

HEAD = "document: {dsl: 1.0.3, namespace: bench, name: %s, version: 1.0.0}\ndo:\n"
_MINE = "instance IN (SELECT id FROM workflows_instance WHERE definition_id = %s)"
_OPEN = "('pending', 'running', 'waiting', 'suspended')"


class Trial:
    """Every trial registers anew, so that its rows are told from all others by their definition."""

    def __init__(self, site: Site, tasks: str, given: Callable[[int], Mapping[str, Any]]) -> None:
        """Register a definition.

        Args:
            site: Where.
            tasks: Its top list, YAML, indented by two.
            given: The input of the instance with a number.
        """
        from workflows.models import Definition
        from workflows.runtime import operations

        self.name = f"trial-{uuid.uuid4().hex[:12]}"
        self._site = site
        self._given = given
        self._actor = operations.Actor(name="bench", door="bench", is_admin=True)
        operations.register((HEAD % self.name + tasks).encode(), actor=self._actor)
        self.definition = Definition.objects.get(namespace="bench", name=self.name).pk

    def input(self, number: int) -> bytes:
        """Return the input of an instance as JSON."""
        return json.dumps(self._given(number)).encode()

    def start(self, number: int) -> str:
        """Start an instance; its id."""
        from workflows.runtime import operations

        request = operations.StartRequest(namespace="bench", name=self.name, input=self.input(number))
        return operations.start(request, actor=self._actor).instance.id

    def start_all(self, numbers: Iterable[int]) -> None:
        """Start instances as fast as threads of this process can."""
        list(self._site.starters.map(self.start, numbers))

    def run(self, number: int) -> str:
        """Start an instance and wait for its end, as a caller would; its status."""
        from workflows.runtime import operations

        instance = self.start(number)
        return operations.get_instance(instance, actor=self._actor, wait_seconds=60).status

    def wait(self) -> None:
        """Wait until every instance has ended."""
        still_open = f"SELECT 1 FROM workflows_instance WHERE definition_id = %s AND status IN {_OPEN}"
        wait_for(f"SELECT {MARK} NOT EXISTS ({still_open})", (self.definition,), "not every instance ended")

    def check(self, count: int, steps: int, expected: Callable[[int], Any], *, apart: bool = True) -> None:
        """Raise unless all is as it should be: a run with wrong results has no figure.

        Args:
            count: Instances there are.
            steps: Activities (or whatever the tasks are) of each.
            expected: The output for the `wf` of an input.
            apart: Whether no two steps of an instance may share a transaction.
        """
        self._check_outputs(count, expected)
        self._check_history(count, steps, apart=apart)
        [(left,)] = rows("SELECT count(*) FROM workflows_checkpoint WHERE definition = %s", (self.definition,))
        assert not left, f"{left} checkpoints are left over"

    def _check_outputs(self, count: int, expected: Callable[[int], Any]) -> None:
        found: list[Any] = rows(
            "SELECT input, output FROM workflows_instance WHERE definition_id = %s AND status = 'completed'",
            (self.definition,),
        )
        assert len(found) == count, f"{len(found)} of {count} instances completed"
        outputs = [(json.loads(bytes(given))["wf"], json.loads(bytes(output))) for given, output in found]
        assert all(output == expected(wf) for wf, output in outputs), "an output is wrong"

    def _check_history(self, count: int, steps: int, *, apart: bool) -> None:
        """A step is a run of a task that holds no others; the `for` around items is recorded once besides."""
        recorded: list[Any] = rows(
            "SELECT count(*), count(DISTINCT (position, iteration)), count(DISTINCT xmin::text) FROM workflows_history"
            f" WHERE NOT is_phase AND kind <> 'for' AND {_MINE} GROUP BY instance",
            (self.definition,),
        )
        assert len(recorded) == count, "an instance has no history"
        assert all(runs == places == steps for runs, places, _ in recorded), "a step is not recorded once"
        assert not apart or all(commits == steps for _, _, commits in recorded), "steps share a transaction"

"""The specification's conformance features, run as they are through the HTTP API.

Once with everything in one process on SQLite, and once with a process per role on PostgreSQL and Redis. Only the
hosts of the public services that they call are replaced by local stubs.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.gherkin import Scenario, Step, scenarios
from tests.conformance.services import serving
from tests.crash.harness import DEV, SERVED, Installation
from tests.spec import SPEC, needs_spec
from workflows.dsl import jsontext
from workflows.dsl.yamltext import load

FEATURES = sorted((SPEC / "ctk" / "features").glob("*.feature"))
SCENARIOS = [scenario for path in FEATURES for scenario in scenarios(path)]
HOSTS = ("https://petstore.swagger.io", "https://httpbin.org")


@pytest.fixture(scope="module")
def services() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(scope="module", params=["one process", "a process per role"])
def installation(request: pytest.FixtureRequest, open_installation: Callable[..., Any]) -> Iterator[Installation]:
    if request.param == "one process":
        folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("features")
        opened = open_installation(f"sqlite:///{folder / 'features.db'}", DEV)
    else:
        broker, cache = request.getfixturevalue("redis_urls")
        opened = open_installation(request.getfixturevalue("database"), SERVED, BROKER_URL=broker, CACHE_URL=cache)
    with opened as running:
        yield running


class Run:
    """A scenario while it is played."""

    def __init__(self, installation: Installation, services: str) -> None:
        self._installation = installation
        self._services = services
        self._text = ""
        self._input: Any = {}
        self.instance: dict[str, Any] = {}

    def play(self, step: Step) -> None:
        """Do what a step says; AssertionError when it does not hold, or when nobody knows the step."""
        for pattern, do in STEPS.items():
            if match := re.fullmatch(pattern, step.text):
                do(self, step.document, *match.groups())
                return
        raise AssertionError(f"nobody knows the step {step.text!r}")

    def given_definition(self, document: str) -> None:
        for host in HOSTS:
            document = document.replace(host, self._services)
        self._text = document

    def given_input(self, document: str) -> None:
        self._input = load(document)

    def execute(self, _: str) -> None:
        document = load(self._text)
        registered = self._installation.ask("POST", "/workflows?force=true", jsontext.encode(document))
        path = "/workflows/{namespace}/{name}/{version}/run?wait=30".format_map(registered)
        self.instance = self._installation.ask("POST", path, jsontext.encode(self._input))

    def completes(self, document: str) -> None:
        assert self.instance["status"] == "completed", self.instance["error"]
        if document:
            assert self.instance["output"] == plain(load(document))

    def faults(self, document: str) -> None:
        assert self.instance["status"] == "faulted", self.instance
        for name, value in plain(load(document) if document else {}).items():
            assert standard(self.instance["error"][name]) == standard(value)

    def has_properties(self, _: str, names: str) -> None:
        for name in re.findall(r"'([^']+)'", names):
            self.property(name)

    def has_value(self, document: str, name: str) -> None:
        assert standard(self.property(name)) == standard(plain(load(document)))

    def has_items(self, _: str, name: str, count: str) -> None:
        assert len(self.property(name)) == int(count)

    def runs_after(self, _: str, later: str, earlier: str) -> None:
        names = self.names()
        assert names.index(earlier) < names.index(later), names

    def runs_first(self, _: str, name: str) -> None:
        assert self.names()[0] == name

    def runs_last(self, _: str, name: str) -> None:
        assert self.names()[-1] == name

    def property(self, path: str) -> Any:
        value = self.instance["output"]
        for name in path.split("."):
            assert isinstance(value, dict) and name in value, f"no {path} in {self.instance['output']}"  # noqa: PT018
            value = value[name]
        return value

    def names(self) -> list[str]:
        history = self._installation.ask("GET", f"/instances/{self.instance['id']}/history?limit=500")
        return [task["name"] for task in history["tasks"]]


STEPS: Mapping[str, Callable[..., None]] = {
    r"a workflow with definition:": Run.given_definition,
    r"the workflow input is:": Run.given_input,
    r"the workflow is executed": Run.execute,
    r"the workflow should complete(?: with output:)?": Run.completes,
    r"the workflow should fault(?: with error:)?": Run.faults,
    r"the workflow output should have properties (.*)": Run.has_properties,
    r"the workflow output should have a '([^']+)' property with value:": Run.has_value,
    r"the workflow output should have a '([^']+)' property containing (\d+) items": Run.has_items,
    r"(\S+) should run after (\S+)": Run.runs_after,
    r"(\S+) should run first": Run.runs_first,
    r"(\S+) should run last": Run.runs_last,
}


def plain(value: Any) -> Any:
    """Return a value as a client reads it from JSON."""
    return json.loads(jsontext.encode(value))


def standard(value: Any) -> Any:
    """Return a value with the two spellings of the standard errors' types made one, and pointers with their slash."""
    if not isinstance(value, str):
        return value
    if name := re.fullmatch(r"https://serverlessworkflow\.io/(?:spec/1\.0\.0/errors|dsl/errors/types)/(\w+)", value):
        return f"the standard error {name[1]}"
    return value


@needs_spec
def test_the_features_have_21_scenarios():
    assert len(SCENARIOS) == 21


@needs_spec
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: f"{scenario.feature}: {scenario.name}")
def test_a_scenario_holds(installation: Installation, services: str, scenario: Scenario):
    run = Run(installation, services)

    for step in scenario.steps:
        run.play(step)

    assert run.instance, "the scenario ran no workflow"

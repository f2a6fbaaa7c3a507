"""The specification's examples with `listen` play, as they are."""

from typing import Any

import pytest

from tests.builders import Instance
from tests.spec import files, needs_spec
from workflows.dsl import parse

HOT = {"temperature": 39}
FAST = {"bpm": 120}
TEMPERATURE = "com.fake-hospital.vitals.measurements.temperature"
BPM = "com.fake-hospital.vitals.measurements.bpm"


def play(name: str) -> Instance:
    [path] = [path for path in files("examples") if path.stem == name]
    return Instance(parse(path.read_bytes(), strict=True)).start()


@needs_spec
@pytest.mark.parametrize(
    ("name", "refused", "told", "output"),
    [
        ("listen-to-all", [(BPM, {"bpm": 80})], [(BPM, FAST), (TEMPERATURE, HOT)], [FAST, HOT]),
        ("listen-to-any", [], [("whatever", 1)], [1]),
        ("listen-to-any-filter", [(TEMPERATURE, {"temperature": 37})], [(TEMPERATURE, HOT)], [HOT]),
        (
            "listen-to-any-until-consumed",
            [("other", None)],
            [(TEMPERATURE, HOT), (BPM, FAST), (BPM, FAST), ("com.fake-hospital.patient.checked-out", None)],
            [HOT, FAST, FAST],
        ),
        ("listen-to-any-until-condition", [], [("a", 1), ("b", 2), ("c", 3), ("d", 4)], [1, 2, 3, 4]),
    ],
)
def test_an_example_takes_its_events_and_completes(
    name: str, refused: list[tuple[str, Any]], told: list[tuple[str, Any]], output: list[Any]
):
    played = play(name)
    assert not any(played.hear(*event) for event in refused)

    assert all(played.hear(*event) for event in told)

    assert (played.status, played.output) == ("completed", output)


@needs_spec
def test_the_example_that_reads_envelopes_puts_out_whole_events():
    played = play("listen-to-all read-envelope")

    played.hear(BPM, FAST)
    played.hear(TEMPERATURE, HOT)

    assert played.output == played.events


@needs_spec
def test_the_example_that_waits_for_one_event_goes_on_with_it():
    played = play("listen-to-one")

    played.hear("com.virtual-wf-powered-race.events.race.started.v1", {"carId": 7})

    assert played.open == ["startup"]


@needs_spec
def test_the_example_that_listens_for_ever_posts_one_event_after_the_other():
    played = play("listen-to-any-forever-foreach")
    for gossip in ("one", "two"):
        played.hear("gossip", gossip)

    for gossip in ("one", "two"):
        assert played.request("postToChatApi").arguments["body"] == {"event": gossip}
        played.succeed("postToChatApi")

    assert played.status == "waiting"


@needs_spec
def test_the_example_that_correlates_readings_takes_those_of_one_room():
    played = play("accumulate-room-readings")
    [subscribed] = played.subscriptions()
    assert subscribed.correlated

    def tell(kind: str, room: str) -> bool:
        return played.hear(f"my.home.sensors.{kind}", {}, source="https://my.home.com/sensor", roomid=room)

    assert tell("humidity", "kitchen")
    assert not tell("temperature", "hall")
    assert played.status == "waiting"
    assert tell("temperature", "kitchen")
    assert not played.subscriptions()

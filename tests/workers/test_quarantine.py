"""Suspects run in processes of their own: whoever dies there is known, and nothing else dies with it."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes import DEADLINE_SECONDS, output_of, problem_of, runs_of, state_of, status_of, wait_of
from tests.waiting import wait_until
from tests.workers.desks import Office
from workers import quarantine
from workers.activities import ActivityCall, ActivityError, ActivityResult, Cancellation, Limits
from workers.quarantine import Quarantine
from workers.quarantined import send
from workflows.engine import facts
from workflows.models import Node
from workflows.runtime.ports import Delivery


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of the quarantine are set up as a worker is, with the functions of the plug."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "lemline_site.settings")
    monkeypatch.setenv("LEMLINE_ACTIVITIES", "tests.workers.plug")


def suspect(office: Office, body: str, given: object = None) -> str:
    """Begin an instance whose first activity is a suspect; its id."""
    instance = office.start(body, given)
    for ring in (1, 2):
        wait_id = wait_of(instance, "work")
        apply(office, instance, facts.ActivityLost(at=office.runtime.now, wait_id=wait_id, ring=ring, suspected=True))
    return instance


def apply(office: Office, instance: str, fact: facts.Fact) -> None:
    settled: list[object] = []
    office.runtime.stepper.submit(instance, fact, settled.append)
    wait_until(lambda: settled)


def last(office: Office) -> list[Delivery]:
    """Take what was rung for last."""
    return office.rung()[-1:]


def calling(name: str, arguments: str = "{}") -> str:
    return f"do: [{{work: {{call: 'suspect/{name}', with: {arguments}}}}}]"


def test_a_suspect_runs_in_another_process_and_gives_what_it_gives_here(office: Office) -> None:
    instance = suspect(office, calling("show", "{value: '${ .v }'}"), {"v": [Decimal("1.10"), 10**30, "\x00", None]})
    [delivery] = last(office)

    office.deliver([delivery]).wait()

    output = output_of(instance)
    assert output["value"] == [Decimal("1.10"), 10**30, "\x00", None]
    assert output["key"] == delivery.command.idempotency_key
    assert output["process"] != os.getpid()
    assert (delivery.command.suspect, office.held) == (True, 0)


def test_a_suspect_that_takes_its_process_down_ends_its_instance_and_not_this_process(office: Office) -> None:
    instance = suspect(office, calling("die"))

    office.deliver(last(office)).wait()

    assert status_of(instance) == "faulted"
    assert problem_of(instance)["detail"] == "3 processes died while they ran the task 'work'; it is not tried again"
    assert (office.rung(), office.held) == ([], 0)


def test_it_is_rung_again_while_fewer_have_died_than_may(office: Office, settings: Any) -> None:
    execution = replace(settings.LEMLINE.execution, max_recoveries=4)
    settings.LEMLINE = replace(settings.LEMLINE, execution=execution)
    instance = suspect(office, calling("die"))

    office.deliver(last(office)).wait()

    assert status_of(instance) == "running"
    assert state_of(instance).waits[wait_of(instance, "work")].deaths == 3
    assert [each.command.suspect for each in office.rung()] == [True]


def test_a_problem_that_it_ends_with_is_the_same_as_here(office: Office) -> None:
    instance = suspect(office, calling("fail"))

    office.deliver(last(office)).wait()

    assert problem_of(instance) == {
        "type": "https://example.com/errors/broken", "status": 502, "title": "Broken", "detail": "as it is",
        "instance": "/do/0/work",
    }  # fmt: skip
    assert runs_of(instance) == ["work faulted"]


def test_what_waits_for_an_answer_is_run_there_as_well(office: Office) -> None:
    instance = suspect(office, "do: [{work: {run: {shell: {command: 'echo $PPID'}}}}]")

    office.deliver(last(office)).wait()

    assert int(output_of(instance)) != os.getpid()


def test_what_dies_of_what_another_left_behind_is_run_again_in_a_fresh_process(tmp_path: Path) -> None:
    suspects, beside = Quarantine(2), ThreadPoolExecutor(1)
    busy = beside.submit(suspects.run, call("stop/heed", folder=str(tmp_path)))
    wait_until((tmp_path / "begun").exists)

    spoilt = output(suspects.run(call("suspect/spoil")))
    kept = output(suspects.run(call("suspect/show")))
    alive = output(suspects.run(call("suspect/die", only_spoilt=True)))
    (tmp_path / "go").touch()

    assert (kept["process"], kept["spoilt"]) == (spoilt, [True])
    assert alive not in (spoilt, output(busy.result()), os.getpid())
    assert suspects._idle == []


def test_no_more_run_at_once_than_there_is_room_for(tmp_path: Path) -> None:
    suspects, beside = Quarantine(2), ThreadPoolExecutor(3)
    waiting = [beside.submit(suspects.run, call("stop/heed", folder=str(tmp_path))) for _ in range(3)]
    wait_until(lambda: suspects._wanted == 3 and len(begun(tmp_path)) == 2, lambda: begun(tmp_path))

    (tmp_path / "go").touch()

    assert {output(each.result()) for each in waiting} == set(begun(tmp_path))
    assert len(begun(tmp_path)) == 3


def test_what_does_not_stop_when_it_is_told_to_is_killed_and_not_blamed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(quarantine, "STOP_SECONDS", 0.1)
    suspects, deaf = Quarantine(), call("stop/ignore", folder=str(tmp_path))
    running = ThreadPoolExecutor(1).submit(suspects.run, deaf)
    wait_until((tmp_path / "begun").exists)

    deaf.cancelled.set()

    with pytest.raises(ActivityError, match="stopped"):
        running.result()
    assert not alive(begun(tmp_path)[0])


def test_a_process_whose_worker_is_gone_ends_by_itself(tmp_path: Path) -> None:
    cell = quarantine._Cell()
    send(cell._pipe, {**quarantine._given(call("stop/ignore", folder=str(tmp_path))), "number": 1})
    wait_until((tmp_path / "begun").exists)

    cell._pipe.close()

    assert cell._process.wait(DEADLINE_SECONDS) == 0


def test_while_no_process_can_be_started_a_suspect_waits_and_is_held(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quarantine, "AGAIN_SECONDS", 0.05)
    instance = suspect(office, calling("show"))
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/bin/false")
        delivered = office.deliver(last(office))
        wait_until(lambda: "quarantine.closed" in caplog.messages)
        assert office.held == 1

    delivered.wait()

    assert status_of(instance) == "completed"


def test_a_suspect_of_a_worker_that_stops_is_handed_back_without_blame(office: Office, tmp_path: Path) -> None:
    instance = suspect(office, f"do: [{{work: {{call: stop/heed, with: {{folder: '{tmp_path}'}}}}}}]")
    delivered = office.deliver(last(office))
    wait_until((tmp_path / "begun").exists)

    office.desk.hand_back(DEADLINE_SECONDS)

    assert delivered.was_handed_back
    assert state_of(instance).waits[wait_of(instance, "work")].deaths == 2
    assert (runs_of(instance), office.held) == ([], 0)


def test_while_its_outcome_is_applied_the_database_says_of_whom_this_process_would_die(office: Office) -> None:
    presence = office.runtime.process.presence
    now = office.runtime.now
    Node.objects.create(pk=presence.id, name="n", started_at=now, seen_at=now)
    instance, told = suspect(office, calling("show")), []
    [delivery] = last(office)
    office.runtime.records.before["save"] = lambda _: told.append(Node.objects.get(pk=presence.id).trying)

    office.deliver([delivery]).wait()

    assert status_of(instance) == "completed"
    assert told == [[instance, delivery.command.wait_id, delivery.command.ring]]
    assert Node.objects.get(pk=presence.id).trying == []


def call(name: str, **given: object) -> ActivityCall:
    return ActivityCall(
        kind="function", arguments={"function": name, "with": given}, idempotency_key="k", instance_id="i", wait_id="1",
        position="/do/0/work", name="work", attempt=1, definition=("tests", "played", "1.0.0"), timeout_seconds=None,
        secrets=lambda _: None, seal="", limits=Limits(), cancelled=Cancellation(),
    )  # fmt: skip


def output(result: ActivityResult | ActivityError) -> Any:
    assert isinstance(result, ActivityResult), result
    return result.output


def begun(folder: Path) -> list[int]:
    """Return the processes that began a `stop/...`."""
    file = folder / "begun"
    return list(map(int, file.read_text().split())) if file.exists() else []


def alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()

"""Couriers: what is told reaches the sinks, in order, whatever fails in between."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from lemline_site.services.program import free_port
from tests.receivers import Got, Receiver, receiving
from tests.runtimes import Runtime
from tests.sinks import sink, tell
from tests.waiting import wait_until
from workers.courier import Courier
from workflows.models import OutgoingEvent, Sink
from workflows.runtime import deliveries

ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.fixture(autouse=True)
def quick(configure: Callable[[Mapping[str, str]], None]) -> None:
    configure(
        {
            "lemline.http.private-addresses": "loopback",
            "lemline.events.sinks.first-pause": "PT0.02S",
            "lemline.events.sinks.longest-pause": "PT0.05S",
            "lemline.events.sinks.attempts": "3",
            "lemline.events.sinks.timeout": "PT2S",
        }
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def new_courier(database: str) -> Iterator[Callable[..., Courier]]:
    """Start one more courier, of a process of its own."""
    with ExitStack() as stack:

        def make(lease_seconds: float = 30.0) -> Courier:
            runtime = Runtime()
            stack.callback(runtime.close)
            courier = Courier(runtime.process, lease_seconds)
            courier.start()
            stack.callback(lambda: courier._thread.is_alive() and courier.stop())
            return courier

        yield make


def left() -> int:
    return OutgoingEvent.objects.count()


def standing(row: Sink) -> Sink:
    row.refresh_from_db()
    return row


def test_events_of_an_instance_arrive_in_their_order_and_their_rows_go(
    new_courier: Callable[..., Courier], receiver: Receiver
) -> None:
    out = sink(receiver.url)
    tell(out, ONE, *range(30))
    tell(out, TWO, *range(30))

    new_courier()
    wait_until(lambda: not left())
    tell(out, ONE, *range(30, 40))
    wait_until(lambda: not left())

    assert receiver.numbers(str(ONE)) == list(range(40))
    assert receiver.numbers(str(TWO)) == list(range(30))
    assert receiver.got[0].headers["content-type"] == "application/cloudevents+json"
    wait_until(lambda: standing(out).delivered == 70)
    assert (out.problem, out.failures) == ("", 0)


def test_a_sink_that_is_away_loses_nothing_and_holds_up_no_other(
    new_courier: Callable[..., Courier], receiver: Receiver
) -> None:
    port = free_port()
    away, out = sink(f"http://127.0.0.1:{port}/", "away"), sink(receiver.url)
    for number, instance in enumerate((ONE, TWO, *(uuid4() for _ in range(20)))):
        tell(away, instance, number)
        tell(out, instance, number)

    courier = new_courier()
    wait_until(lambda: len(receiver.got) == 22)
    wait_until(lambda: standing(away).failures >= 5)

    assert "127.0.0.1" in away.problem
    waiting = OutgoingEvent.objects.filter(sink=away.pk)
    assert {(row.attempts, row.given_up_at) for row in waiting} == {(0, None)}
    assert len(waiting) == 22
    Sink.objects.filter(pk=away.pk).update(url=receiver.url)
    wait_until(lambda: not left())
    courier.stop()
    assert sorted(receiver.numbers()) == sorted([*range(22)] * 2)
    assert (standing(away).failures, away.problem) == (0, "")


@pytest.mark.parametrize("status", [429, 503, 404, 401, 302, 500])
def test_a_sink_that_takes_nothing_for_a_while_gets_all_in_order_afterwards(
    new_courier: Callable[..., Courier], receiver: Receiver, status: int
) -> None:
    receiver.answer = lambda _: status if len(receiver.refused) < 8 else 204
    out = sink(receiver.url)
    tell(out, ONE, *range(5))
    tell(out, TWO, *range(5))

    new_courier()
    wait_until(lambda: not left())

    assert receiver.numbers(str(ONE)) == receiver.numbers(str(TWO)) == list(range(5))
    assert len(receiver.refused) == 8


def test_a_sink_is_left_alone_for_as_long_as_it_asks(new_courier: Callable[..., Courier], receiver: Receiver) -> None:
    receiver.answer = lambda _: (503, {"Retry-After": "600"})
    out = sink(receiver.url)
    tell(out, ONE, 1)

    new_courier()
    wait_until(lambda: standing(out).failures)

    assert out.resting_until is not None
    assert out.resting_until - timezone.now() > timedelta(seconds=500)
    assert len(receiver.refused) == 1


@pytest.mark.parametrize("status", [400, 422, 500])
def test_an_event_that_is_refused_while_others_are_taken_is_a_dead_letter_and_holds_up_nobody(
    new_courier: Callable[..., Courier], receiver: Receiver, status: int
) -> None:
    receiver.answer = lambda got: status if got.event["data"] == 1 else 204
    out = sink(receiver.url)
    tell(out, ONE, 0, 1, 2, 3)
    tell(out, TWO, *range(4, 10))

    new_courier()

    def is_given_up() -> bool:
        if left() == 1:
            return OutgoingEvent.objects.filter(given_up_at__isnull=False).exists()
        tell(out, uuid4(), 100)
        return False

    wait_until(is_given_up)
    [letter] = OutgoingEvent.objects.all()
    assert (letter.attempts, letter.event_id) == (3, f"{ONE}-1")
    assert str(status) in letter.problem
    assert receiver.numbers(str(ONE)) == [0, 2, 3]
    assert receiver.numbers(str(TWO)) == list(range(4, 10))

    receiver.answer = lambda _: 204
    assert deliveries.redeliver({"pk": letter.pk}, timezone.now()) == 1
    wait_until(lambda: not left())
    assert receiver.numbers(str(ONE)) == [0, 2, 3, 1]


def test_an_event_waits_for_the_one_before_it(new_courier: Callable[..., Courier], receiver: Receiver) -> None:
    out = sink(receiver.url)
    tell(out, ONE, 0, 1)
    OutgoingEvent.objects.filter(event_id=f"{ONE}-0").update(due_at=timezone.now() + timedelta(hours=1))

    new_courier()
    second = OutgoingEvent.objects.filter(event_id=f"{ONE}-1")
    wait_until(lambda: second.get().due_at > timezone.now())
    assert not receiver.got
    OutgoingEvent.objects.update(due_at=timezone.now())
    wait_until(lambda: not left())

    assert receiver.numbers() == [0, 1]


def test_binary_events_are_signed_by_the_secret_and_let_in_by_the_credentials(
    new_courier: Callable[..., Courier], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = sink(receiver.url, mode="binary", secret="sign", credentials="door")
    tell(out, ONE, 7, subject="Zürich 1%")
    courier = new_courier()
    wait_until(lambda: standing(out).problem)
    assert out.problem == "the secret 'door' is not provided here"

    monkeypatch.setenv("LEMLINE_SECRET_SIGN", "whsec_c2VjcmV0")
    monkeypatch.setenv("LEMLINE_SECRET_DOOR", "open sesame")
    wait_until(lambda: not left())
    courier.stop()

    [got] = receiver.got
    assert got.body == b"7"
    wanted = {
        "content-type": "application/json", "ce-id": f"{ONE}-7", "ce-source": "/tests", "ce-type": "counted",
        "ce-specversion": "1.0", "ce-instance": str(ONE), "ce-subject": "Z%C3%BCrich%201%25",
        "authorization": "Bearer open sesame",
    }  # fmt: skip
    assert wanted.items() <= got.headers.items()
    assert "ce-datacontenttype" not in got.headers
    check_signature(got, b"secret")


def check_signature(got: Got, key: bytes) -> None:
    """As a receiver would, without a line of ours."""
    import base64
    import hashlib
    import hmac

    text = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    wanted = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{wanted}"


def test_private_addresses_are_not_reached_unless_they_are_allowed(
    new_courier: Callable[..., Courier], receiver: Receiver, configure: Callable[[Mapping[str, str]], None]
) -> None:
    configure({"lemline.http.private-addresses": ""})
    out = sink(receiver.url)
    tell(out, ONE, 1)

    new_courier()
    wait_until(lambda: standing(out).problem)

    assert "lemline.http.private-addresses" in out.problem
    assert not receiver.got


def test_one_courier_sends_at_a_time_and_another_goes_on(
    new_courier: Callable[..., Courier], receiver: Receiver
) -> None:
    out = sink(receiver.url)
    first = new_courier()
    wait_until(lambda: standing(out).held_by == first._id)
    second = new_courier()
    tell(out, ONE, *range(5))
    wait_until(lambda: not left())
    assert standing(out).held_by == first._id

    first.stop()
    tell(out, ONE, *range(5, 10))
    wait_until(lambda: not left())

    assert standing(out).held_by == second._id
    assert receiver.numbers() == list(range(10))


def test_the_lease_of_a_courier_that_is_gone_runs_out(new_courier: Callable[..., Courier], receiver: Receiver) -> None:
    out = sink(receiver.url, held_by=uuid4(), held_until=timezone.now() + timedelta(seconds=0.3))
    tell(out, ONE, 1)

    new_courier()
    wait_until(lambda: not left())

    assert timezone.now() > out.held_until  # type: ignore[operator]


def test_what_a_sink_took_is_not_sent_again_when_the_database_was_away(
    new_courier: Callable[..., Courier], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, failures = deliveries.settle, []

    def away(*args: Any) -> Any:
        if len(failures) < 2:
            failures.append(args)
            raise OSError("the database is away")
        return settle(*args)

    monkeypatch.setattr(deliveries, "settle", away)
    monkeypatch.setattr("workers.route.REST_SECONDS", 0.01)
    out = sink(receiver.url)
    tell(out, ONE, *range(5))

    new_courier()
    wait_until(lambda: not left())

    assert receiver.numbers() == list(range(5))
    assert len(failures) == 2


def test_rows_of_a_sink_that_is_gone_go_too(new_courier: Callable[..., Courier]) -> None:
    out = sink("https://sink.example")
    tell(out, ONE, 1, 2)
    Sink.objects.all().delete()

    new_courier()

    wait_until(lambda: not left())

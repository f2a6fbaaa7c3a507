"""The order example, with its workers killed in the middle."""

import json
from collections.abc import Iterator

import pytest

from examples.order.shop import TOKEN, Mischief, Shop, serve
from tests.crash.conftest import Open
from tests.crash.harness import ROOT, SERVED, Installation
from workflows import models

ORDER = ROOT / "examples/order"


@pytest.fixture
def shop() -> Iterator[tuple[str, Shop]]:
    """Its URL and what it did. It takes its time, so that there is a middle."""
    server, shop = serve(Mischief(delay_seconds=0.2))
    yield f"http://127.0.0.1:{server.server_port}", shop
    server.shutdown()
    server.server_close()


@pytest.fixture
def shopping(open_installation: Open, database: str, redis_urls: tuple[str, str]) -> Iterator[Installation]:
    broker, cache = redis_urls
    # The order gives a charge two seconds: were the lease as long, timeout and sweeper would both have it tried again.
    more = {"LEMLINE_SECRET_SHOPTOKEN": TOKEN, "LEMLINE_EXECUTION_LEASE": "20s"}
    with open_installation(database, SERVED, BROKER_URL=broker, CACHE_URL=cache, **more) as opened:
        yield opened


def test_an_order_whose_workers_are_killed_while_it_is_charged_is_shipped_and_charged_once(
    shopping: Installation, shop: tuple[str, Shop]
) -> None:
    url, books = shop
    shopping.ask("POST", "/workflows", (ORDER / "order.yaml").read_bytes(), "application/yaml")
    order = json.loads((ORDER / "order.json").read_text("utf-8"))
    instance = shopping.ask("POST", "/workflows/examples/order/run", {"shop": url, "order": order})["id"]

    shopping.wait(lambda: books.charges)
    shopping.kill("http", "compute")
    running = models.Instance.objects.get(pk=instance).status
    shopping.revive()
    [ending] = shopping.await_end(instance)

    assert running == "running"
    assert (ending.status, ending.output) == ("completed", json.loads((ORDER / "expected/shipped.json").read_text()))
    assert books.attempts == 2
    assert [line for line in books.ledger if line.startswith("charged")] == ["charged 11150 on 4242"]
    assert sorted(line.split()[0] for line in books.ledger) == ["booked", "charged", "reserved", "reserved", "wrote"]

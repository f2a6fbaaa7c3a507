import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.order.shop import TOKEN, Mischief, serve

ROOT = Path(__file__).parents[2]
ORDER = ROOT / "examples/order"

RESERVED = ["reserved 1 1001-keyboard", "reserved 3 1001-cable"]
RELEASED = ["released 1001-keyboard", "released 1001-cable"]
CHARGED = ["charged 11150 on 4242"]
HANDED_OVER = ["wrote to ada: Thank you, your order is on its way.", "booked a parcel for 1001"]


def sorry(title):
    return f"wrote to ada: We are sorry, your order cannot be fulfilled ({title})."


@pytest.fixture
def order(process_environment):
    """Run the order workflow as `make order` does; what it put out, and the shop's ledger."""
    servers = []

    def run(mischief, **changes):
        server, shop = serve(mischief)
        servers.append(server)
        given = {"shop": f"http://127.0.0.1:{server.server_port}"}
        given["order"] = json.loads((ORDER / "order.json").read_text("utf-8")) | changes
        done = subprocess.run(
            [
                sys.executable,
                "manage.py",
                "lemline",
                "workflow",
                "run",
                ORDER / "order.yaml",
                "--input",
                json.dumps(given),
            ],
            cwd=ROOT,
            env=process_environment | {"LEMLINE_SECRET_SHOPTOKEN": TOKEN},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), shop.ledger

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def expected(name):
    return json.loads((ORDER / f"expected/{name}.json").read_text("utf-8"))


def test_an_order_is_shipped(order):
    output, ledger = order(Mischief())

    assert output == expected("shipped")
    assert ledger[:3] == RESERVED + CHARGED
    assert sorted(ledger[3:]) == sorted(HANDED_OVER)


def test_a_service_that_is_down_for_a_while_is_asked_again(order):
    output, ledger = order(Mischief(failing_charges=3))

    assert output == expected("shipped")
    assert ledger[:3] == RESERVED + CHARGED


def test_a_charge_that_was_answered_too_late_is_charged_once(order):
    output, ledger = order(Mischief(hanging_charges=1))

    assert output == expected("shipped")
    assert [line for line in ledger if "charged" in line] == CHARGED


def test_a_declined_card_gives_the_stock_back(order):
    output, ledger = order(Mischief(declines=True))

    assert output == expected("declined")
    assert ledger[:-1] == RESERVED + RELEASED


def test_an_item_that_is_sold_out_releases_what_was_reserved_before(order):
    output, ledger = order(Mischief(sold_out="cable"))

    assert output == expected("sold-out")
    assert ledger[:-1] == RESERVED[:1] + RELEASED[:1]


def test_a_lost_parcel_gives_the_money_back(order):
    output, ledger = order(Mischief(loses_parcels=True))

    assert output == expected("lost-parcel")
    assert [line for line in ledger if not line.startswith("wrote")] == [
        *RESERVED,
        *CHARGED,
        *RELEASED,
        "refunded charge-1",
    ]


def test_a_large_order_beyond_the_credit_is_refused_before_anything_is_reserved(order):
    items = [{"sku": "keyboard", "quantity": 10, "cents": 8900}]

    output, ledger = order(Mischief(credit=500), items=items)

    assert output["because"] == {"status": 402, "at": "/do/1/fulfil/try/3/refuse"}
    assert ledger == [sorry("Credit too low")]

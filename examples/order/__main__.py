"""`python -m examples.order`: opens the shop, runs the order workflow against it, shows what both say.

Without --api, in this process's own engine; with it, on a server (`make dev`, `make up`), which must
know the shop's token as LEMLINE_SECRET_SHOPTOKEN.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from examples.order.shop import TOKEN, Mischief, serve

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def main() -> int:
    """Run the example as the flags say."""
    options = _parser().parse_args()
    server, shop = serve(_mischief(options), options.shop_port)
    order = json.loads((HERE / "order.json").read_text("utf-8"))
    given = json.dumps({"shop": f"http://127.0.0.1:{server.server_port}", "order": order})
    code = _on_server(options, given) if options.api else _embedded(given)
    server.shutdown()
    print("\nThe shop's ledger:", *shop.ledger, sep="\n  ", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make order", description="The order example.")
    parser.add_argument("--failing-charges", type=int, default=0, metavar="N", help="answer the first N with 503")
    parser.add_argument("--hanging-charges", type=int, default=0, metavar="N", help="charge, but answer too late")
    parser.add_argument("--declines", action="store_true", help="decline the card")
    parser.add_argument("--sold-out", default="", metavar="SKU", help="an item that is out of stock: cable")
    parser.add_argument("--loses-parcels", action="store_true", help="close the connection where parcels are booked")
    parser.add_argument("--credit", type=int, default=100_000, metavar="CENTS", help="what customers are good for")
    parser.add_argument("--delay-seconds", type=float, default=0, metavar="S", help="every answer takes so long")
    parser.add_argument("--api", metavar="URL", help="run it on this server: http://127.0.0.1:8080")
    parser.add_argument("--key", metavar="KEY", help="an API key of that server")
    parser.add_argument("--shop-port", type=int, default=0, metavar="PORT", help="where the shop listens")
    return parser


def _mischief(options: argparse.Namespace) -> Mischief:
    return Mischief(
        failing_charges=options.failing_charges,
        hanging_charges=options.hanging_charges,
        declines=options.declines,
        sold_out=options.sold_out,
        loses_parcels=options.loses_parcels,
        credit=options.credit,
        delay_seconds=options.delay_seconds,
    )


def _embedded(given: str) -> int:
    command = [sys.executable, str(ROOT / "manage.py"), "lemline", "workflow", "run", str(HERE / "order.yaml")]
    environment = {"LEMLINE_HTTP_PRIVATE_ADDRESSES": "loopback", **os.environ, "LEMLINE_SECRET_SHOPTOKEN": TOKEN}
    return subprocess.run([*command, "--input", given], env=environment, check=False).returncode


def _on_server(options: argparse.Namespace, given: str) -> int:
    """Run it on a server, and wait for its end as long as it takes: the server may be restarted meanwhile."""

    def ask(method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> dict[str, object]:
        headers = {"Authorization": f"Bearer {options.key}", "Content-Type": kind}
        request = urllib.request.Request(f"{options.api}/api/v1{path}", body, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return dict(json.load(answer))

    ask("POST", "/workflows", (HERE / "order.yaml").read_bytes(), "application/yaml")
    instance = ask("POST", "/workflows/examples/order/run", given.encode())
    while instance["endedAt"] is None:
        try:
            instance = ask("GET", f"/instances/{instance['id']}?wait=30")
        except OSError as error:
            print(f"waiting: {error}", file=sys.stderr)
            time.sleep(1)
    print(json.dumps(instance["output"] or instance["error"], indent=2, ensure_ascii=False))
    print(f"{instance['id']} {instance['status']}", file=sys.stderr)
    return 0 if instance["status"] == "completed" else 7


if __name__ == "__main__":
    sys.exit(main())

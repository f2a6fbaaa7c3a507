"""The long campaign: `make crash N=1000 SEED=7 BROKER=rabbitmq`."""

import argparse
import os
import random
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run one campaign and print what it found. Returns 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("-n", type=int, default=1000, help="instances in all")
    parser.add_argument("--seed", type=int, help="of the faults and of what is started; by chance without it")
    parser.add_argument("--broker", choices=("redis", "rabbitmq"), default="redis")
    parser.add_argument("--per-second", type=float, default=4.0, help="instances started per second")
    parser.add_argument("--faults", default="", help="only these, separated by commas")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="environment of the processes")
    given = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed

    from tests.crash.campaign.engine import Campaign, Plan
    from tests.crash.campaign.faults import FAULTS
    from tests.crash.campaign.worlds import opened

    faults = tuple(filter(None, given.faults.split(","))) or tuple(FAULTS)
    plan = Plan(seed=seed, instances=given.n, per_second=given.per_second, faults=faults)
    setting = " ".join([given.broker, *given.set])
    print(f"crash campaign: {plan}, {setting}", flush=True)
    with opened(seed, given.broker, dict(each.split("=", 1) for each in given.set)) as world:
        report = Campaign(plan, world, setting).run()
        logs = world.installation.logs() if report.damage else ""
    print(report)
    if logs:
        print(logs)
    return int(bool(report.damage))


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    sys.exit(main(sys.argv[1:]))

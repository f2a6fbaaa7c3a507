"""The short form of the campaign that `make crash` runs at length."""

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.crash.campaign.engine import Campaign, Plan
from tests.crash.campaign.worlds import opened


def test_under_load_whatever_breaks_nothing_is_lost_and_nothing_is_applied_twice(
    django_db_blocker: DjangoDbBlocker,
) -> None:
    plan = Plan(seed=20, instances=130, overlap=0.5)

    with django_db_blocker.unblock(), opened(plan.seed) as world:
        report = Campaign(plan, world, "redis").run()

    if report.damage:
        pytest.fail(str(report), pytrace=False)
    assert sum(trial.has_recovered() for trial in report.trials) == len(report.trials) > 10

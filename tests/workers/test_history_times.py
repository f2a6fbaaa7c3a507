"""Where the time of an activity went: how long it waited for a worker, and how long it ran, and where."""

from tests.workers.desks import Office
from workers.activities import activity
from workflows.models import History

BODY = """
do:
  - prepare: {set: {n: 1}}
  - safe:
      try: [{work: {call: tests/work}}]
      catch: {retry: {limit: {attempt: {count: 1}}}}
"""


def test_the_history_tells_waiting_from_running_for_each_attempt(office: Office):
    @activity("tests/work")
    def work() -> None:
        raise ValueError("no")

    instance = office.start(BODY)
    office.work()

    rows = {(row.name, row.attempt): row for row in History.objects.filter(instance=instance, is_phase=False)}
    first, second = rows["work", 1], rows["work", 2]
    assert first.queued_at < first.started_at < first.ended_at
    assert first.ended_at <= second.queued_at < second.started_at < second.ended_at
    assert first.worker == office.runtime.process.presence.name
    assert rows["prepare", 1].queued_at is None

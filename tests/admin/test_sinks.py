"""The pages of sinks and of events that were given up."""

from uuid import UUID

from django.test import Client

from tests.admin.conftest import STEER, VIEW, browser_of
from tests.admin.test_actions import told
from tests.sinks import lose, sink, tell
from workflows.models import AuditEntry, OutgoingEvent

LIST = "/admin/workflows/lostevent/"
ONE = UUID(int=1)


def test_sinks_are_shown_with_what_waits_and_lead_to_what_was_lost(browser: Client) -> None:
    out = sink(failures=3, problem="nobody answers")
    tell(out, ONE, 1, 2)
    lose(out, ONE, 3)

    listed = browser.get("/admin/workflows/sink/").content.decode()
    shown = browser.get(f"/admin/workflows/sink/{out.pk}/change/").content.decode()

    for text in ("nobody answers", "away, tried again", "2, since", f'href="{LIST}?sink={out.pk}"'):
        assert text in listed
        assert text in shown


def test_lost_events_are_shown_whole_and_by_sink(browser: Client) -> None:
    lost = lose(sink(), ONE, 7)
    tell(sink(name="two"), ONE, 8)

    listed = browser.get(LIST, {"sink": lost.sink}).content.decode()
    shown = browser.get(f"{LIST}{lost.pk}/change/").content.decode()

    assert (f"{ONE}-7" in listed, f"{ONE}-8" in listed) == (True, False)
    assert f'href="/admin/workflows/instance/{ONE}/change/"' in listed
    assert "&quot;data&quot;: 7" in shown


def test_redelivering_asks_for_the_reason_and_is_recorded(browser: Client) -> None:
    lost = lose(sink(), ONE, 7)
    asked = browser.post(LIST, {"action": "redeliver", "_selected_action": [lost.pk]})
    assert 'name="reason"' in asked.content.decode()

    done = browser.post(LIST, {"action": "redeliver", "_selected_action": [lost.pk], "reason": "mended"})

    assert told(done)[-1] == "redeliver: 1 done."
    assert OutgoingEvent.objects.get().given_up_at is None
    assert AuditEntry.objects.get(action="event.redeliver").door == "admin"


def test_who_may_only_look_redelivers_nothing(sqlite: str) -> None:
    lost = lose(sink(), ONE, 7)
    order = {"action": "redeliver", "_selected_action": [lost.pk], "reason": "x"}

    browser_of("viewer", *VIEW, "view_lostevent").post(LIST, order)
    assert OutgoingEvent.objects.get().given_up_at is not None

    browser_of("steerer", *STEER, "view_lostevent").post(LIST, order)
    assert OutgoingEvent.objects.get().given_up_at is None

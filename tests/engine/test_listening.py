"""listen and emit: what the table of strategies does not show."""

from datetime import timedelta

import pytest

from tests.builders import START, Instance, run
from workflows.engine.commands import Subscribe
from workflows.engine.facts import EventArrived

FOREVER = "listen: {to: {any: [{with: {type: a}}], until: 'false'}}"
FOREACH = "do: [{work: {call: work, with: {n: '${ $item.n }'}}}]"


@pytest.mark.parametrize(
    ("read", "data", "output"),
    [
        ("data", {"n": 1}, {"n": 1}),
        ("data", "text", "text"),
        ("data", None, None),
        ("raw", {"n": [1, None]}, '{"n":[1,null]}'),
        ("raw", "text", "text"),
        ("raw", None, None),
    ],
)
def test_it_reads_data_as_a_value_or_as_text(read, data, output):
    played = run(f"do: [{{hear: {{listen: {{read: {read}, to: {{any: []}}}}}}}}]")

    played.hear("a", data)

    assert played.output == [output]


@pytest.mark.parametrize("read", ["data", "raw"])
def test_binary_data_is_read_in_base64(read):
    played = run(f"do: [{{hear: {{listen: {{read: {read}, to: {{any: []}}}}}}}}]")

    played.hear("a", data_base64="AAE=")

    assert played.output == ["AAE="]


def test_an_envelope_is_the_whole_event():
    played = run("do: [{hear: {listen: {read: envelope, to: {any: []}}}}]")

    played.hear("a", {"n": 1}, orderid="o-1")

    assert played.output == played.events


def test_it_waits_and_lets_nobody_be_rung():
    played = run("do: [{hear: {listen: {to: {any: []}}}}]")

    assert (played.status, played.state.has_open_activities()) == ("waiting", False)
    [command] = played.commands
    assert isinstance(command, Subscribe)
    assert (command.position, command.since, command.correlated) == ("/do/0/hear", START, False)


def test_foreach_binds_item_and_index_by_default_and_its_stages_see_them():
    played = run(
        """
        do:
          - hear:
              listen: {to: {all: [{with: {type: a}}, {with: {type: b}}]}}
              foreach:
                output: {as: '${ {n: $item.n, at: $index, was: .} }'}
                export: {as: '$context + {sum: (($context.sum // 0) + .n)}'}
          - done: {set: {heard: '${ . }', sum: '${ $context.sum }'}}
        """
    )

    played.hear("b", {"n": 3})
    played.hear("a", {"n": 4})

    heard = [{"n": 3, "at": 0, "was": {"n": 3}}, {"n": 4, "at": 1, "was": {"n": 4}}]
    assert played.output == {"heard": heard, "sum": 7}


def test_events_that_come_while_foreach_works_wait_for_their_turn():
    played = run(f"do: [{{hear: {{{FOREVER}, foreach: {{{FOREACH}}}}}}}]")
    for n in range(3):
        played.hear("a", {"n": n})

    for n in range(3):
        assert [request.arguments["with"]["n"] for request in played.requests()] == [n]
        played.succeed("work")

    assert played.status == "waiting"


def test_a_listener_that_never_ends_keeps_nothing_of_what_came_of_its_events():
    played = run(f"do: [{{hear: {{{FOREVER}, foreach: {{{FOREACH}}}}}}}]")

    for n in range(20):
        played.hear("a", {"n": n})
        played.succeed("work", "x" * 1000)

    [memo] = [frame.memo for frame in played.state.frames.values() if frame.memo]
    assert (memo.count, memo.outputs, memo.queue) == (20, (), ())


def test_events_taken_beyond_the_end_are_left_to_later_listeners():
    order = "correlate: {order: {from: .orderid, expect: o-1}}"
    played = run(
        f"""
        do:
          - first:
              listen: {{to: {{any: [{{with: {{type: a}}, {order}}}], until: 'length == 1'}}}}
              foreach: {{{FOREACH}}}
          - second: {{listen: {{to: {{one: {{with: {{type: a}}, {order}}}}}}}}}
        """
    )
    at = played.now
    played.wait(1)
    for n in (1, 2):
        assert played.hear("a", {"n": n}, orderid="o-1")
    played.succeed("work")
    assert not played.offer(played.events[0], kept_from=at)

    assert played.offer(played.events[1], kept_from=at)

    assert played.output == [{"n": 2}]


def test_what_was_kept_is_for_filters_that_correlate_only():
    played = run(
        """
        do:
          - hear:
              listen: {to: {any: [{with: {type: a}}, {with: {type: b}, correlate: {o: {from: .data.o}}}]}}
        """
    )
    before = played.now - timedelta(seconds=1)

    assert not played.hear("a", kept_from=before)
    assert played.hear("b", {"o": 1}, kept_from=before)


def test_two_branches_that_listen_for_the_same_event_both_get_it_kept_or_not():
    order = "correlate: {order: {from: .orderid, expect: o-1}}"
    branch = f"listen: {{to: {{one: {{with: {{type: a}}, {order}}}}}}}"
    played = run(f"do: [{{both: {{fork: {{branches: [{{one: {{{branch}}}}}, {{two: {{{branch}}}}}]}}}}}}]")

    played.hear("a", {"n": 1}, kept_from=played.now - timedelta(seconds=1), orderid="o-1")

    assert played.output == [[{"n": 1}], [{"n": 1}]]


def test_a_binding_narrows_the_subscription_and_is_given_again_under_the_same_wait():
    by_order = "correlate: {order: {from: .data.order}}"
    played = run(
        f"""
        do:
          - hear: {{listen: {{to: {{all: [{{with: {{type: a}}, {by_order}}}, {{with: {{type: b}}, {by_order}}}]}}}}}}
        """
    )
    [wide] = played.subscriptions()
    played.hear("b", {"order": 7})

    [narrow] = played.subscriptions()

    assert (wide.bound, narrow.bound, narrow.again) == ({}, {"order": 7}, True)
    assert narrow.wait_id == wide.wait_id
    assert [pattern.type for pattern in narrow.patterns] == ["a"]


def test_a_filter_that_fails_on_an_event_takes_nothing_and_complains():
    played = run("do: [{hear: {listen: {to: {one: {with: {type: a, data: '${ .n + 1 > 0 }'}}}}}}]")
    [subscribed] = played.subscriptions()
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "a", "data": {"n": "text"}}

    step = played.apply(EventArrived(at=played.now, wait_id=subscribed.wait_id, event=event))

    assert not step.changed
    assert "cannot be added" in step.complaint
    assert played.hear("a", {"n": 1})


def test_an_expectation_of_null_is_a_problem_at_once():
    played = run(
        "do: [{hear: {listen: {to: {one: {with: {type: a}, correlate: {o: {from: .id, expect: '${ .o }'}}}}}}}]"
    )

    assert "nothing correlates with null" in played.problem.detail


def test_a_fault_in_foreach_can_be_retried_with_what_was_taken_before():
    played = run(
        f"""
        do:
          - hear: {{listen: {{to: {{any: [{{with: {{type: a}}}}], until: 'length > 2'}}}}, foreach: {{{FOREACH}}}}}
        """
    )
    for n in range(2):
        played.hear("a", {"n": n})
    played.succeed("work", "0")
    played.fail("work")
    assert (played.status, played.subscriptions()) == ("faulted", [])

    played.retry()
    assert not any(played.offer(event) for event in played.events)
    played.hear("a", {"n": 2})
    for output in ("1", "2"):
        played.succeed("work", output)

    assert played.output == ["0", "1", "2"]


def test_a_problem_in_foreach_is_caught_by_the_try_around_it():
    played = run(
        f"""
        do:
          - guarded:
              try: [{{hear: {{{FOREVER}, foreach: {{{FOREACH}}}}}}}]
              catch: {{do: [{{mend: {{set: '${{ $error.status }}'}}}}]}}
        """
    )
    played.hear("a", {"n": 1})

    played.fail("work")

    assert (played.output, played.subscriptions()) == (503, [])


def test_then_in_foreach_ends_the_event_or_the_workflow():
    tasks = "do: [{first: {set: '${ $item.n }', then: %s}}, {never: {set: never}}]"
    played = run(f"do: [{{hear: {{{FOREVER}, foreach: {{{tasks % 'exit'}}}}}}}]")
    played.hear("a", {"n": 1})
    assert played.status == "waiting"
    played = run(f"do: [{{hear: {{{FOREVER}, foreach: {{{tasks % 'end'}}}}}}}]")

    played.hear("a", {"n": 1})

    assert (played.status, played.output, played.subscriptions()) == ("completed", 1, [])


def test_extensions_run_around_it_and_it_takes_nothing_while_they_do():
    played = run(
        """
        use:
          extensions: [{around: {extend: listen, before: [{b: {call: work}}], after: [{a: {call: work}}]}}]
        do: [{hear: {listen: {to: {any: []}}}}]
        """
    )
    assert not played.hear("a", 0)
    played.succeed("b")
    assert played.hear("a", 1)
    assert not played.hear("a", 2)

    played.succeed("a")

    assert played.output == [1]


def test_marks_say_when_it_began_and_by_what_it_was_correlated():
    played = run("do: [{hear: {listen: {to: {one: {with: {type: a}, correlate: {o: {from: .data}}}}}}}]")
    played.hear("a", 7)

    marks = [(mark.what, mark.keys) for step in played.steps for mark in step.marks]

    assert marks == [("begun", None), ("correlating", None), ("correlated", {"o": 7})]


@pytest.mark.parametrize(
    ("attributes", "detail"),
    [
        ("source: '${ \"x\" * 1001 }'", "longer than 1000 bytes"),
        ("id: '${ 7 }'", "its id is no text"),
        ("orderid: '${ [1] }'", "put it into data"),
        ("size: '${ 3000000000 }'", "32 bits"),
        ("time: '${ \"noon\" }'", "RFC 3339"),
        ("subject: '${ 1 }'", "its subject is no text"),
    ],
)
def test_what_is_no_cloud_event_is_not_emitted(attributes, detail):
    base = {"source": "/s", "type": "t"}
    given = ", ".join([*(f"{name}: {value}" for name, value in base.items() if name not in attributes), attributes])
    played = run(f"do: [{{tell: {{emit: {{event: {{with: {{{given}}}}}}}}}}}]")

    assert played.problem.type.endswith("/expression")
    assert detail in played.problem.detail
    assert not played.published


def test_attributes_that_are_null_are_left_out_and_others_are_as_they_were_given():
    played = run(
        """
        do:
          - tell:
              emit:
                event:
                  with: {source: /s, type: t, id: mine, subject: '${ null }', orderid: '${ .n }', data: '${ null }'}
        """,
        {"n": 7},
    )

    assert played.output == {
        "id": "mine", "specversion": "1.0", "time": "2026-01-02T03:04:05Z", "source": "/s", "type": "t",
        "orderid": 7, "data": None,
    }  # fmt: skip


def test_what_one_instance_emits_another_hears():
    teller = run("do: [{tell: {emit: {event: {with: {source: /s, type: told, data: {n: '${ .n }'}}}}}}]", {"n": 7})
    hearer = Instance("do: [{hear: {listen: {to: {one: {with: {type: told}}}}}}]").start()

    assert hearer.offer(teller.published[0])

    assert hearer.output == [{"n": 7}]

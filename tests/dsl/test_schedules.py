"""What a definition says about its schedule, and what it may not say."""

from datetime import timedelta

import pytest

from workflows.dsl import DefinitionError, parse

HEAD = "document: {dsl: 1.0.3, namespace: t, name: n, version: 1.0.0}\n"


def head(metadata: str) -> str:
    return HEAD.replace("1.0.0}", f"1.0.0, metadata: {{schedule: {{{metadata}}}}}}}")


def test_each_sort_of_schedule_is_read():
    every = parse(HEAD + "schedule: {every: {minutes: 5}}\ndo: []").schedule
    cron = parse(head("timeZone: Europe/Berlin, catchUp: all") + "schedule: {cron: 0 9 * * MON-FRI}\ndo: []").schedule
    after = parse(HEAD + "schedule: {after: PT0S}\ndo: []").schedule
    on = parse(HEAD + "schedule: {on: {one: {with: {type: a.b}}}}\ndo: []").schedule

    assert every is not None
    assert every.every == timedelta(minutes=5)
    assert cron is not None
    assert (cron.cron, cron.time_zone, cron.catch_up) == ("0 9 * * MON-FRI", "Europe/Berlin", "all")
    assert after is not None
    assert after.after == timedelta()
    assert on is not None
    assert on.on is not None
    assert on.on.mode == "one"


REFUSED = [
    (HEAD, "every: PT0S", "/schedule/every", "starts need some time between them"),
    (HEAD, "every: '${ .x }'", "/schedule/every", "is no expression"),
    (HEAD, "after: {seconds: '${ .x }'}", "/schedule/after", "is no expression"),
    (HEAD, "every: P1M", "/schedule/every", "months differ in length"),
    (HEAD, "cron: 0 0 30 2 *", "/schedule/cron", "no month has such a day"),
    (HEAD, "cron: 0 0 */31 2 MON#2", "/schedule/cron", "never happens"),
    (HEAD, "cron: 5", "/schedule/cron", "cron is a text"),
    (HEAD, "cron: '@reboot'", "/schedule/cron", "it has 1 fields"),
    (HEAD, "every: PT1S, cron: '* * * * *'", "/schedule", "one of every, cron, after and on"),
    (head("timeZone: Mars"), "cron: '* * * * *'", "/document/metadata/schedule/timeZone", "is no time zone"),
    (head("catchUp: some"), "cron: '* * * * *'", "/document/metadata/schedule/catchUp", "one of skip, once, all"),
    (head("catchUp: all"), "after: PT1S", "/document/metadata/schedule/catchUp", "goes with every and cron"),
    (head("timezone: UTC"), "cron: '* * * * *'", "/document/metadata/schedule/timezone", "no member 'timezone'"),
]


@pytest.mark.parametrize(("header", "schedule", "pointer", "message"), REFUSED)
def test_what_is_refused_with_its_place(header: str, schedule: str, pointer: str, message: str):
    with pytest.raises(DefinitionError) as refused:
        parse(header + f"schedule: {{{schedule}}}\ndo: []")

    [found] = refused.value.errors
    assert (found.pointer, message in found.message) == (pointer, True)

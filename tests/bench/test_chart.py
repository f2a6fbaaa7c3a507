"""The chart of a result file."""

from xml.etree import ElementTree as ET

from bench.chart import chart

SVG = "{http://www.w3.org/2000/svg}"


def line(peer, workload="W1", variant="default", **figures):
    return {"peer": peer, "workload": workload, "variant": variant, **figures}


def bars(text):
    return [(bar.get("class"), int(bar.get("width"))) for bar in ET.fromstring(text).iter(f"{SVG}rect")]


def test_bars_are_as_long_as_what_they_stand_for():
    summary = [line("lemline", instances_per_s=1000.0), line("restate", instances_per_s=500.0)]

    (ours, long), (theirs, short) = bars(chart(summary))

    assert (ours, theirs) == ("lemline", "peer")
    assert long == 2 * short


def test_what_no_panel_shows_is_left_out():
    summary = [line("lemline", "W1p", instances_per_s=1000.0), line("lemline", variant="auto", instances_per_s=1.0)]

    assert bars(chart(summary)) == []


def test_bars_never_leave_the_picture():
    summary = [line("lemline", "W5", p95_ms=0.0), line("dbos", "W5", p95_ms=123_456.7)]

    root = ET.fromstring(chart(summary))

    ends = [int(bar.get("x")) + int(bar.get("width")) for bar in root.iter(f"{SVG}rect")]
    assert max(ends) < int(root.get("width"))
    assert min(int(bar.get("width")) for bar in root.iter(f"{SVG}rect")) > 0


def test_names_are_text_whatever_they_hold():
    summary = [line("<a&b>", instances_per_s=1.0)]

    texts = [text.text for text in ET.fromstring(chart(summary)).iter(f"{SVG}text")]

    assert "<a&b>" in texts


def test_it_has_colours_for_light_and_for_dark():
    [style] = ET.fromstring(chart([line("lemline", instances_per_s=1.0)])).iter(f"{SVG}style")

    assert "prefers-color-scheme: dark" in style.text

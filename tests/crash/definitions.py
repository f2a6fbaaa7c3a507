"""Workflows that call the stub from each sort of task. Their input is `{"stub": URL}`."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

Task = Mapping[str, Any]


def url(path: str) -> str:
    """Return the expression that gives a path of the stub; the path may hold jq in parentheses."""
    return f'${{ $workflow.input.stub + "{path}" }}'


def visit(path: str) -> Task:
    """A registered function."""
    return {"call": "crash/visit", "with": {"url": url(path)}}


def post(path: str, **more: Any) -> Task:
    """`call: http`."""
    return {"call": "http", "with": {"method": "post", "endpoint": {"uri": url(path)}, "body": {}}, **more}


def openapi(part: str) -> Task:
    """`call: openapi`."""
    document = {"endpoint": url("/openapi.json")}
    return {"call": "openapi", "with": {"document": document, "operationId": "visit", "parameters": {"part": part}}}


def shell(path: str) -> Task:
    """`run: shell`."""
    program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], b'').read().decode())"
    return {"run": {"shell": {"command": f'{sys.executable} -c "{program}"', "arguments": [url(path)]}}}


def python(path: str) -> Task:
    """`run: script` of python."""
    code = "import sys, urllib.request as r\nprint(r.urlopen(sys.argv[1], b'').read().decode())"
    return {"run": {"script": {"language": "python", "code": code, "arguments": [url(path)]}}}


def javascript(path: str) -> Task:
    """`run: script` of js."""
    code = "fetch(process.argv[2], {method: 'POST'}).then(a => a.text()).then(console.log)"
    return {"run": {"script": {"language": "js", "code": code, "arguments": [url(path)]}}}


def child(name: str, *, awaited: bool) -> Task:
    """`run: workflow`."""
    workflow = {"namespace": "crash", "name": name, "version": "1.0.0", "input": "${ $workflow.input }"}
    return {"run": {"workflow": workflow, "await": awaited}}


def within(name: str, task: Task) -> Sequence[Task]:
    """Put a task between two activities of other pools."""
    return [{"before": visit(f"/{name}/before")}, {"middle": task}, {"after": post(f"/{name}/after")}]


RETRY = {"delay": {"milliseconds": 10}, "limit": {"attempt": {"count": 3}}}
SLOW_RETRY = {"delay": {"seconds": 2}, "limit": {"attempt": {"count": 3}}}

MIDDLES: Mapping[str, Task] = {
    "http": post("/http/held"),
    "function": visit("/function/held"),
    "shell": shell("/shell/held"),
    "python": python("/python/held"),
    "javascript": javascript("/javascript/held"),
    "openapi": openapi("held"),
    "try": {"try": [{"flaky": post("/try/held")}], "catch": {"retry": RETRY}},
    "delay": {"try": [{"flaky": post("/delay/flaky")}], "catch": {"retry": SLOW_RETRY}},
    "catch": {
        "try": [{"fail": {"raise": {"error": {"type": "https://example.com/broken", "status": 500}}}}],
        "catch": {"do": [{"repair": visit("/catch/held")}]},
    },
    "for": {"for": {"in": "${ [1, 2, 3] }"}, "do": [{"each": visit("/for/\\($item)")}]},
    "fork": {"fork": {"branches": [{"quick": post("/fork/quick")}, {"slow": visit("/fork/held")}]}},
    "race": {"fork": {"compete": True, "branches": [{"lost": post("/race/lost")}, {"won": visit("/race/held")}]}},
    "child": child("of-child", awaited=True),
    "stray": child("of-stray", awaited=False),
    "emit": {"do": [
        {"tell": {"emit": {"event": {"with": {"source": "https://example.com", "type": "example.told"}}}}},
        {"then": visit("/emit/held")},
    ]},
    "wait": {"wait": {"seconds": 2}},
}  # fmt: skip
"""By name, a task that is under way until the stub lets go; or until its time has come."""

CHILDREN: Mapping[str, Sequence[Task]] = {
    "of-child": [{"work": visit("/child/held")}],
    "of-stray": [{"work": post("/stray/held")}],
}

HELD = {
    **{name: f"/{name}/held" for name in MIDDLES if name not in ("delay", "wait", "for")},
    "for": "/for/2",
}
"""The path where each of them is kept waiting."""

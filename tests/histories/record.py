"""Records histories: definition, input, facts, and the hash of the stored state after each fact.

    python -m tests.histories.record

A file that exists is left alone: what a released engine did is replayed for ever. Delete one to record it
anew, and say in the changelog why its hashes changed.
"""

from collections.abc import Callable
from pathlib import Path

from tests.builders import UNAVAILABLE, Instance, hash_of
from workflows.dsl import jsontext
from workflows.engine.facts import ActivityLost

FOLDER = Path(__file__).parent

ORDER = """
document: {dsl: 1.0.3, namespace: histories, name: order, version: 1.0.0}
do:
  - reserve: {call: stock/reserve, with: {sku: '${ .sku }'}, export: {as: '$context + {reserved: .id}'}}
  - pay:
      try:
        - charge: {call: bank/charge, with: {amount: '${ $workflow.input.amount }'}}
      catch:
        errors: {with: {status: 503}}
        retry:
          delay: {seconds: 2}
          backoff: {exponential: {}}
          jitter: {from: {seconds: 0}, to: {seconds: 1}}
          limit: {attempt: {count: 3}}
  - dispatch:
      fork:
        branches:
          - ship: {call: post/ship, with: {id: '${ $context.reserved }'}}
          - tell: {emit: {event: {with: {source: 'https://shop.example', type: order.paid, data: '${ . }'}}}}
  - close: {set: {done: true, shipped: '${ .[0] }'}}
"""
LOOPS = """
document: {dsl: 1.0.3, namespace: histories, name: loops, version: 1.0.0}
do:
  - sum: {for: {in: .numbers}, while: '(.sum // 0) < 10', do: [{add: {set: {sum: '${ (.sum // 0) + $item }'}}}]}
  - wide:
      for: {each: n, in: '[1, 2, 3]', parallel: true, maxConcurrency: 2}
      do: [{work: {call: work, with: {n: '${ $n }'}}}, {note: {set: '${ [$index, .] }'}}]
  - spin: {set: {count: '${ (if type == "object" then .count else 0 end) + 1 }'}}
  - more: {switch: [{yes: {when: .count < 700, then: spin}}, {no: {then: continue}}]}
"""
TIMES = """
document: {dsl: 1.0.3, namespace: histories, name: times, version: 1.0.0}
timeout: {after: {minutes: 10}}
do:
  - guarded:
      try: [{slow: {call: work, timeout: {after: {seconds: 30}}}}]
      catch: {as: problem, do: [{note: {set: {status: '${ $problem.status }'}}}]}
  - pause: {wait: {seconds: 5}}
  - last: {call: work}
"""
PARTS = """
document: {dsl: 1.0.3, namespace: histories, name: parts, version: 1.0.0}
use:
  functions:
    greet: {do: [{say: {set: {text: '${ "Hello " + .name }'}}}]}
  extensions:
    - log: {extend: run, before: [{before: {set: '${ $task.reference }', export: {as: '{log: .}'}}}]}
do:
  - hello: {call: greet, with: {name: '${ .name }'}}
  - child: {run: {workflow: {namespace: histories, name: child, version: 1.0.0}}}
  - both: {fork: {compete: true, branches: [{a: {call: work}}, {b: {call: work}}]}}
"""
EVENTS = """
document: {dsl: 1.0.3, namespace: histories, name: events, version: 1.0.0}
do:
  - ordered:
      listen:
        to:
          all:
            - {with: {type: order.placed}, correlate: {order: {from: .data.order}}}
            - {with: {type: order.paid, data: '${ .amount >= 7 }'}, correlate: {order: {from: .data.order}}}
      export: {as: '{order: .[0].order}'}
      timeout: {after: {minutes: 1}}
  - gathered:
      listen:
        read: envelope
        to:
          any: [{with: {type: 'part[.].*'}, correlate: {order: {from: .orderid, expect: '${ $context.order }'}}}]
          until: {one: {with: {type: order.complete}}}
      foreach: {item: part, do: [{pack: {call: pack, with: {part: '${ $part.data }'}}}], output: {as: '[$index, .]'}}
  - tell: {emit: {event: {with: {source: /histories, type: order.packed, data: '${ . }'}}}}
"""


def order() -> Instance:
    """A charge that fails twice, once without an answer, then a fork."""
    played = Instance(ORDER, {"sku": "A-1", "amount": 7}).start()
    played.succeed("reserve", {"id": "r-1"})
    played.fail("charge")
    played.wait(3)
    played.fail("charge", answered=False)
    played.wait(5)
    played.succeed("charge", {"paid": 7})
    played.succeed("ship", "track-1")
    return played


def loops() -> Instance:
    """A loop cut short, a parallel one, and one that takes more than a step."""
    played = Instance(LOOPS, {"numbers": [4, 5, 6, 7]}).start()
    for n in (1, 2, 3):
        played.succeed("work", {"squared": n * n})
    return played


def times() -> Instance:
    """A timeout that was stopped by a suspension, and an answer that came meanwhile."""
    played = Instance(TIMES).start()
    played.wait(20)
    played.suspend()
    played.wait(60)
    played.resume()
    played.wait(10)
    played.wait(5)
    played.suspend()
    played.succeed("last", "end")
    played.resume()
    return played


def parts() -> Instance:
    """A function, an extension, a child, a race, a lost ring, a fault and a retry."""
    played = Instance(PARTS, {"name": "Ada"}).start()
    played.end_child({"from": "child"})
    played.fail("a")
    lost = played.request("b")
    played.apply(ActivityLost(at=played.now, wait_id=lost.wait_id, ring=1, blamed=True))
    played.fail("b", UNAVAILABLE, answered=False)
    played.retry()
    played.succeed("b", "B")
    return played


def events() -> Instance:
    """A correlation by the first value, doubles, what comes while suspended and in the middle of `foreach`."""
    played = Instance(EVENTS).start()
    played.hear("order.paid", {"order": 1, "amount": 7})
    played.hear("order.placed", {"order": 2})
    played.suspend()
    played.hear("order.placed", {"order": 1})
    played.resume()
    for part in ("part.a", "part.b"):
        played.hear(part, part, orderid=1)
        played.offer(played.events[-1])
    played.succeed("pack", "packed a")
    played.hear("order.complete")
    played.succeed("pack", "packed b")
    return played


SCENARIOS: tuple[Callable[[], Instance], ...] = (order, loops, times, parts, events)


def recorded(played: Instance, text: str) -> bytes:
    """Return a history as JSON, a fact to a line."""
    lines = b",\n".join(b"  " + jsontext.encode(fact) for fact in played.facts)
    hashes = b",\n".join(b'  "%b"' % hash_of(step.state).encode() for step in played.steps)
    head = jsontext.encode({"definition": text, "input": played.input.value, "output": played.output})
    return b'%b,\n"facts": [\n%b\n],\n"hashes": [\n%b\n]}\n' % (head[:-1], lines, hashes)


def main() -> None:
    """Write what is not there yet."""
    for scenario in SCENARIOS:
        path = FOLDER / f"{scenario.__name__}.json"
        if not path.exists():
            played = scenario()
            assert played.status == "completed", played.state
            path.write_bytes(recorded(played, globals()[scenario.__name__.upper()]))


if __name__ == "__main__":
    main()

"""A helper process that evaluates jq programs and may be killed at any moment. Knows nothing of Lemline.

Writes an empty line when it is ready. Then it reads pairs of lines from standard input: program and input, each
as a JSON string. Answers each pair with a line: `["result"]`, `[]` without a result, or `{"error": message}`.
"""

import functools
import json
import math
import resource
import sys
import time

import jq


@functools.lru_cache(1000)
def compiled(program: str) -> "jq._Program":
    """Compile once."""
    return jq.compile(program)


def answer(program: str, text: str) -> "list[str] | dict[str, str]":
    """Return the first result."""
    try:
        result = next(iter(compiled(program).input_text(text)), None)
    except ValueError as error:
        return {"error": str(error)}
    return [] if result is None else [result]


def limit_cpu(seconds: float) -> None:
    """End this process when the next evaluation takes longer: whoever should kill it may be gone itself."""
    allowed = math.ceil(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def main() -> None:
    """Serve until standard input ends."""
    limit, seconds = int(sys.argv[1]), float(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(flush=True)
    for line in sys.stdin:
        text = sys.stdin.readline()
        limit_cpu(seconds)
        print(json.dumps(answer(json.loads(line), json.loads(text))), flush=True)


if __name__ == "__main__":
    main()

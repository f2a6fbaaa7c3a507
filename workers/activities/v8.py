"""Runs a script in an embedded V8, where Node is not installed. Offers `console`, and of `process` `argv`, `env`,
`exit`, `stdout` and `stderr`.

A process of its own: `python v8.py MEBIBYTES SCRIPT ARGUMENT...`.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TextIO

_SHIM = """
var __out = [], __err = [], __code = 0;
var __show = (values) => values.map((value) =>
    typeof value === 'string' ? value
    : value instanceof Error ? String(value.stack || value)
    : typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)).join(' ') + '\\n';
var console = {
    log: (...values) => { __out.push(__show(values)); }, info: (...values) => { __out.push(__show(values)); },
    debug: (...values) => { __out.push(__show(values)); }, error: (...values) => { __err.push(__show(values)); },
    warn: (...values) => { __err.push(__show(values)); },
};
class __Exit {}
var __fail = (error) => {
    if (!(error instanceof __Exit)) { __err.push(String((error && error.stack) || error) + '\\n'); __code = 1; }
};
// Nothing here would wait for it: better unknown than lost.
globalThis.setTimeout = globalThis.clearTimeout = undefined;
var process = { argv: %s, env: %s, exit: (code) => { __code = code || 0; throw new __Exit(); },
    stdout: { write: (text) => { __out.push(String(text)); return true; } },
    stderr: { write: (text) => { __err.push(String(text)); return true; } } };
"""

_RUN = "try { (0, eval)(%s); } catch (error) { __fail(error); } undefined"

_TOLD = "JSON.stringify([__code, __out.join(''), __err.join('')])"
"""Asked for apart, once what the script promised has been done."""


def main() -> int:
    """Run the script that the second argument names, within as many mebibytes as the first says."""
    from py_mini_racer import MiniRacer

    engine = MiniRacer()
    engine.set_hard_memory_limit(int(sys.argv[1]) * 1024 * 1024)
    engine.eval(_SHIM % (json.dumps(["node", *sys.argv[2:]]), json.dumps(dict(os.environ))))
    engine.eval(_RUN % json.dumps(Path(sys.argv[2]).read_text("utf-8")))
    code, out, err = json.loads(str(engine.eval(_TOLD)))
    _write(sys.stdout, out)
    _write(sys.stderr, err)
    return int(code)


def _write(stream: TextIO, text: str) -> None:
    stream.buffer.write(text.encode("utf-8", "replace"))


def _leave() -> None:
    """End at once: the engine's own clearing up may wait for ever after a script that took too much memory."""
    code = 1
    try:
        code = main()
    except Exception:  # noqa: BLE001  (told as any script's end with an error is)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _leave()

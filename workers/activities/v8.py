"""Runs a script in an embedded V8, where Node is not installed. Offers `console` and `process.argv`.

A process of its own: `python v8.py SCRIPT ARGUMENT...`.
"""

import json
import sys
from pathlib import Path

_SHIM = """
var __out = [], __err = [];
var __show = (values) => values.map((value) =>
    typeof value === 'string' ? value
    : value instanceof Error ? String(value.stack || value)
    : typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)).join(' ') + '\\n';
var console = {
    log: (...values) => { __out.push(__show(values)); }, info: (...values) => { __out.push(__show(values)); },
    debug: (...values) => { __out.push(__show(values)); }, error: (...values) => { __err.push(__show(values)); },
    warn: (...values) => { __err.push(__show(values)); },
};
class __Exit { constructor(code) { this.code = code; } }
var process = { argv: %s, env: %s, exit: (code) => { throw new __Exit(code || 0); },
    stdout: { write: (text) => { __out.push(String(text)); return true; } },
    stderr: { write: (text) => { __err.push(String(text)); return true; } } };
"""

_RUN = """
(() => {
    let code = 0;
    try { (0, eval)(%s); }
    catch (error) {
        if (error instanceof __Exit) { code = error.code; }
        else { __err.push(String((error && error.stack) || error) + '\\n'); code = 1; }
    }
    return JSON.stringify([code, __out.join(''), __err.join('')]);
})()
"""


def main() -> int:
    """Run the script that the first argument names."""
    import os

    from py_mini_racer import MiniRacer

    script = sys.argv[1]
    engine = MiniRacer()
    engine.eval(_SHIM % (json.dumps(["node", *sys.argv[1:]]), json.dumps(dict(os.environ))))
    code, out, err = json.loads(str(engine.eval(_RUN % json.dumps(Path(script).read_text("utf-8")))))
    sys.stdout.write(out)
    sys.stderr.write(err)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())

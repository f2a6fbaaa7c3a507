import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(name, given="{}"):
    done = subprocess.run(
        [sys.executable, "manage.py", "lemline", "workflow", "run", f"examples/{name}.yaml", "--input", given],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "given", "output"),
    [
        ("hello", "{}", {"greeting": "Hello, world!"}),
        ("hello", '{"name": "Ada"}', {"greeting": "Hello, Ada!"}),
        ("retry", "{}", {"runs": 3}),
        ("parallel", '{"text": "as you like it"}', {"words": 4, "letters": 11}),
    ],
)
def test_an_example_gives_what_its_summary_says(name, given, output):
    assert run(name, given) == output

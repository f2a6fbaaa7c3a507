"""As much of Gherkin as the specification's features use: scenarios of steps, each with a text or without."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent


@dataclass
class Step:
    """What is given, done or expected."""

    text: str
    """Without its keyword."""

    document: str = ""
    """The text between the quotes below it."""


@dataclass
class Scenario:
    """One scenario of a feature."""

    feature: str
    name: str
    steps: list[Step] = field(default_factory=list)


_STEP = re.compile(r"(?:Given|When|Then|And)(?: given)? (.*)")


def scenarios(path: Path) -> Iterator[Scenario]:
    """Yield a feature's scenarios."""
    found: Scenario | None = None
    quoted: list[str] | None = None
    for line in path.read_text("utf-8").splitlines():
        text = line.strip()
        if text.startswith('"""'):
            if quoted is not None and found is not None:
                found.steps[-1].document = dedent("\n".join(quoted))
            quoted = [] if quoted is None else None
        elif quoted is not None:
            quoted.append(line)
        elif text.startswith("Scenario:"):
            if found is not None:
                yield found
            found = Scenario(path.stem, text.removeprefix("Scenario:").strip())
        elif found is not None and (step := _STEP.match(text)):
            found.steps.append(Step(step[1]))
    if found is not None:
        yield found

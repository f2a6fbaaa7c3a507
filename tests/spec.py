"""Where the specification's own data is, for the tests that read it."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SPEC = Path(os.environ.get("LEMLINE_TEST_SPEC_DIR") or ROOT.parent / "shared" / "spec")

needs_spec = pytest.mark.skipif(
    not (SPEC / "examples").is_dir(),
    reason=f"the specification's data is not in {SPEC}: set LEMLINE_SPEC_DIR to a folder with schema, examples and ctk",
)


def files(folder: str) -> list[Path]:
    """Return the files of one of its folders, none when it is not there."""
    return sorted(path for path in (SPEC / folder).glob("*") if path.is_file())

"""The specification's examples are read, and what it calls invalid is refused."""

from pathlib import Path

import pytest

from tests.spec import files, needs_spec
from workflows.dsl import DefinitionError, parse


@needs_spec
def test_all_66_examples_are_there():
    assert len(files("examples")) == 66


@needs_spec
@pytest.mark.parametrize("path", files("examples"), ids=lambda path: path.stem)
def test_an_example_of_the_specification_is_accepted_strictly(path: Path):
    definition = parse(path.read_bytes(), strict=True)

    assert definition.do.tasks
    assert not definition.warnings


@needs_spec
@pytest.mark.parametrize("path", files("invalid"), ids=lambda path: path.stem)
def test_a_document_that_the_specification_calls_invalid_is_refused_with_its_place(path: Path):
    with pytest.raises(DefinitionError) as refused:
        parse(path.read_bytes())

    assert all(error.line > 1 and error.message for error in refused.value.errors)

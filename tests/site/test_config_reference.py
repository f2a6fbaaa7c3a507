import re
from pathlib import Path

from lemline_site.config import KEYS
from lemline_site.config.keys import variable_of
from lemline_site.config.presets import PRESETS
from lemline_site.config.reference import describe, reference
from lemline_site.config.sources import ALIASES
from lemline_site.config.values import parse_value

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_sections_say():
    assert (ROOT / "docs/configuration.md").read_text("utf-8") == reference()


def test_every_key_says_what_it_is_for():
    assert [key.name for key in KEYS.values() if not describe(key)] == []


def test_no_two_keys_share_a_variable():
    variables = [variable_of(name) for name in (*KEYS, *ALIASES)]

    assert len(set(variables)) == len(variables)


def test_presets_name_keys_that_exist_and_values_that_they_take():
    for preset in PRESETS.values():
        for name, text in preset.items():
            parse_value(text, KEYS[name].kind)


def test_nothing_but_the_settings_reads_the_configuration_sources():
    reading = re.compile(r"\bos\.environ\b|\bgetenv\b")
    allowed = {"lemline_site/config/sources.py", "workflows/runtime/secrets.py"}
    folders = ("workflows/dsl", "workflows/engine", "workflows/runtime", "workflows/api")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]

    found = {str(path.relative_to(ROOT)) for path in paths if reading.search(path.read_text("utf-8"))}

    assert found <= allowed

"""`config list|get|validate`."""

from pathlib import Path

import pytest
from django.conf import settings

from lemline_site.config import KEYS, load
from tests.cli.conftest import Lemline
from workflows.cli.exits import Exit

SOURCES = {
    "lemline.preset": "LEMLINE_PRESET",
    "lemline.execution.lease": "lemline.yaml",
    "lemline.execution.grace": "-D",
    "lemline.execution.pools.http.max-size": "preset low",
    "lemline.database.url": "DATABASE_URL",
    "lemline.web.host": "default",
}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration with something from everywhere."""
    (tmp_path / "lemline.yaml").write_text("lemline: {execution: {lease: 20s}}\n")
    environment = {
        "LEMLINE_PRESET": "low",
        "LEMLINE_OVERRIDES": "execution.grace=12s",
        "LEMLINE_SECRET_KEY": "very secret",
        "DATABASE_URL": "postgresql://ada:s3cret@db/x",
    }
    monkeypatch.setattr(settings, "LEMLINE_SOURCES", load(environment, tmp_path))


def test_every_key_is_listed_with_its_value_and_source(lemline: Lemline, sources: None):
    done = lemline("config", "list", "--format", "json")

    assert [row["key"] for row in done.json] == list(KEYS)
    rows = {row["key"]: row for row in done.json}
    assert {key: rows[key]["source"] for key in SOURCES} == SOURCES
    assert rows["lemline.execution.lease"]["value"] == "PT20S"


def test_people_get_a_table(lemline: Lemline, sources: None):
    lines = lemline("config", "list").out.splitlines()

    assert lines[0].split() == ["KEY", "VALUE", "SOURCE"]
    assert ["lemline.execution.grace", "PT12S", "-D"] in [line.split() for line in lines]


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("command-line", "lemline.execution.grace"),
        ("file", "lemline.execution.lease"),
        ("environment", "lemline.database.url"),
        ("preset", "lemline.execution.pools.http.max-size"),
        ("default", "lemline.web.host"),
    ],
)
def test_the_list_is_narrowed_to_a_source(lemline: Lemline, sources: None, source: str, key: str):
    keys = [row["key"] for row in lemline("config", "list", "--source", source, "--format", "json").json]

    assert key in keys
    assert [other for other in SOURCES if other in keys and SOURCES[other] == "default"] == [
        other for other in SOURCES if source == "default" and SOURCES[other] == "default"
    ]


def test_secrets_are_not_listed(lemline: Lemline, sources: None):
    done = lemline("config", "list")

    assert "very secret" not in done.out
    assert "s3cret" not in done.out
    assert "postgresql://ada:***@db/x" in done.out


@pytest.mark.parametrize("key", ["lemline.execution.lease", "execution.lease"])
def test_one_key_is_printed_whole(lemline: Lemline, sources: None, key: str):
    assert lemline("config", "get", key).out == "PT20S\n"
    assert lemline("config", "get", key, "--format", "json").json["source"] == "lemline.yaml"


def test_an_unknown_key_is_answered_with_the_nearest(lemline: Lemline):
    done = lemline("config", "get", "web.prt")

    assert done.code is Exit.NOT_FOUND
    assert done.err == "error: there is no key lemline.web.prt; did you mean lemline.web.port?\n"


def test_a_configuration_that_works_is_valid(lemline: Lemline, sources: None):
    done = lemline("config", "validate")

    assert done.code is Exit.OK
    assert "the configuration is valid" in done.err


def test_a_configuration_that_would_lose_work_is_not(lemline: Lemline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "TIME_ZONE", "Europe/Paris")

    done = lemline("config", "validate")

    assert done.code is Exit.CONFIGURATION
    assert "lemline.E001: TIME_ZONE must be UTC" in done.err

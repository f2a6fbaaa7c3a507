"""Where the values of secrets come from."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.runtimes import Runtime, define, output_of, problem_of, status_of
from workflows.runtime.secrets import ProvidedSecrets


@pytest.fixture
def secrets(tmp_path: Path) -> ProvidedSecrets:
    return ProvidedSecrets(str(tmp_path), "LEMLINE_SECRET_")


def test_a_mounted_file_is_a_secret_without_its_last_line_break(secrets: ProvidedSecrets, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cr3t\n\n")

    assert secrets.read("token") == "s3cr3t\n"


def test_a_variable_of_the_environment_is_a_secret(secrets: ProvidedSecrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMLINE_SECRET_SHOP_API_KEY", "abc")

    assert secrets.read("shop-api.key") == secrets.read("SHOP_API_KEY") == "abc"


def test_a_file_wins_over_the_environment(
    secrets: ProvidedSecrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEMLINE_SECRET_TOKEN", "of the environment")
    (tmp_path / "token").write_text("of the file")

    assert secrets.read("token") == "of the file"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"user": "ann", "n": 1.10}', {"user": "ann", "n": Decimal("1.10")}),
        (" [1, 2]", [1, 2]),
        ("{not json", "{not json"),
        ("12", "12"),
        ("true", "true"),
        ("", ""),
    ],
)
def test_an_object_or_array_is_read_as_json_and_anything_else_is_text(
    secrets: ProvidedSecrets, tmp_path: Path, text: str, value: object
) -> None:
    (tmp_path / "s").write_text(text)

    assert secrets.read("s") == value


@pytest.mark.parametrize("name", ["absent", "../outside", "..", ".hidden", "a/b", "folder", "", "\x00", "key"])
def test_what_no_provider_has_is_missing(
    secrets: ProvidedSecrets, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".hidden").write_text("no")
    (tmp_path / "folder").mkdir()
    (tmp_path.parent / "outside").write_text("no")
    monkeypatch.setenv("LEMLINE_SECRET_KEY", "the site's own")

    with pytest.raises(KeyError):
        secrets.read(name)


def test_a_file_that_is_no_text_is_as_good_as_missing(secrets: ProvidedSecrets, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(KeyError):
        secrets.read("binary")


READING = """
use: {secrets: [token]}
do: [{show: {set: '${ $secrets.token | length }'}}]
"""


def test_an_unreadable_secret_is_a_problem_of_who_reads_it_and_no_failure_of_the_start(
    database: str, tmp_path: Path, configure: Callable[[dict[str, str]], None], new_runtime: Callable[[], Runtime]
) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    configure({"lemline.secrets.directory": str(tmp_path)})
    define(READING)

    instance = new_runtime().start()

    assert (status_of(instance), output_of(instance)) == ("faulted", None)
    assert problem_of(instance)["type"].endswith("/authorization")

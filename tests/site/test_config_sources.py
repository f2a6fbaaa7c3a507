from datetime import timedelta

import pytest

from lemline_site.config import KEYS, ConfigurationError, load
from lemline_site.config.sources import remember_overrides


def source_of(loaded, name):
    return next(setting.source for setting in loaded.settings if setting.key.name == name)


def test_without_any_source_every_key_has_its_default(tmp_path):
    loaded = load({}, tmp_path)

    assert [setting.value for setting in loaded.settings] == [key.default for key in KEYS.values()]
    assert {setting.source for setting in loaded.settings} == {"default"}


def test_the_command_line_wins_over_environment_over_file_over_preset_over_default(tmp_path):
    (tmp_path / "lemline.yaml").write_text(
        "lemline:\n  preset: low\n  execution:\n    lease: 20s\n    grace: 20s\n    pools: {http: {max-size: 7}}\n"
    )
    environment = {
        "LEMLINE_EXECUTION_LEASE": "PT40S",
        "LEMLINE_EXECUTION_GRACE": "PT40S",
        "LEMLINE_OVERRIDES": "lemline.execution.lease=PT50S",
    }

    loaded = load(environment, tmp_path)

    execution = loaded.config.execution
    assert (execution.lease, execution.grace) == (timedelta(seconds=50), timedelta(seconds=40))
    assert (execution.pools.http.max_size, execution.pools.io.max_size) == (7, 20)
    assert execution.prioritization.levels == 5
    assert source_of(loaded, "lemline.execution.lease") == "-D"
    assert source_of(loaded, "lemline.execution.grace") == "LEMLINE_EXECUTION_GRACE"
    assert source_of(loaded, "lemline.execution.pools.http.max-size") == "lemline.yaml"
    assert source_of(loaded, "lemline.execution.pools.io.max-size") == "preset low"


def test_properties_and_yaml_say_the_same(tmp_path):
    properties, tree = tmp_path / "a.properties", tmp_path / "b.yaml"
    properties.write_text(
        "# a comment\nlemline.history.level = activities\nlemline.http.private-addresses: all,\\\n  x\n"
    )
    tree.write_text("lemline:\n  history.level: activities\n  http:\n    private-addresses: [all, x]\n")

    one, other = load({"LEMLINE_CONFIG": str(properties)}), load({"LEMLINE_CONFIG": str(tree)})

    assert one.config == other.config
    assert one.config.http.private_addresses == ("all", "x")


def test_platform_variables_name_the_services(tmp_path):
    config = load({"DATABASE_URL": "postgresql://h/d", "BROKER_URL": "redis://r/0", "PORT": "9000"}, tmp_path).config

    assert (config.database.url, config.messaging.url, config.web.port) == ("postgresql://h/d", "redis://r/0", 9000)


def test_the_variable_with_the_prefix_wins_over_the_short_one(tmp_path):
    config = load({"DATABASE_URL": "sqlite:///a", "LEMLINE_DATABASE_URL": "sqlite:///b"}, tmp_path).config

    assert config.database.url == "sqlite:///b"


def test_another_spelling_means_the_same_key(tmp_path):
    (tmp_path / "lemline.properties").write_text("lemline.database.write.url=jdbc:postgresql://primary:5432/lemline")

    assert load({}, tmp_path).config.database.url == "jdbc:postgresql://primary:5432/lemline"


def test_a_value_may_name_variables_with_defaults(tmp_path):
    (tmp_path / "lemline.properties").write_text(
        "lemline.cluster.node-id=${POD_NAME}\nlemline.cluster.namespace=${TEAM:all}-${STAGE:}\n"
    )

    cluster = load({"POD_NAME": "web-1"}, tmp_path).config.cluster

    assert (cluster.node_id, cluster.namespace) == ("web-1", "all-")


def test_a_variable_that_is_not_set_and_has_no_default_stops_the_start(tmp_path):
    (tmp_path / "lemline.properties").write_text("lemline.cluster.node-id=${POD_NAME}")

    with pytest.raises(ConfigurationError, match=r"POD_NAME is not set.*\$\{POD_NAME:default\}"):
        load({}, tmp_path)


def test_every_mistake_is_told_at_once_with_the_nearest_known_key(tmp_path):
    (tmp_path / "lemline.yaml").write_text("lemline: {databse: {url: x}, execution: {lease: 30}}")

    with pytest.raises(ConfigurationError) as raised:
        load({"LEMLINE_HISTROY_LEVEL": "off", "LEMLINE_WEB_PORT": "http"}, tmp_path)

    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert "environment: unknown variable LEMLINE_HISTROY_LEVEL; did you mean LEMLINE_HISTORY_LEVEL?" in lines
    assert "LEMLINE_WEB_PORT: lemline.web.port=http: a whole number is wanted" in lines
    assert "lemline.yaml: unknown key lemline.databse.url; did you mean lemline.database.url?" in lines
    assert any(line.startswith("lemline.yaml: lemline.execution.lease=30: a duration is wanted") for line in lines)


def test_secrets_and_what_kubernetes_adds_are_no_unknown_variables(tmp_path):
    environment = {
        "LEMLINE_SECRET_STRIPE": "x",
        "LEMLINE_SERVICE_HOST": "10.0.0.1",
        "LEMLINE_SERVICE_PORT_HTTP": "80",
        "LEMLINE_PORT_8080_TCP_ADDR": "10.0.0.1",
        "LEMLINE_DEV_PASSWORD": "x",
    }

    assert load(environment, tmp_path).config == load({}, tmp_path).config


def test_overrides_reach_the_processes_that_a_process_starts(tmp_path):
    environment = {}

    remember_overrides(
        ["lemline", "-Dlemline.history.level=off", "-D", "limits.input=1K", "--config", "x.yaml"], environment
    )

    assert environment["LEMLINE_CONFIG"] == "x.yaml"
    del environment["LEMLINE_CONFIG"]
    config = load(environment, tmp_path).config
    assert (config.history.level, config.limits.input) == ("off", 1024)


@pytest.mark.parametrize(
    ("text", "message"),
    [("lemline: [", "is no YAML"), ("no separator", r"write key=value"), (b"\xff", "cannot be read")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, text, message):
    path = tmp_path / ("lemline.yaml" if text != "no separator" else "lemline.properties")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(ConfigurationError, match=rf"{path.name}.*{message}"):
        load({}, tmp_path)


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no configuration file elsewhere\.yaml"):
        load({"LEMLINE_CONFIG": "elsewhere.yaml"}, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"LEMLINE_EXECUTION_LEASE": "0s"}, "lemline.execution.lease: a duration above zero is wanted"),
        ({"LEMLINE_LIMITS_INPUT": "0"}, "lemline.limits.input: a number above zero is wanted"),
        ({"LEMLINE_WEB_PORT": "70000"}, "lemline.web.port: at most 65535"),
        ({"LEMLINE_SECRETS_ENV_PREFIX": ""}, "lemline.secrets.env-prefix: a prefix is wanted"),
        ({"LEMLINE_CLUSTER_NAMESPACE": "shop:test"}, "lemline.cluster.namespace: without colons"),
        (
            {"LEMLINE_EXECUTION_PRIORITIZATION_LEVELS": "2"},
            "lemline.execution.prioritization.default-level: at most 2, the number of levels",
        ),
        (
            {"LEMLINE_DATABASE_IDLE_IN_TRANSACTION_TIMEOUT": "20s"},
            "lemline.database.idle-in-transaction-timeout: at most half of lemline.execution.lease",
        ),
    ],
)
def test_values_that_cannot_work_stop_the_start(tmp_path, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        load(settings, tmp_path)

"""Settings come from SIGMA_* variables; with none set, everything is in one home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from sigma_core.config import Settings, SettingsError, load_settings
from sigma_core.policy import DEFAULT_POLICY_FILE

SECRET = "correct-horse-battery"


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.code == "SETTINGS_INVALID"
    return str(caught.value)


def test_with_nothing_set_everything_is_in_the_home(home: Path) -> None:
    settings = load_settings()
    assert settings.home == home
    assert settings.protocol_url == f"sqlite:///{home}/protocol.db"
    assert settings.usage_url == f"sqlite:///{home}/usage.db"
    assert settings.blobs == (home / "blobs").as_uri()
    for place in (settings.signing_key, settings.beacon_key, settings.lake, settings.dagster_home):
        assert home in place.parents
    assert settings.policy_file == DEFAULT_POLICY_FILE
    assert not home.exists()  # reading settings makes nothing


def test_without_a_home_it_is_a_folder_in_the_users(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGMA_HOME")
    monkeypatch.setenv("HOME", str(home))
    assert load_settings().home == home / ".sigma"


def test_each_variable_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {
        "SIGMA_DATABASE_URL": "postgresql://sigma@db/protocol",
        "SIGMA_USAGE_DATABASE_URL": "postgresql://sigma@db/usage",
        "SIGMA_BLOB_URL": "s3://bucket/prefix",
        "SIGMA_POLICY_FILE": "/etc/sigma/policy.toml",
        "SIGMA_SIGNING_KEY_FILE": "/etc/sigma/key.pem",
        "SIGMA_HOST": "0.0.0.0",
        "SIGMA_API_PORT": "9000",
        "SIGMA_DAGSTER_PORT": "9001",
        "DAGSTER_HOME": "/var/dagster",
    }
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.protocol_url, settings.usage_url, settings.blobs) == tuple(wanted.values())[:3]
    assert settings.policy_file == Path("/etc/sigma/policy.toml")
    assert settings.signing_key == Path("/etc/sigma/key.pem")
    assert (settings.host, settings.api_port, settings.dagster_port) == ("0.0.0.0", 9000, 9001)
    assert settings.dagster_home == Path("/var/dagster")


def test_drand_relays_are_a_list_with_commas(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().beacon == "own"
    monkeypatch.setenv("SIGMA_BEACON", "drand")
    monkeypatch.setenv("SIGMA_DRAND_URLS", " https://one.example/ ,http://10.0.0.7:8080/drand,")
    settings = load_settings()
    assert (settings.beacon, settings.drand_urls) == ("drand", ("https://one.example", "http://10.0.0.7:8080/drand"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SIGMA_BEACON", "dice", "SIGMA_BEACON: Input should be 'own' or 'drand'"),
        ("SIGMA_DRAND_URLS", "relay.example", "SIGMA_DRAND_URLS: 'relay.example' is no relay"),
        ("SIGMA_DRAND_URLS", ",", "SIGMA_DRAND_URLS: Tuple should have at least 1 item"),
    ],
)
def test_a_beacon_that_cannot_be_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    assert refusal().startswith(said)


@pytest.mark.usefixtures("home")
def test_a_variable_that_is_set_to_nothing_counts_as_not_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings()
    for name in Settings.model_fields:
        if name != "home":
            monkeypatch.setenv(f"SIGMA_{name.upper()}", "")
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert load_settings() == before
    assert load_settings().dagster_home == home / "dagster"


def test_relative_places_mean_the_folder_where_the_variable_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The services of `sigma up` run in another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGMA_HOME", "here")
    monkeypatch.setenv("SIGMA_POLICY_FILE", "policy.toml")
    monkeypatch.setenv("SIGMA_SIGNING_KEY_FILE", "~/key.pem")
    monkeypatch.setenv("DAGSTER_HOME", "dagster")
    settings = load_settings()
    monkeypatch.chdir("/")
    assert settings.home == tmp_path / "here"
    assert settings.policy_file == tmp_path / "policy.toml"
    assert settings.signing_key == Path(os.environ["HOME"]) / "key.pem"
    assert settings.protocol_url == f"sqlite:///{tmp_path}/here/protocol.db"


def test_a_home_with_signs_that_mean_something_in_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "what? 100%20 #1 é"
    monkeypatch.setenv("SIGMA_HOME", str(home))
    assert make_url(load_settings().protocol_url).database == str(home / "protocol.db")


@pytest.mark.parametrize(
    "url", ["sqlite:///protocol.db", "sqlite://", "sqlite:///:memory:", "sqlite+pysqlite:///a/b.db"]
)
@pytest.mark.parametrize("name", ["SIGMA_DATABASE_URL", "SIGMA_USAGE_DATABASE_URL"])
def test_a_sqlite_url_without_an_absolute_path(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv(name, url)
    assert refusal() == (
        f"{name}: a SQLite database needs an absolute path with four slashes, as in sqlite:////var/lib/sigma.db"
    )


@pytest.mark.parametrize("other", ["SIGMA_DATABASE_URL", "SIGMA_USAGE_DATABASE_URL"])
def test_one_database_for_dagster_and_us(home: Path, monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    for name in (other, "SIGMA_DAGSTER_DATABASE_URL"):
        monkeypatch.setenv(name, "postgresql://sigma@localhost/sigma")
    assert refusal() == "SIGMA_DAGSTER_DATABASE_URL: Dagster's tables need a database of their own"


def test_one_database_for_protocol_and_usage(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = "SIGMA_USAGE_DATABASE_URL: protocol and usage must be two databases, never one"
    for url in ("postgresql://sigma@db/sigma", f"sqlite:///{home}/sigma.db"):
        monkeypatch.setenv("SIGMA_DATABASE_URL", url)
        monkeypatch.setenv("SIGMA_USAGE_DATABASE_URL", url)
        assert refusal() == rule
    monkeypatch.delenv("SIGMA_DATABASE_URL")
    monkeypatch.setenv("SIGMA_USAGE_DATABASE_URL", f"sqlite:///{home}/protocol.db")
    assert refusal() == rule


@pytest.mark.parametrize("name", ["SIGMA_API_PORT", "SIGMA_DAGSTER_PORT"])
@pytest.mark.parametrize(
    ("port", "rule"),
    [
        ("http", "Input should be a valid integer"),
        ("0", "Input should be greater than or equal to 1"),
        ("65536", "Input should be less than or equal to 65535"),
        ("8400.5", "Input should be a valid integer"),
    ],
)
def test_a_bad_port(home: Path, monkeypatch: pytest.MonkeyPatch, name: str, port: str, rule: str) -> None:
    monkeypatch.setenv(name, port)
    assert refusal().startswith(f"{name}: {rule}")


def test_one_port_for_two_services(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_API_PORT", "8401")
    assert refusal() == "SIGMA_DAGSTER_PORT: the API listens on this port; give the Dagster UI another"


def test_passwords_are_never_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMA_DATABASE_URL", f"postgresql://sigma:{SECRET}@db/protocol")
    monkeypatch.setenv("SIGMA_USAGE_DATABASE_URL", f"postgresql://sigma@db/usage?password={SECRET}")
    monkeypatch.setenv("SIGMA_BLOB_URL", f"s3://bucket?secret_access_key={SECRET}")
    settings = load_settings()
    assert SECRET in settings.protocol_url
    assert SECRET in settings.usage_url
    assert SECRET in settings.blobs
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert SECRET not in text
    monkeypatch.setenv("SIGMA_API_PORT", "none")
    assert SECRET not in refusal()


def test_settings_can_be_a_key_of_what_is_opened_once_per_process(home: Path) -> None:
    first, second = load_settings(), load_settings()
    assert first.protocol_url  # what was derived already makes no difference
    assert len({first, second}) == 1

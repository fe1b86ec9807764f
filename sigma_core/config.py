"""Settings of one deployment, from ``SIGMA_*`` environment variables.

With none set, everything is embedded: SQLite, local blobs and a local Dagster home under ``SIGMA_HOME``. What shapes a
*result* is not here but in the policy; settings only say where things are.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sigma_core.errors import SigmaError
from sigma_core.policy import DEFAULT_POLICY_FILE


class SettingsError(SigmaError):
    """An environment variable with a value that cannot be used; names the variable."""

    code = "SETTINGS_INVALID"


def _refuse_relative_sqlite(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if text.startswith("sqlite") and ":////" not in text:
        raise ValueError(
            "a SQLite database needs an absolute path with four slashes, as in sqlite:////var/lib/sigma.db"
        )
    return url


def _refuse_other_databases(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith("postgresql://"):
        raise ValueError("Dagster's store is SQLite in home, or what a URL that begins with postgresql:// names")
    return url


def _split(urls: object) -> object:
    return tuple(url.strip().rstrip("/") for url in urls.split(",") if url.strip()) if isinstance(urls, str) else urls


def _refuse_other_schemes(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in urls:
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"{url[:100]!r} is no relay: a URL begins with https:// (or http:// and an address)")
    return urls


# Absolute, because the services of `sigma up` run in another folder than the shell that set the variable.
AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_refuse_relative_sqlite)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_refuse_other_databases)]
RelayUrls = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_refuse_other_schemes)]


class Settings(BaseSettings):
    """Where this deployment keeps things and where it listens. A variable that is set to nothing counts as not set."""

    model_config = SettingsConfigDict(env_prefix="SIGMA_", env_ignore_empty=True, extra="ignore", frozen=True)

    home: AbsolutePath = Field(
        default_factory=lambda: Path.home() / ".sigma",
        description="Folder of the embedded defaults: databases, blobs, lake, keys, Dagster home.",
    )
    database_url: DatabaseUrl | None = Field(
        default=None,
        description="Protocol database, as a SQLAlchemy URL (sqlite:////… or postgresql://…). Default: SQLite in home.",
    )
    usage_database_url: DatabaseUrl | None = Field(
        default=None, description="Usage database, never the protocol one. Default: SQLite in home."
    )
    dagster_database_url: PostgresUrl | None = Field(
        default=None,
        description="Dagster's own store, a third database (postgresql://…), set before first use. Default: SQLite in home.",
    )
    blob_url: SecretStr | None = Field(
        default=None, description="Content-addressed blobs: file:///… or s3://bucket/prefix. Default: a folder in home."
    )
    policy_file: AbsolutePath = Field(default=DEFAULT_POLICY_FILE, description="Deployment policy (TOML).")
    suppressions: AbsolutePath | None = Field(
        default=None,
        description="Findings that this deployment accepts (TOML), for `sigma validate`; no round reads it.",
    )
    signing_key_file: AbsolutePath | None = Field(
        default=None, description="Ed25519 key that signs certificates; made on first use (0600). Default: in home."
    )
    host: str = Field(default="127.0.0.1", description="Address that `sigma up` listens on.")
    api_port: int = Field(default=8400, ge=1, le=65535, description="Port of the API.")
    dagster_port: int = Field(default=8401, ge=1, le=65535, description="Port of the Dagster UI.")
    public_url: str = Field(
        default="http://127.0.0.1:8400", description="Address under which clients reach the public plane."
    )
    security_contact: str | None = Field(
        default=None,
        max_length=500,
        pattern=r"^(mailto:|https://|tel:)[!-~]+$",
        description="Where people report faults of this deployment (mailto:, https: or tel:), for its security.txt.",
    )
    beacon: Literal["own", "drand"] = Field(
        default="own",
        description="What panels are drawn from: the deployment's own hash chain, or the drand network of the policy.",
    )
    drand_urls: RelayUrls = Field(
        default=("https://api.drand.sh", "https://api2.drand.sh", "https://api3.drand.sh"),
        min_length=1,
        max_length=16,
        description="Relays of that network, separated by commas; the first that answers rightly is believed. One on a private "
        "address, or over http, is named by that address, as in http://10.0.0.7:8080.",
    )
    public_rate_requests: int = Field(
        default=600, ge=1, description="Requests that one client address may send to the public plane in a window."
    )
    public_rate_window_seconds: int = Field(default=60, ge=1, description="Length of that window.")
    public_answers_mib: int = Field(
        default=256,
        ge=1,
        description="Answers of the public plane that each process keeps, in MiB; it takes up to three times that.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="What the API logs; INFO has a line for every request."
    )
    batch_size: int = Field(
        default=100, ge=1, le=500, description="Submissions that the intake sensor puts into one Dagster run at most."
    )

    # Names of our own and not the providers' usual ones: a key that lies in a shell for another purpose is never spent here.
    openai_api_key: SecretStr | None = Field(default=None, description="Key for OpenAI, or what speaks its API.")
    openai_base_url: str = Field(
        default="https://api.openai.com/v1", description="Any OpenAI-compatible API; `/chat/completions` is appended."
    )
    anthropic_api_key: SecretStr | None = Field(default=None, description="Key for Anthropic.")
    anthropic_base_url: str = Field(
        default="https://api.anthropic.com/v1", description="Any Anthropic-compatible API; `/messages` is appended."
    )
    openrouter_api_key: SecretStr | None = Field(default=None, description="Key for OpenRouter.")
    openrouter_base_url: str = Field(default="https://openrouter.ai/api/v1", description="OpenRouter's API.")
    vllm_api_key: SecretStr | None = Field(default=None, description="Key for vLLM, where it asks for one.")
    vllm_base_url: str | None = Field(
        default=None, description="vLLM's OpenAI-compatible API, as in http://host:8000/v1."
    )
    ollama_base_url: str | None = Field(
        default=None, description="Ollama's OpenAI-compatible API, as in http://127.0.0.1:11434/v1."
    )
    price_file: AbsolutePath | None = Field(
        default=None, description="Prices of language models (TOML). Default: the table that comes with SIGMA."
    )

    @cached_property
    def protocol_url(self) -> str:
        """URL of the protocol database, password included: never log it."""
        return self._url_or_file(self.database_url, "protocol.db")

    @cached_property
    def usage_url(self) -> str:
        """URL of the usage database, password included: never log it."""
        return self._url_or_file(self.usage_database_url, "usage.db")

    def _url_or_file(self, url: SecretStr | None, name: str) -> str:
        return url.get_secret_value() if url is not None else f"sqlite:///{quote(str(self.home / name))}"

    @cached_property
    def blobs(self) -> str:
        """URL of the blob store: it may hold a key, so never log it."""
        return self.blob_url.get_secret_value() if self.blob_url is not None else (self.home / "blobs").as_uri()

    @cached_property
    def signing_key(self) -> Path:
        """File of the signing key."""
        return self.signing_key_file if self.signing_key_file is not None else self.home / "keys" / "certificates.pem"

    @cached_property
    def key_set(self) -> Path:
        """File of the published key set, beside the signing key."""
        return self.signing_key.with_name("trusted-keys.json")

    @cached_property
    def log_key(self) -> Path:
        """File of the key that signs the log's checkpoints, beside the signing key."""
        return self.signing_key.with_name("log.pem")

    @cached_property
    def transparency_log(self) -> Path:
        """Folder of the transparency log's static files."""
        return self.home / "transparency-log"

    @cached_property
    def status_lists(self) -> Path:
        """Folder of the published status lists."""
        return self.home / "status-lists"

    @cached_property
    def certificates(self) -> Path:
        """Folder of the bundles that `sigma audit` writes."""
        return self.home / "certificates"

    @cached_property
    def beacon_key(self) -> Path:
        """File of the deployment's own beacon chain (its secret seed and pebbles)."""
        return self.home / "keys" / "beacon.json"

    @cached_property
    def canary_key(self) -> Path:
        """File of the secret that says which rounds call for a canary package."""
        return self.home / "keys" / "canaries.json"

    @cached_property
    def provider_totals(self) -> Path:
        """Folder of CSV files that say what providers of language models billed; the usage ledger is held against them."""
        return self.home / "provider-totals"

    @cached_property
    def lake(self) -> Path:
        """Folder of the Parquet lake."""
        return self.home / "lake"

    @cached_property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance."""
        return Path(os.environ.get("DAGSTER_HOME") or self.home / "dagster").absolute()


def load_settings() -> Settings:
    """Settings from the environment. Raises SettingsError naming the variable and the rule."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "SIGMA_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
    if settings.protocol_url == settings.usage_url:
        raise SettingsError("SIGMA_USAGE_DATABASE_URL: protocol and usage must be two databases, never one")
    dagster_url = settings.dagster_database_url
    if dagster_url is not None and dagster_url.get_secret_value() in (settings.protocol_url, settings.usage_url):
        raise SettingsError("SIGMA_DAGSTER_DATABASE_URL: Dagster's tables need a database of their own")
    if settings.api_port == settings.dagster_port:
        raise SettingsError("SIGMA_DAGSTER_PORT: the API listens on this port; give the Dagster UI another")
    return settings

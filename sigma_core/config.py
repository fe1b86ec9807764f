"""Settings of one deployment, from ``SIGMA_*`` environment variables.

With none set, everything is embedded: SQLite, local blobs and a local Dagster home under ``SIGMA_HOME``. What shapes a *result* is not here
but in the policy; settings only say where things are.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sigma_core.errors import SigmaError
from sigma_core.policy import DEFAULT_POLICY_FILE


class SettingsError(SigmaError):
    """An environment variable with a value that cannot be used; names the variable."""

    code = "SETTINGS_INVALID"


class Settings(BaseSettings):
    """Where this deployment keeps things and where it listens."""

    model_config = SettingsConfigDict(env_prefix="SIGMA_", extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=lambda: Path.home() / ".sigma",
        description="Folder of the embedded defaults: databases, blobs, lake, keys, Dagster home.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="Protocol database, as a SQLAlchemy URL (sqlite:///… or postgresql://…). Default: SQLite in home.",
    )
    usage_database_url: SecretStr | None = Field(
        default=None, description="Usage database, never the protocol one. Default: SQLite in home."
    )
    blob_url: str | None = Field(
        default=None, description="Content-addressed blobs: file:///… or s3://bucket/prefix. Default: a folder in home."
    )
    policy_file: Path = Field(default=DEFAULT_POLICY_FILE, description="Deployment policy (TOML).")
    signing_key_file: Path | None = Field(
        default=None, description="Ed25519 key that signs certificates; made on first use (0600). Default: in home."
    )
    host: str = Field(default="127.0.0.1", description="Address that `sigma up` listens on.")
    api_port: int = Field(default=8400, ge=1, le=65535, description="Port of the API.")
    dagster_port: int = Field(default=8401, ge=1, le=65535, description="Port of the Dagster UI.")
    public_url: str = Field(
        default="http://127.0.0.1:8400", description="Address under which clients reach the public plane."
    )
    batch_size: int = Field(
        default=100, ge=1, le=500, description="Submissions that the intake sensor puts into one Dagster run at most."
    )

    @cached_property
    def protocol_url(self) -> str:
        """URL of the protocol database, password included: never log it."""
        if self.database_url is None:
            return f"sqlite:///{self.home / 'protocol.db'}"
        return self.database_url.get_secret_value()

    @cached_property
    def usage_url(self) -> str:
        """URL of the usage database, password included: never log it."""
        if self.usage_database_url is None:
            return f"sqlite:///{self.home / 'usage.db'}"
        return self.usage_database_url.get_secret_value()

    @cached_property
    def blobs(self) -> str:
        """URL of the blob store."""
        return self.blob_url if self.blob_url is not None else (self.home.absolute() / "blobs").as_uri()

    @cached_property
    def signing_key(self) -> Path:
        """File of the signing key."""
        return self.signing_key_file if self.signing_key_file is not None else self.home / "keys" / "certificates.pem"

    @cached_property
    def beacon_key(self) -> Path:
        """File of the deployment's own beacon chain (its secret seed and pebbles)."""
        return self.home / "keys" / "beacon.json"

    @cached_property
    def lake(self) -> Path:
        """Folder of the Parquet lake."""
        return self.home / "lake"

    @cached_property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance."""
        return Path(os.environ["DAGSTER_HOME"]) if "DAGSTER_HOME" in os.environ else self.home / "dagster"


def load_settings() -> Settings:
    """Settings from the environment. Raises SettingsError naming the variable and the rule."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "SIGMA_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']}") from None
    if settings.protocol_url == settings.usage_url:
        raise SettingsError("SIGMA_USAGE_DATABASE_URL: protocol and usage must be two databases, never one")
    return settings

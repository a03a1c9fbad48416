"""Settings from the environment: `TANDEM_` and the field's name in capitals."""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tandem_engine.contracts.uris import schemes_of
from tandem_engine.inputs.access import Access
from tandem_engine.inputs.guard import networks_of

Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """What a deployment may set; read once, by the entry point."""

    model_config = SettingsConfigDict(env_prefix="TANDEM_", frozen=True, extra="ignore")

    database_url: str = Field(description="PostgreSQL: `postgresql+psycopg://user@host/name`.")
    redis_url: str = Field(description="Redis or Valkey, the workers' wake-up call.")
    data_dir: Path = Field(description="Folder of artifacts; a job's are in `jobs/<id>/`.")
    file_roots: str = Field(
        default="/",
        description="Folders that data may come from, separated like PATH; links are followed "
        "first.",
    )
    uri_schemes: str = Field(
        default="file,s3,gs,az,hf",
        description="Schemes that data may come from, by commas; of file, s3, gs, az, hf, https, "
        "http. The last two let a job's author make service and workers call any public host.",
    )
    private_networks: str = Field(
        default="",
        description="Private networks that http and https may lead to, as `10.0.0.0/8` by commas; "
        "by default public addresses only.",
    )
    key_pepper: SecretStr = Field(
        default=SecretStr(""), description="Secret that API keys are hashed with."
    )
    lease_seconds: Seconds = Field(default=60, description="A job without a sign of life is lost.")
    heartbeat_seconds: Seconds = Field(default=10, description="How often a worker gives one.")
    reconcile_seconds: Seconds = Field(
        default=10, description="How often lost jobs and lost messages are looked for."
    )
    resend_seconds: Seconds = Field(
        default=30, description="A queued job is announced again after this time, then doubled."
    )
    max_attempts: Annotated[int, Field(ge=1)] = Field(
        default=3, description="Attempts of a job that may end by a fault."
    )
    retry_backoff_seconds: Annotated[float, Field(ge=0)] = Field(
        default=5, description="Wait before the next attempt; doubled with each."
    )
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        default=1_000_000, description="Largest body of a request, in bytes."
    )
    statement_timeout_seconds: Seconds = Field(
        default=30, description="The database ends a statement that takes longer."
    )
    database_pool_size: Annotated[int, Field(ge=1)] = Field(
        default=10, description="Connections kept open per process."
    )
    openlineage_url: str = Field(
        default="",
        description="Run events are POSTed to this URL, such as "
        "`http://marquez:5000/api/v1/lineage`; empty is off.",
    )
    openlineage_namespace: Annotated[str, Field(min_length=1)] = Field(
        default="tandem", description="Namespace of the jobs in run events."
    )
    openlineage_api_key: SecretStr = Field(
        default=SecretStr(""), description="Sent with run events as bearer token; empty sends none."
    )
    webhook_url: str = Field(
        default="", description="CloudEvents of jobs are POSTed to this URL; empty is off."
    )
    metrics_token: SecretStr = Field(
        default=SecretStr(""),
        description="Bearer token that `GET /metrics` needs; empty: there is no such path.",
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders of `file_roots`, without links."""
        return tuple(Path(root).resolve() for root in self.file_roots.split(os.pathsep) if root)

    @property
    def access(self) -> Access:
        """Where the data of jobs may come from."""
        networks = networks_of(self.private_networks)
        return Access(self.roots, schemes_of(self.uri_schemes), networks, self.closed_folders)

    @property
    def closed_folders(self) -> tuple[Path, ...]:
        """Where artifacts of all tenants lie: no job reads there, whatever `file_roots` says."""
        return (self.data_dir.resolve(),)

    @field_validator("openlineage_url", "webhook_url")
    @classmethod
    def _is_off_or_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("write http://host/path or https://host/path, or leave it empty")
        return url

    @field_validator("uri_schemes")
    @classmethod
    def _are_known(cls, written: str) -> str:
        schemes_of(written)
        return written

    @field_validator("private_networks")
    @classmethod
    def _are_networks(cls, written: str) -> str:
        networks_of(written)
        return written


def read_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        pydantic.ValidationError: a required variable is missing or a value is out of range.
    """
    return Settings()

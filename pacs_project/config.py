"""Configuration: one typed object read from the environment (``PACS_...``), secrets files and defaults."""

import os
import secrets
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

BASE = Path(__file__).resolve().parent.parent


class S3Config(BaseModel):
    """Where Part 10 objects go when ``PACS_OBJECT_STORE=s3``."""

    endpoint_url: str = ""
    bucket: str = "lightbox"
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: SecretStr = SecretStr("")
    prefix: str = ""


class Limits(BaseModel):
    """What one request may ask for, in bytes, seconds and counts."""

    store_part_bytes: int = 4 << 30
    store_parts: int = 100_000
    store_batch_instances: int = 64
    store_batch_bytes: int = 256 << 20
    search_limit: int = 10_000
    search_default_limit: int = 1_000
    frames_per_request: int = 10_000
    commitment_references: int = 10_000
    commitment_bytes: int = 4 << 20
    statement_seconds: int = 30
    search_seconds: int = 5


class Config(BaseSettings):
    """Every setting of the product. ``PACS_S3__BUCKET`` sets ``s3.bucket``."""

    model_config = SettingsConfigDict(
        env_prefix="PACS_", env_nested_delimiter="__", secrets_nested_delimiter="__", extra="ignore"
    )

    data: Path = BASE / "var"
    database_url: str = "postgresql:///pacs"
    redis_url: str = "redis://127.0.0.1:6379/0"
    object_store: Literal["file", "s3"] = "file"
    s3: S3Config = S3Config()
    public_root: str = Field(default="http://127.0.0.1:8080", description="scheme and host as clients see them")
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "[::1]"]
    trusted_proxies: list[str] = []
    cors_origins: list[str] = []
    secret_key: SecretStr = SecretStr("")
    viewer_dir: Path | None = None
    idle_minutes: float = 15
    session_hours: int = 12
    access_token_seconds: int = 900
    debug: bool = False
    delete_grace_days: float = Field(default=7, ge=0, description="days in which a deletion can be taken back")
    commitment_reads_objects: bool = Field(
        default=False, description="storage commitment compares the SHA-256 of each object, not only its size"
    )
    limits: Limits = Limits()

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: list[str]) -> list[str]:
        for proxy in proxies:
            if proxy != "unix":
                ip_network(proxy, strict=False)
        return proxies

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then files of ``PACS_SECRETS_DIR`` named like the variables, nested ones too."""
        return init_settings, env_settings, NestedSecretsSettingsSource(file_secret_settings)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.viewer_dir is None:
            self.viewer_dir = self.data / "viewer"
        if not self.secret_key.get_secret_value():
            self.secret_key = SecretStr(_kept_secret(self.data / "secrets" / "secret_key"))
        self.public_root = self.public_root.rstrip("/")
        return self

    @property
    def secure(self) -> bool:
        """True when clients reach the product over TLS: cookies are then marked Secure and HSTS is sent."""
        return self.public_root.startswith("https://")


def _kept_secret(path: Path) -> str:
    """The secret in ``path``, made once with mode 0600. Creation races settle on one winner."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text().strip()


@lru_cache(maxsize=1)
def config() -> Config:
    """The configuration of this process. ``PACS_SECRETS_DIR`` names a folder of secret files, one setting a file."""
    folder = os.environ.get("PACS_SECRETS_DIR")
    if folder and not Path(folder).is_dir():
        raise ValueError("PACS_SECRETS_DIR names no folder")
    return Config(_secrets_dir=folder) if folder else Config()  # type: ignore[call-arg]

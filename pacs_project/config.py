"""Configuration: one typed object read from the environment (``PACS_...``), secrets files and defaults."""

import os
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from access.federation_settings import OidcConfig, TrustedIssuer, each_once
from dicom.limits import Limits as DicomLimits
from pacs_project.config_alerts import WebhookConfig
from pacs_project.config_at_rest import AtRestConfig
from pacs_project.config_backup import BackupConfig
from pacs_project.config_copies import CopiesConfig, ScrubConfig
from pacs_project.config_encryption import EncryptionConfig
from pacs_project.config_hl7 import Hl7Config
from pacs_project.config_hl7_out import Hl7OutConfig
from pacs_project.config_metrics import MetricsConfig
from pacs_project.config_retention import KeepConfig, QuotaConfig, RetentionConfig
from pacs_project.config_s3 import S3Config
from pacs_project.config_tiers import TiersConfig
from pacs_project.config_workitems import WorkItemsConfig
from pacs_project.config_worklist import WorklistConfig

BASE = Path(__file__).resolve().parent.parent


_OF_DICOM = DicomLimits()


class Limits(BaseModel):
    """What one request may ask for, in bytes, seconds and counts, and what one object may be (``dicom.limits``)."""

    store_part_bytes: int = 4 << 30
    store_parts: int = 100_000
    store_batch_instances: int = 64
    store_batch_bytes: int = 256 << 20
    store_metadata_bytes: int = Field(default=64 << 20, ge=1)
    search_limit: int = 10_000
    search_default_limit: int = 1_000
    search_parameters: int = Field(default=500, ge=1)
    search_value_characters: int = Field(default=4096, ge=64)
    frames_per_request: int = 10_000
    pictures_per_request: int = Field(default=1_000, ge=1)
    picture_header_bytes: int = Field(default=64 << 20, ge=1)
    cine_frames: int = Field(default=600, ge=1)
    cine_pixels: int = Field(default=128 << 20, ge=1 << 16)
    decodings: int = Field(default=0, ge=0)
    decoding_wait_seconds: float = Field(default=30, ge=0)
    codec_seconds: float = Field(default=20, gt=0)
    codec_bytes: int = Field(default=2 << 30, ge=256 << 20)
    frame_cache_bytes: int = 64 << 20
    commitment_references: int = 10_000
    commitment_bytes: int = 4 << 20
    statement_seconds: int = 30
    search_seconds: int = 5
    silence_seconds: int = Field(default=60, ge=1)
    archive_bytes: int = Field(default=0, ge=0)
    sequence_depth: int = Field(default=_OF_DICOM.sequence_depth, ge=1, le=200)
    elements: int = Field(default=_OF_DICOM.elements, ge=1000)
    inline_bytes: int = Field(default=_OF_DICOM.inline_bytes, ge=1 << 20)
    json_bytes: int = Field(default=_OF_DICOM.json_bytes, ge=1 << 20)
    json_ratio: int = Field(default=_OF_DICOM.json_ratio, ge=1)
    xml_bytes: int = Field(default=_OF_DICOM.xml_bytes, ge=1 << 20)
    fragments: int = Field(default=_OF_DICOM.fragments, ge=1)
    inflated_bytes: int = Field(default=_OF_DICOM.inflated_bytes, ge=1 << 20)
    inflate_ratio: int = Field(default=_OF_DICOM.inflate_ratio, ge=1)
    frame_samples: int = Field(default=_OF_DICOM.frame_samples, ge=1)
    frame_bytes: int = Field(default=_OF_DICOM.frame_bytes, ge=1)
    jpeg_scans: int = Field(default=_OF_DICOM.jpeg_scans, ge=1)
    jpeg_2000_tiles: int = Field(default=_OF_DICOM.jpeg_2000_tiles, ge=1)
    jpeg_2000_blocks: int = Field(default=_OF_DICOM.jpeg_2000_blocks, ge=1)
    jpeg_2000_packets: int = Field(default=_OF_DICOM.jpeg_2000_packets, ge=1)

    def of_dicom(self) -> DicomLimits:
        """Those of one object or frame, in the form that the room ``dicom`` knows."""
        return DicomLimits(**{field.name: getattr(self, field.name) for field in fields(DicomLimits)})


class BucketConfig(BaseModel):
    """How the bucket of the checkpoints is reached, with credentials of its own."""

    endpoint_url: str = ""
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: SecretStr = SecretStr("")


class AuditConfig(BaseModel):
    """Where the signed checkpoints of the access trail go, and who signs them; how frames are counted together."""

    checkpoints: str = ""
    s3: BucketConfig = BucketConfig()
    lock_days: int | None = Field(default=None, ge=1)
    checkpoint_seconds: int = Field(default=60, ge=1)
    key: Path | None = None
    years: int | None = Field(default=None, ge=6, description="what is older may be taken out; None: nothing ever")
    archive: Path | None = Field(default=None, description="where the copies of what was taken out are written")
    frame_seconds: int = Field(default=60, ge=0, le=3600)


class SyslogConfig(BaseModel):
    """Where the access trail is sent as it grows (RFC 5425); nowhere while ``host`` is empty."""

    host: str = ""
    port: int = Field(default=6514, ge=1, le=65535)
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    site: str = ""


class Misconfigured(ValueError):
    """The settings are wrong; the message says which and why, for whoever starts the process."""


class Config(BaseSettings):
    """Every setting of the product. ``PACS_S3__BUCKET`` sets ``s3.bucket``."""

    model_config = SettingsConfigDict(
        env_prefix="PACS_", env_nested_delimiter="__", secrets_nested_delimiter="__", extra="ignore"
    )

    # Django's settings look for this at whatever they hand out, and what a model lacks it takes long to deny.
    _mask_wrapped: ClassVar[bool] = True

    data: Path = BASE / "var"
    database_url: str = "postgresql:///pacs"
    database_prepare: bool = Field(
        default=True, description="frequent statements are planned once a connection; false behind a pooler"
    )
    redis_url: str = "redis://127.0.0.1:6379/0"
    worker_niceness: int = Field(default=15, ge=0, le=19, description="how far tasks step back behind requests")
    object_store: Literal["file", "s3"] = "file"
    s3: S3Config = S3Config()
    encryption: EncryptionConfig = EncryptionConfig()
    tiers: TiersConfig = TiersConfig()
    copies: CopiesConfig = CopiesConfig()
    scrub: ScrubConfig = ScrubConfig()
    store_when_down: Literal["refuse", "spool"] = Field(
        default="refuse",
        description="while S3 is away: refuse what is stored, or keep it on this machine's disk until S3 is back",
    )
    read_only_below_bytes: int = Field(
        default=256 << 20,
        ge=0,
        description="with less free disk nothing is stored, until twice as much is free; 0: never",
    )
    public_root: str = Field(default="http://127.0.0.1:8080", description="scheme and host as clients see them")
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "[::1]"]
    trusted_proxies: list[str] = []
    cors_origins: list[str] = []
    secret_key: SecretStr = SecretStr("")
    viewer_dir: Path | None = None
    idle_minutes: float = 15
    idle_minutes_by_role: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={}, description="for people with these roles instead of idle_minutes; the shortest counts"
    )
    session_hours: int = 12
    emergency_hours: float = Field(default=4, gt=0, le=4, description="the longest that an emergency access may last")
    alert_email: list[str] = Field(default=[], description="who is written to when there is an alert")
    alert_webhook: WebhookConfig = WebhookConfig()
    email_url: SecretStr = Field(
        default=SecretStr(""), description="smtp://user:password@host:587?tls=yes, or smtps:// for TLS from the start"
    )
    email_from: str = "lightbox@localhost"
    dormant_days: int = Field(default=90, ge=1, description="accounts not used for so long are called dormant")
    dormant_switch_off: bool = Field(default=False, description="the daily upkeep switches dormant accounts off")
    second_factor: Literal["optional", "required"] | list[str] = Field(
        default="optional", description="who must sign in with more than a password: optional, required, or roles"
    )
    access_token_seconds: int = 900
    app_session_hours: int = Field(
        default=12, ge=1, le=720, description="hours that an app may act for a person before it has to ask again"
    )
    picture_font: Path | None = Field(
        default=None, description="font file for letters that pictures of reports lack otherwise, such as Chinese"
    )
    time_zone: str = Field(default="", description="of studies that name none: IANA name or offset, such as +0100")
    debug: bool = False
    log_format: Literal["plain", "json"] = Field(default="plain", description="json: one object a line, for machines")
    log_requests: bool = Field(default=False, description="a line of the log for each request, without its address")
    metrics: MetricsConfig = MetricsConfig()
    delete_grace_days: float = Field(default=7, ge=0, description="days in which a deletion can be taken back")
    commitment_reads_objects: bool = Field(
        default=False, description="storage commitment compares the SHA-256 of each object, not only its size"
    )
    limits: Limits = Limits()
    retention: RetentionConfig = RetentionConfig()
    quota: QuotaConfig = QuotaConfig()
    keep: KeepConfig = KeepConfig()
    at_rest: AtRestConfig = AtRestConfig()
    backup: BackupConfig = BackupConfig()
    hl7: Hl7Config = Hl7Config()
    worklist: WorklistConfig = WorklistConfig()
    hl7_out: Hl7OutConfig = Hl7OutConfig()
    workitems: WorkItemsConfig = WorkItemsConfig()
    audit: AuditConfig = AuditConfig()
    syslog: SyslogConfig = SyslogConfig()
    oidc: OidcConfig = OidcConfig()
    trusted_issuers: Annotated[list[TrustedIssuer], AfterValidator(each_once)] = []

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: list[str]) -> list[str]:
        for proxy in proxies:
            if proxy != "unix":
                ip_network(proxy, strict=False)
        return proxies

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name and not re.fullmatch(r"[+-](0[0-9]|1[0-4])[0-5][0-9]", name):
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, OSError) as error:
                raise ValueError("expected an IANA name that this machine knows, or an offset like +0100") from error
        return name

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
        if not self.metrics.token.get_secret_value() and (self.data / "secrets").is_dir():
            # Only where there is a folder for it already: without a token nobody scrapes by one.
            with suppress(OSError):
                self.metrics.token = SecretStr(_kept_secret(self.data / "secrets" / "metrics_token"))
        self.public_root = self.public_root.rstrip("/")
        first = (None, self.s3) if self.object_store == "s3" else (self.data / "store", None)
        tiers = ((tier.folder, tier.s3) for tier in (self.tiers.warm, self.tiers.cold))
        if self.copies.is_one_of((first, *tiers)):
            raise ValueError(
                "PACS_COPIES__...: the second store has to be another place than the first one and its tiers"
            )
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
        raise Misconfigured("PACS_SECRETS_DIR names no folder")
    try:
        return Config(_secrets_dir=folder) if folder else Config()  # type: ignore[call-arg]
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)
        raise Misconfigured("\n".join(_in_words(each["loc"], each["msg"]) for each in wrong)) from None
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        raise Misconfigured(f"PACS_{field[1].upper() if field else '...'}: expected JSON") from None


def _in_words(place: Sequence[str | int], message: str) -> str:
    """What is wrong with a setting, without its value, which may be a secret."""
    listed = next((at for at, step in enumerate(place) if isinstance(step, int)), len(place))
    name = "PACS_" + "__".join(str(step).upper() for step in place[:listed])
    entry = "".join(f", entry {step + 1}" if isinstance(step, int) else f", {step}" for step in place[listed:])
    text = message.removeprefix("Value error, ")
    return f"{name}{entry}: {text}" if place else text

"""Settings of metrics, logs and times (``/metrics``, ``Server-Timing``, the page of slow requests)."""

from ipaddress import ip_network
from pathlib import Path

from pydantic import BaseModel, Field, SecretStr, field_validator


class MetricsConfig(BaseModel):
    """Who may scrape, and what is measured."""

    token: SecretStr = Field(
        default=SecretStr(""), description="Bearer token of whoever scrapes; made in PACS_DATA/secrets/metrics_token"
    )
    allow: list[str] = Field(default=[], description="networks that may scrape without a token; none by default")
    host: str = Field(default="127.0.0.1", description="address of the port below")
    port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="where worker, relay and HL7 listener are scraped, each on a host of its own; 0: nowhere",
    )
    folder: Path | None = Field(default=None, description="where processes count; PACS_DATA/metrics by default")
    gauge_seconds: float = Field(default=15, ge=1, description="figures of the database are at most so old")
    slow_ms: int = Field(default=1000, ge=1, description="requests that take longer stand on the page of slow ones")
    server_timing: bool = Field(default=True, description="tell those who are signed in where the time went")

    @field_validator("allow")
    @classmethod
    def _networks(cls, networks: list[str]) -> list[str]:
        for network in networks:
            ip_network(network, strict=False)
        return networks

"""Settings of the webhooks that alerts go to (``access.webhooks``)."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

SHORTEST_SECRET = 24


class WebhookConfig(BaseModel):
    """Where alerts are posted besides mail; nowhere while ``urls`` is empty."""

    urls: list[str] = Field(default=[], description="addresses that alerts are posted to")
    hosts: list[str] = Field(default=[], description="the only hosts that these addresses may name")
    secret: SecretStr = Field(default=SecretStr(""), description="with which each message is signed")
    private_networks: list[IPv4Network | IPv6Network] = Field(
        default=[], description="networks that are not public and may be connected to all the same"
    )
    ca_file: Path | None = Field(
        default=None, description="who signs the receivers' certificates, if nobody public does"
    )

    @field_validator("urls")
    @classmethod
    def _are_addresses(cls, urls: list[str]) -> list[str]:
        for url in urls:
            at = urlsplit(url)
            if at.scheme not in ("https", "http") or not at.hostname or at.username or at.fragment:
                raise ValueError("an address of a webhook looks like https://host/path")
        return urls

    @model_validator(mode="after")
    def _are_allowed(self) -> Self:
        for url in self.urls:
            if (urlsplit(url).hostname or "") not in (host.lower() for host in self.hosts):
                raise ValueError("every address of a webhook names one of the hosts that are allowed")
        if self.urls and len(self.secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"webhooks take a secret of {SHORTEST_SECRET} characters or more")
        return self

"""Settings of messages that are sent (``hl7.delivery``, ``hl7.mllp_client``)."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator


class Hl7OutConfig(BaseModel):
    """Which addresses may be sent to, by whose certificate, and how long is waited and tried."""

    networks: list[IPv4Network | IPv6Network] = Field(
        default=[], description="networks that destinations may be in: private ones, and any without TLS"
    )
    certificate: Path | None = Field(default=None, description="shown to destinations that use TLS, PEM")
    key: Path | None = None
    connect_seconds: float = Field(default=10, gt=0, le=60, description="in which a connection has to be made")
    answer_seconds: float = Field(default=30, gt=0, le=600, description="in which a message has to be answered")
    retry_seconds: float = Field(default=30, gt=0, description="until the second attempt; then twice as long each time")
    longest_retry_seconds: float = Field(default=600, gt=0, description="between two attempts, at most")
    attempts: int = Field(default=10, ge=1, description="after which a message is given up")
    blocked_seconds: float = Field(default=600, gt=0, description="that a message may wait before somebody is told")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key are given together")
        return self

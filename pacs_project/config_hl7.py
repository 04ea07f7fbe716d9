"""Settings of the HL7 listener (``hl7.listener``)."""

from ipaddress import ip_network
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, field_validator, model_validator


class Hl7Config(BaseModel):
    """Where messages are taken, from whom, and how much of them at a time."""

    host: str = Field(default="127.0.0.1", description="address that the listener binds")
    port: int = Field(default=2575, ge=0, le=65535, description="of plain MLLP; 0: none")
    tls_port: int = Field(default=0, ge=0, le=65535, description="of MLLP over TLS, usually 2576; 0: none")
    certificate: Path | None = Field(default=None, description="of the TLS port, PEM, with what leads to its root")
    key: Path | None = None
    ca_file: Path | None = Field(default=None, description="who signs the certificates of senders")
    allow: list[str] = Field(default=["127.0.0.0/8", "::1/128"], description="networks that may use the plain port")
    connections: int = Field(default=256, ge=1, description="open at a time")
    idle_seconds: float = Field(default=3600, gt=0, description="after which a quiet connection is closed")
    first_seconds: float = Field(default=30, gt=0, description="in which a new connection begins its first message")
    frame_seconds: float = Field(default=60, gt=0, description="in which a message, once begun, has to be complete")
    frame_bytes: int = Field(default=32 << 20, ge=1 << 16, description="the largest message")
    buffer_bytes: int = Field(default=128 << 20, ge=1 << 20, description="of unfinished messages of all connections")
    threads: int = Field(default=4, ge=1, le=64, description="messages that are applied at the same time")

    @field_validator("allow")
    @classmethod
    def _networks(cls, networks: list[str]) -> list[str]:
        for network in networks:
            ip_network(network, strict=False)
        return networks

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.tls_port and not (self.certificate and self.key and self.ca_file):
            raise ValueError("tls_port needs certificate, key and ca_file")
        return self

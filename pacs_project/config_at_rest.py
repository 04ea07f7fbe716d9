"""Settings of lossless representations that are made at rest (``archive.at_rest``)."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator

from archive.at_rest_policy import parse_row


class AtRestConfig(BaseModel):
    """Which objects are written a second time, compressed without loss, when, and what becomes of the original."""

    transfer_syntax: Literal["JPEG2000Lossless", "HTJ2KLosslessRPCL", "off"] = Field(
        default="JPEG2000Lossless", description="of the representation beside what came uncompressed"
    )
    rows: list[str] = Field(default=[], description="further rows of the policy table, read before the default one")
    delay_seconds: float = Field(default=300, ge=0, description="a series is left alone so long after its last object")
    turn_seconds: float = Field(default=10, gt=0, description="after which one series lets other tasks go first")
    at_once: int = Field(default=1, ge=1, le=64, description="series that all workers together transcode at a time")
    busy_percent: float = Field(
        default=40, ge=0, le=100, description="of the processors: it waits while others use more; 100: it never does"
    )
    niceness: int = Field(default=10, ge=0, le=19, description="how far codecs at rest step back behind others")
    drop_originals: bool = Field(default=False, description="the representation takes the place of the original")
    drop_after_days: float = Field(default=30, ge=0, description="age of a representation before it may do so")
    never_lossy: list[str] = Field(
        default=["MG", "SEG", "RTDOSE"], description="modalities of which no lossy copies are made"
    )

    @field_validator("rows")
    @classmethod
    def _readable(cls, rows: list[str]) -> list[str]:
        for row in rows:
            parse_row(row)
        return rows

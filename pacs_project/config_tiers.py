"""Settings of the tiers beside the hot store (``archive.object_store.tiered``, ``custody.tiers``)."""

import re
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, field_validator, model_validator

from archive.tier_policy import parse_row
from pacs_project.config_s3 import S3Config


class TierConfig(BaseModel):
    """One further tier: a folder or a bucket; neither, and there is no such tier."""

    folder: Path | None = Field(default=None, description="of a slower or larger file system")
    s3: S3Config | None = Field(default=None, description="a bucket, with fields like PACS_S3__")
    recall: bool = Field(default=False, description="objects are brought back before anybody reads them")
    recall_seconds: int = Field(default=300, ge=5, description="how long that takes; readers are told to wait so long")
    restore_days: int = Field(default=3, ge=1, description="an S3 archive keeps what it restored so long")
    restore_speed: str = Field(default="Standard", description="retrieval tier of an S3 archive, such as Bulk")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.folder is not None and self.s3 is not None:
            raise ValueError("a tier is a folder or a bucket, not both")
        return self

    @property
    def there(self) -> bool:
        """Whether there is such a tier."""
        return self.folder is not None or self.s3 is not None


class TiersConfig(BaseModel):
    """Where objects go that are seldom asked for, and by which table."""

    warm: TierConfig = TierConfig()
    cold: TierConfig = TierConfig()
    rows: list[str] = Field(default=[], description="of the policy table: MODALITIES AGE UNOPENED SIZE -> TIER")
    hours: str = Field(default="", description="in which objects move by themselves, such as 1-5; empty: never")
    recall_priors_days: int = Field(
        default=1, ge=0, description="priors of orders scheduled within so many days are recalled; 0: never"
    )

    @field_validator("hours")
    @classmethod
    def _two_hours(cls, hours: str) -> str:
        if hours and not re.fullmatch(r"([01]?\d|2[0-4])-([01]?\d|2[0-4])", hours):
            raise ValueError("expected two hours of a day, like 22-5")
        return hours

    @field_validator("rows")
    @classmethod
    def _readable(cls, rows: list[str]) -> list[str]:
        for row in rows:
            parse_row(row)
        return rows

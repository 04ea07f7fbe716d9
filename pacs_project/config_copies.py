"""Settings of the second store (``archive.object_store.copies``) and of the scrub (``custody.integrity``)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator

from pacs_project.config_s3 import S3Config


def _place(folder: Path | None, s3: S3Config | None) -> tuple[str, ...]:
    if s3 is not None:
        return s3.endpoint_url.rstrip("/"), s3.bucket, s3.prefix.strip("/")
    return (str(folder.resolve()),) if folder is not None else ()


class CopiesConfig(BaseModel):
    """Where a second copy of each object lies: a folder or a bucket; neither, and there is none."""

    folder: Path | None = Field(default=None, description="of another file system than the first copy's")
    s3: S3Config | None = Field(default=None, description="a bucket, with fields like PACS_S3__")
    before_acknowledgement: bool = Field(
        default=False, description="an object is in both stores before its sender hears of it, or it is refused"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.folder is not None and self.s3 is not None:
            raise ValueError("the second store is a folder or a bucket, not both")
        return self

    def is_one_of(self, places: Iterable[tuple[Path | None, S3Config | None]]) -> bool:
        """Whether the second store is no other place than one of these."""
        return self.there and _place(self.folder, self.s3) in {_place(*place) for place in places}

    @property
    def there(self) -> bool:
        """Whether there is a second store."""
        return self.folder is not None or self.s3 is not None


class ScrubConfig(BaseModel):
    """How objects are read again and compared, in the background."""

    days: float = Field(default=30, ge=0, description="in which the whole archive is read once; 0: never by itself")
    bytes_per_second: int = Field(default=50_000_000, ge=1, description="at most, of all that is read again")
    busy_percent: float = Field(
        default=60, ge=0, le=100, description="of the processors: it waits while others use more; 100: it never does"
    )
    repair: bool = Field(default=True, description="damage is repaired from the second store")

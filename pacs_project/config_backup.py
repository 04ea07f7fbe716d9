"""Settings of backups (``custody.backups``)."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr, field_validator


class BackupBucketConfig(BaseModel):
    """How the bucket of the backups is reached; best with credentials that can't remove anything."""

    endpoint_url: str = ""
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: SecretStr = SecretStr("")


class BackupConfig(BaseModel):
    """Where backups go, when, how long they are kept, and the key that they are encrypted with."""

    target: str = Field(default="", description="a folder or s3://bucket/prefix; a backup is made there each day")
    key: Path | None = Field(default=None, description="file of the key; secrets/backup_key if not set")
    hour: int = Field(default=2, ge=0, le=23, description="hour of the day (UTC) from which on it is made")
    keep_daily: int = Field(default=7, ge=1)
    keep_weekly: int = Field(default=5, ge=0)
    keep_monthly: int = Field(default=12, ge=0)
    objects: bool = Field(default=False, description="with S3 as object store: copy the objects, too")
    s3: BackupBucketConfig = BackupBucketConfig()

    @field_validator("target")
    @classmethod
    def _is_a_place(cls, target: str) -> str:
        if target and not target.startswith("s3://") and not Path(target).expanduser().is_absolute():
            raise ValueError("expected a whole path such as /mnt/backups, or s3://bucket/prefix")
        return target

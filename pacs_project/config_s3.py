"""Settings of one bucket: that of the objects, and those of further tiers."""

from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator


class S3Config(BaseModel):
    """Where Part 10 objects go when ``PACS_OBJECT_STORE=s3``."""

    endpoint_url: str = ""
    bucket: str = "lightbox"
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: SecretStr = SecretStr("")
    prefix: str = ""
    encryption: Literal["", "sse-s3", "sse-kms"] = Field(
        default="", description="what S3 is told to encrypt each object with; empty: what the bucket says"
    )
    kms_key_id: str = Field(default="", description="key of sse-kms; empty: the account's own for S3")
    storage_class: str = Field(default="", description="of new objects, such as STANDARD_IA; empty: the bucket's own")

    @model_validator(mode="after")
    def _key_is_used(self) -> Self:
        if self.kms_key_id and self.encryption != "sse-kms":
            raise ValueError("kms_key_id goes with encryption sse-kms only")
        return self

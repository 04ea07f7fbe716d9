"""Settings of sealed objects (``archive.object_store.sealed``)."""

from pathlib import Path

from pydantic import BaseModel, Field


class EncryptionConfig(BaseModel):
    """Whether objects are encrypted by Lightbox itself, and where the keys are."""

    at_rest: bool = Field(default=False, description="every new object is sealed with a data key of its own")
    only_sealed: bool = Field(default=False, description="an object in plaintext is refused, wherever it lies")
    keyring: Path | None = Field(
        default=None, description="file of the key-encryption keys; None: secrets/keyring.json in the data folder"
    )

"""What S3 is told to do with each object that it is given: how to encrypt it, and in which storage class to keep it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ENCRYPTION: Final[Mapping[str, str]] = {"sse-s3": "AES256", "sse-kms": "aws:kms"}


def s3_terms(encryption: str = "", kms_key_id: str = "", storage_class: str = "") -> Mapping[str, str]:
    """The parameters of PutObject and CreateMultipartUpload; none where the bucket's own rules are to hold."""
    found = {
        "ServerSideEncryption": _ENCRYPTION[encryption] if encryption else "",
        "SSEKMSKeyId": kms_key_id,
        "StorageClass": storage_class,
    }
    return {name: value for name, value in found.items() if value}

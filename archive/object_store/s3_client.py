"""What every request to S3 shares: one client, bounded waits, bounded retries and one table of errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import boto3
import botocore.config
from botocore.exceptions import BotoCoreError, ClientError

from archive.object_store.errors import (
    KeyExists,
    ObjectDamaged,
    ObjectMissing,
    ObjectStoreError,
    ObjectStoreFull,
    ObjectStoreUnavailable,
)

CONNECTIONS = 32  # at the same time, over all threads of the process
CONNECT_SECONDS = 3.0
READ_SECONDS = 12.0  # of silence: what asks twice before it knows is still answered within half a minute
ATTEMPTS = 6
RETRY_SECONDS = 10.0  # no attempt begins later than this after the first
FIRST_BACKOFF_SECONDS = 0.1  # doubles each time; half of it is left to chance

Answer = TypeVar("Answer")

_BY_STATUS: Mapping[int, type[ObjectStoreError]] = {
    404: ObjectMissing,
    409: KeyExists,
    412: KeyExists,
    416: ObjectDamaged,
    507: ObjectStoreFull,
}
_BY_CODE: Mapping[str, type[ObjectStoreError]] = {
    "NoSuchBucket": ObjectStoreUnavailable,
    "NoSuchUpload": ObjectStoreUnavailable,
    "QuotaExceeded": ObjectStoreFull,
    "XMinioStorageFull": ObjectStoreFull,
}
# the server, or the way there, had a bad moment; what is not here (credentials, clock, name) stays wrong for longer
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_CODE = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "SlowDown", "XAmzContentSHA256Mismatch"})


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where the objects are. An empty `endpoint_url` means AWS; empty credentials mean boto3's usual places."""

    endpoint_url: str
    bucket: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    prefix: str  # "" or "some/folder/"

    def name(self, key: str) -> str:
        """The name in the bucket of what lies under `key`."""
        return self.prefix + key


def boto3_session(location: S3Location) -> Any:
    """A boto3 session; sessions are not for several threads, the clients made from them are."""
    return boto3.session.Session(
        aws_access_key_id=location.access_key_id or None,
        aws_secret_access_key=location.secret_access_key or None,
        region_name=location.region or None,
    )


def boto3_client(location: S3Location) -> Any:
    """A boto3 S3 client that never retries by itself (`retrying` does, and knows that it did)."""
    return boto3_session(location).client(
        "s3",
        endpoint_url=location.endpoint_url or None,
        config=botocore.config.Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=CONNECTIONS,
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path" if location.endpoint_url else "auto"},
        ),
    )


def request(call: Callable[[], Answer], what: str, key: str = "") -> Answer:
    """Make one request; its failure becomes the port's error, with `what` and the server's code in the message."""
    try:
        return call()
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response.get("Error", {}).get("Code", ""))
        kind = _BY_CODE.get(code) or _BY_STATUS.get(status, ObjectStoreUnavailable)
        raise kind(f"{what}: S3 answered {status} {code}", key) from error
    except (BotoCoreError, OSError) as error:
        raise ObjectStoreUnavailable(f"{what}: {type(error).__name__}", key) from error


def retrying(call: Callable[[bool], Answer], what: str, key: str = "") -> Answer:
    """Make a request until it is answered, with a pause after each passing failure, for a bounded time.

    `call` is told whether it is being repeated: the lost answer to the first attempt may have been a success.
    """
    begun = time.monotonic()
    attempt = 0
    while True:
        try:
            return request(partial(call, attempt > 0), what, key)
        except ObjectStoreUnavailable as error:
            attempt += 1
            pause = FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 - chance, no secret
            late = time.monotonic() + pause - begun > RETRY_SECONDS
            if late or attempt == ATTEMPTS or not _passing(error.__cause__):
                raise
            time.sleep(pause)


def _passing(cause: BaseException | None) -> bool:
    if not isinstance(cause, ClientError):
        return True  # refused, cut, timed out, or a success that could not be confirmed
    status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status in _PASSING_STATUS or cause.response.get("Error", {}).get("Code") in _PASSING_CODE

"""Checkpoints in a bucket of S3, which may refuse to give up what it holds before its time (object lock)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

import boto3
import botocore.config
from botocore.exceptions import BotoCoreError, ClientError

from audit.checkpoints import Checkpoint
from audit.places import CHECKPOINT, LEAF, LEAVES, Leaf, name_of, packed, size, span

_CONNECT_SECONDS: Final = 3
_READ_SECONDS: Final = 15
_ATTEMPTS: Final = 3
# What a conditional put answers where there is something already.
_THERE_ALREADY: Final = frozenset({409, 412})

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """How a bucket is reached. An empty ``endpoint_url`` means AWS; empty credentials are looked for where boto3 does.

    ``lock_days``: nothing that is put there may be removed or changed for so long, by nobody (compliance mode); the
    bucket must have been made with object lock. None puts no lock.
    """

    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    lock_days: int | None = None


@dataclass(frozen=True, slots=True)
class KeptObject:
    """A checkpoint in a bucket: see ``audit.places.Kept``."""

    bucket: "Bucket"
    key: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.key).stem

    def read_text(self) -> str:
        """Raises OSError, UnicodeDecodeError."""
        return self.bucket.read(self.key).decode("utf-8")


class Bucket:
    """The place ``s3://bucket/prefix``: see ``audit.places.Place``; objects have the names of the folder's files."""

    def __init__(self, url: str, access: BucketAccess) -> None:
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._access = access
        self._client = _client(access)

    def newest(self) -> KeptObject | None:
        """The checkpoint of the most events: it is of the last day that has one."""
        for day in reversed(self._days()):
            found = self._of_day(day)
            if found:
                return found[-1]
        return None

    def checkpoints(self) -> list[KeptObject]:
        """The last one of each day, and all of the newest day: each holds all that was signed before it."""
        by_day = [found for day in self._days() if (found := self._of_day(day))]
        return [found[-1] for found in by_day[:-1]] + (by_day[-1] if by_day else [])

    def write_leaves(self, day: str, first: int, leaves: Iterable[Leaf]) -> None:
        """Those of the events from position ``first`` on. Raises OSError."""
        self._put(*packed(day, first, leaves))

    def write_checkpoint(self, checkpoint: Checkpoint) -> KeptObject:
        """Durable when this returns; one that is there already stays. Raises OSError."""
        return self._put(name_of(checkpoint), checkpoint.text.encode("utf-8"))

    def leaves(self, first: int, last: int) -> Iterator[tuple[int, Leaf]]:
        """(position, leaf) for positions ``first`` to ``last``, as far as there are any. Raises OSError."""
        keys = [key for key in self._keys(self._prefix) if key.endswith(LEAVES)]
        for key in sorted(keys, key=lambda key: span(PurePosixPath(key).stem)):
            begins, ends = span(PurePosixPath(key).stem)
            if first <= ends and begins <= last:
                data = self.read(key)
                for position in range(max(first, begins), min(last, ends) + 1):
                    record = data[(position - begins) * LEAF.size : (position - begins + 1) * LEAF.size]
                    if len(record) == LEAF.size:
                        yield position, LEAF.unpack(record)

    def read(self, key: str) -> bytes:
        """A whole object. Raises OSError."""
        return _asked(lambda: bytes(self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()))

    def _days(self) -> list[str]:
        pages = self._pages(Prefix=self._prefix, Delimiter="/")
        return sorted(entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ()))

    def _of_day(self, day: str) -> list[KeptObject]:
        found = [KeptObject(self, key) for key in self._keys(day) if key.endswith(CHECKPOINT)]
        return sorted(found, key=lambda kept: size(kept.stem))

    def _keys(self, prefix: str) -> list[str]:
        return [entry["Key"] for page in self._pages(Prefix=prefix) for entry in page.get("Contents", ())]

    def _pages(self, **asked: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, **asked)
        return _asked(lambda: list(pages))

    def _put(self, name: str, data: bytes) -> KeptObject:
        key = self._prefix + name
        lock: dict[str, Any] = {}
        if self._access.lock_days is not None:
            until = datetime.now(UTC) + timedelta(days=self._access.lock_days)
            lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, IfNoneMatch="*", **lock)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") not in _THERE_ALREADY:
                raise OSError(f"the bucket answered {_code(error)}") from error
        except BotoCoreError as error:
            raise OSError(f"the bucket can't be reached: {type(error).__name__}") from error
        return KeptObject(self, key)


@cache
def _client(access: BucketAccess) -> Any:
    """Clients may be shared by threads, and are slow to make."""
    session = boto3.session.Session(
        aws_access_key_id=access.access_key_id or None,
        aws_secret_access_key=access.secret_access_key or None,
        region_name=access.region or None,
    )
    return session.client(
        "s3",
        endpoint_url=access.endpoint_url or None,
        config=botocore.config.Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            s3={"addressing_style": "path" if access.endpoint_url else "auto"},
        ),
    )


def _asked(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except ClientError as error:
        raise OSError(f"the bucket answered {_code(error)}") from error
    except BotoCoreError as error:
        raise OSError(f"the bucket can't be reached: {type(error).__name__}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "an error"))

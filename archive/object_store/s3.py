"""Objects in a bucket of S3, or of a server that speaks it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from archive.object_store.errors import (
    KeyExists,
    ObjectDamaged,
    ObjectMissing,
    ObjectStoreError,
    ObjectStoreUnavailable,
)
from archive.object_store.overlap import overlap
from archive.object_store.parts import cut
from archive.object_store.port import PIECE, Staged, checked_key, checked_prefix, checked_range
from archive.object_store.s3_client import S3Location, boto3_client, request, retrying
from archive.object_store.s3_ranges import S3Ranges
from archive.object_store.s3_upload import MULTIPART_ABOVE, PART_SIZE, S3Upload
from archive.object_store.staging import FOLDER_MODE, StagedFile, clear_folder, write_errors

UPLOAD_THREADS = 8
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
WINDOW = 4 * 1024 * 1024  # bytes of a stream asked for at a time, and held


class S3ObjectStore:
    """An object store in `bucket`, below `prefix`, with objects on their way in a local `spool_dir`. See `port`.

    An empty `endpoint_url` means AWS; with one the bucket is addressed in the path. Empty credentials are looked for
    where boto3 does. `terms` go with every object (`s3_terms`). Build a new one after a fork: it holds threads and
    connections.
    """

    def __init__(
        self,
        endpoint_url: str,
        bucket: str,
        region: str,
        access_key_id: str,
        secret_access_key: str,
        prefix: str,
        spool_dir: Path,
        *,
        multipart_above: int = MULTIPART_ABOVE,
        part_size: int = PART_SIZE,
        terms: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        folder = checked_key(prefix.strip("/")) + "/" if prefix.strip("/") else ""
        self._location = S3Location(endpoint_url, bucket, region, access_key_id, secret_access_key, folder)
        self._client = boto3_client(self._location)
        self._ranges = S3Ranges(self._client, self._location)
        self._upload = S3Upload(self._client, self._location, multipart_above, part_size, terms)
        self._threads = ThreadPoolExecutor(UPLOAD_THREADS, thread_name_prefix="object-upload")
        self._spool = spool_dir
        with write_errors("cannot prepare the folder for objects on their way to S3"):
            spool_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)

    def stage(self) -> StagedFile:
        return StagedFile(self._spool, named=False)

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        moves = [(staged, checked_key(key)) for staged, key in items]
        for staged, _ in moves:
            staged.seal()
        overlap(self._threads, lambda move: self._upload.upload(*move), moves)

    def put(self, key: str, data: bytes) -> None:
        self._upload.upload(_Held(data), checked_key(key))

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        checked_range(offset, length)
        pieces = self._pieces(checked_key(key), offset, length)
        next(pieces)  # runs it up to the first piece
        return pieces

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        checked_range(offset, length)
        checked_key(key)
        if length > WINDOW:
            return b"".join(self.open_range(key, offset, length))
        if length == 0:
            self._end(key, offset, 0, self.size(key))
            return b""
        data, _ = self._fetch(key, offset, offset + length)
        return bytes(data)

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        total = sum(lengths)
        if not 0 < total <= WINDOW:
            return cut(self.read_range(key, offset, total), lengths)
        data, _ = self._fetch(checked_key(key), offset, offset + total)
        return cut(data, lengths)

    def size(self, key: str) -> int:
        place = self._place(checked_key(key))
        try:
            answer = retrying(lambda _: self._client.head_object(**place), f"cannot look at {key}", key)
        except ObjectMissing:
            self.check()  # a bucket that is not there must not look like one that lost its objects
            raise
        return int(answer["ContentLength"])

    def delete(self, key: str) -> None:
        place = self._place(checked_key(key))
        try:
            retrying(lambda _: self._client.delete_object(**place), f"cannot delete {key}", key)
        except ObjectMissing:
            return

    def keys(self, prefix: str = "") -> Iterator[str]:
        query = {"Bucket": self._location.bucket, "Prefix": self._location.name(checked_prefix(prefix))}
        for page in self._pages(query):
            for entry in page.get("Contents", ()):
                yield entry["Key"].removeprefix(self._location.prefix)

    def check(self) -> None:
        try:
            request(lambda: self._client.head_bucket(Bucket=self._location.bucket), "the object store is out of reach")
        except ObjectStoreUnavailable:
            raise
        except ObjectStoreError as error:
            raise ObjectStoreUnavailable(str(error)) from error

    def clear_staging(self, older_than_seconds: float) -> int:
        """Also ends uploads in parts that began before that time, living ones too: allow for the longest upload."""
        oldest = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        bucket = {"Bucket": self._location.bucket}
        query = bucket | {"Prefix": self._location.prefix}
        found = retrying(lambda _: self._client.list_multipart_uploads(**query), "cannot look for abandoned uploads")
        abandoned = [upload for upload in found.get("Uploads", []) if upload["Initiated"] <= oldest]
        for upload in abandoned:
            end = partial(self._client.abort_multipart_upload, **bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            request(end, "cannot end an abandoned upload")
        return len(abandoned) + clear_folder(self._spool, older_than_seconds)

    def recall(self, key: str, *, days: int, speed: str) -> bool:
        """Whether the object can be read now; if its storage class is an archive, its way back begins with this.

        S3 then keeps a readable copy for `days`. ObjectMissing.
        """
        place = self._place(checked_key(key))
        head = retrying(lambda _: self._client.head_object(**place), f"cannot look at {key}", key)
        if head.get("StorageClass") not in _ARCHIVES:
            return True
        state = head.get("Restore", "")
        if not state:
            terms = {"Days": days, "GlacierJobParameters": {"Tier": speed}}
            with suppress(KeyExists):  # 409: it has begun already
                request(lambda: self._client.restore_object(**place, RestoreRequest=terms), f"cannot recall {key}", key)
        return 'ongoing-request="false"' in state

    def _place(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._location.bucket, "Key": self._location.name(key)}

    def _fetch(self, key: str, start: int, stop: int) -> tuple[memoryview, int]:
        """Exactly the bytes from `start` to `stop` and the size of the object."""
        data, size = self._ranges.fetch(key, start, stop)
        if len(data) < stop - start:
            raise ObjectDamaged(f"{key} has {size} bytes, expected at least {stop}", key)
        return data, size

    def _end(self, key: str, offset: int, length: int | None, size: int) -> int:
        """The end of the range; ObjectDamaged if the object ends before it."""
        end = size if length is None else offset + length
        if max(offset, end) > size:
            raise ObjectDamaged(f"{key} has {size} bytes, expected at least {max(offset, end)}", key)
        return end

    def _pieces(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        """Yield an empty piece once the first real one has been read, then the pieces.

        A stream is a row of requests rather than one long answer: no connection and no time limit of the object store
        hangs on how fast the client reads, and a cut is retried where it happened.
        """
        window = min(PIECE, WINDOW if length is None else length)
        try:
            if window == 0:
                data, size = memoryview(b""), self.size(key)
            else:
                data, size = self._ranges.fetch(key, offset, offset + window)
        except ObjectDamaged:
            if length is not None:
                raise
            data, size = memoryview(b""), self.size(key)  # nothing there; right if it is just the end
        end = self._end(key, offset, length, size)
        if len(data) < min(window, end - offset):
            raise ObjectDamaged(f"S3 gave {len(data)} bytes of {key} at {offset}, expected {window}", key)
        yield b""
        while True:
            for begin in range(0, len(data), PIECE):
                yield bytes(data[begin : begin + PIECE])
            offset += len(data)
            data.release()
            if offset >= end:
                return
            data, _ = self._fetch(key, offset, min(end, offset + WINDOW))

    def _pages(self, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        more = True
        while more:
            page = self._page(query)
            yield page
            more = page.get("IsTruncated", False)
            query = query | {"ContinuationToken": page.get("NextContinuationToken", "")}

    def _page(self, query: dict[str, Any]) -> dict[str, Any]:
        return retrying(lambda _: self._client.list_objects_v2(**query), "cannot list objects")


@dataclass(frozen=True, slots=True)
class _Held:
    """A small object in memory, as a source of an upload."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.data).digest()

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

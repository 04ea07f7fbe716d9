"""Objects on their way to S3: one conditional request, or several parts and a conditional end, all checksummed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from base64 import b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Protocol

from archive.object_store.errors import KeyExists, ObjectMissing, ObjectStoreError, ObjectStoreUnavailable
from archive.object_store.overlap import overlap
from archive.object_store.s3_client import S3Location, request, retrying

MULTIPART_ABOVE = 64 * 1024 * 1024  # bytes; larger objects go up in parts
PART_SIZE = 16 * 1024 * 1024  # bytes; S3 takes 5 MiB at least
MOST_PARTS = 10_000
PART_THREADS = 8
_BUFFER = 256 * 1024
_MD5 = re.compile(r"[0-9a-f]{32}")


class Source(Protocol):
    """The complete bytes of one object; see `port.Staged`."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> bytes: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


class S3Upload:
    """Writes objects to a bucket, write-once (`If-None-Match: *`), in constant memory. Safe from several threads."""

    def __init__(
        self,
        client: Any,
        location: S3Location,
        multipart_above: int,
        part_size: int,
        terms: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._client = client
        self._terms = terms
        self._location = location
        self._multipart_above = multipart_above
        self._part_size = part_size
        # a pool of its own: an upload waits for its parts, so they must not queue behind other uploads
        self._threads = ThreadPoolExecutor(PART_THREADS, thread_name_prefix="object-part")

    def upload(self, source: Source, key: str) -> None:
        """Durable and confirmed when it returns. KeyExists, ObjectStoreFull, ObjectStoreUnavailable."""
        if source.size > self._multipart_above:
            self._upload_parts(source, key)
        else:
            self._upload_whole(source, key)

    def _upload_whole(self, source: Source, key: str) -> None:
        what = f"cannot publish {key}"
        checksum = _base64(source.sha256)
        place = self._place(key)

        def put(repeated: bool) -> None:
            try:
                answer = request(
                    lambda: self._client.put_object(
                        **place,
                        **self._terms,
                        Body=_body(source, 0, source.size),
                        ContentLength=source.size,
                        ChecksumSHA256=checksum,
                        IfNoneMatch="*",
                    ),
                    what,
                    key,
                )
            except KeyExists:
                if not (repeated and self._holds(key, source.size, checksum)):
                    raise
                return
            self._confirm(key, source, checksum, answer)

        retrying(put, what, key)

    def _upload_parts(self, source: Source, key: str) -> None:
        what = f"cannot publish {key}"
        place = self._place(key)
        upload = retrying(
            lambda _: self._client.create_multipart_upload(**place, **self._terms, ChecksumAlgorithm="SHA256"),
            what,
            key,
        )
        place_in_upload = place | {"UploadId": upload["UploadId"]}
        try:
            part_size = max(self._part_size, -(-source.size // MOST_PARTS))

            def put_part(offset: int) -> tuple[bytes, dict[str, Any]]:
                length = min(part_size, source.size - offset)
                digest = _digest(source, offset, length)
                part = {"PartNumber": offset // part_size + 1, "ChecksumSHA256": _base64(digest)}
                answer = retrying(
                    lambda _: self._client.upload_part(
                        **place_in_upload, **part, Body=_body(source, offset, length), ContentLength=length
                    ),
                    what,
                    key,
                )
                return digest, part | {"ETag": answer["ETag"]}

            parts = overlap(self._threads, put_part, range(0, source.size, part_size))
            checksum = f"{_base64(hashlib.sha256(b''.join(digest for digest, _ in parts)).digest())}-{len(parts)}"
            ending = place_in_upload | {"MultipartUpload": {"Parts": [part for _, part in parts]}, "IfNoneMatch": "*"}

            def end(repeated: bool) -> None:
                try:
                    answer = request(lambda: self._client.complete_multipart_upload(**ending), what, key)
                except ObjectStoreError:
                    if not (repeated and self._holds(key, source.size, checksum)):
                        raise
                    return
                self._confirm(key, source, checksum, answer)

            retrying(end, what, key)
        except BaseException:
            # parts of an upload that is never ended are stored, and paid for, unseen
            with contextlib.suppress(ObjectStoreError):
                request(lambda: self._client.abort_multipart_upload(**place_in_upload), what, key)
            raise

    def _place(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._location.bucket, "Key": self._location.name(key)}

    def _confirm(self, key: str, source: Source, checksum: str, answer: dict[str, Any]) -> None:
        """Believe a success only if what the server counted is ours: SHA-256, or else the size it has, and the MD5 that
        its entity tag is where it counts no SHA-256."""
        counted = answer.get("ChecksumSHA256")
        if counted is None or "-" in checksum:
            try:
                head = request(lambda: self._head(key), f"cannot confirm {key}", key)
            except ObjectMissing as error:
                raise ObjectStoreUnavailable(f"S3 said it has {key} and does not", key) from error
            if head["ContentLength"] != source.size:
                text = f"S3 has {head['ContentLength']} bytes of {key}, expected {source.size}"
                raise ObjectStoreUnavailable(text, key)
            counted = counted or head.get("ChecksumSHA256")
            if counted is None:
                _check_tag(head, source, key)
                return
        # some servers leave the number of parts away
        if counted.partition("-")[0] != checksum.partition("-")[0]:
            raise ObjectStoreUnavailable(f"S3 counted another SHA-256 of {key} than was sent", key)

    def _holds(self, key: str, size: int, checksum: str) -> bool:
        """True if what lies under the key is what this upload sent: an earlier attempt came through unheard."""
        try:
            head = request(lambda: self._head(key), f"cannot confirm {key}", key)
        except ObjectStoreError:
            return False
        return bool(head["ContentLength"] == size and head.get("ChecksumSHA256") == checksum)

    def _head(self, key: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.head_object(**self._place(key), ChecksumMode="ENABLED")
        return answer


class _Window(io.RawIOBase):
    """A stretch of a source as a file of its own, so that a request can be sent, and sent again, without holding it."""

    def __init__(self, source: Source, offset: int, length: int) -> None:
        self._source = source
        self._offset = offset
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.read_at(self._offset + self._at, max(0, min(len(view), self._length - self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def _body(source: Source, offset: int, length: int) -> bytes | io.BufferedReader:
    if length <= _BUFFER:
        return source.read_at(offset, length)
    return io.BufferedReader(_Window(source, offset, length), _BUFFER)


def _check_tag(head: dict[str, Any], source: Source, key: str) -> None:
    """Of what went up whole, under no key of a service, the entity tag is the MD5."""
    tag = str(head.get("ETag", "")).strip('"')
    if not _MD5.fullmatch(tag) or str(head.get("ServerSideEncryption", "")).startswith("aws:kms"):
        return
    counted = hashlib.md5(usedforsecurity=False)
    for begin in range(0, source.size, _BUFFER):
        counted.update(source.read_at(begin, min(_BUFFER, source.size - begin)))
    if counted.hexdigest() != tag:
        raise ObjectStoreUnavailable(f"S3 counted another MD5 of {key} than was sent", key)


def _digest(source: Source, offset: int, length: int) -> bytes:
    counted = hashlib.sha256()
    for begin in range(offset, offset + length, _BUFFER):
        counted.update(source.read_at(begin, min(_BUFFER, offset + length - begin)))
    return counted.digest()


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode("ascii")

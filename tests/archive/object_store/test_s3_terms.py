"""What S3 is told about encryption and storage classes, with every way of writing, and archives that restore."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from archive.object_store.s3 import S3ObjectStore
from archive.object_store.s3_terms import s3_terms
from pacs_project.config_s3 import S3Config
from tests.archive.object_store.recording_s3 import RESTORED, RecordingS3

MIB = 1024 * 1024
KMS = s3_terms("sse-kms", "arn:aws:kms:eu-central-1:111122223333:key/one", "STANDARD_IA")


@pytest.fixture
def recording() -> Iterator[RecordingS3]:
    server = RecordingS3()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def store(recording: RecordingS3, folder: Path, terms: object = KMS) -> S3ObjectStore:
    return S3ObjectStore(
        recording.url,
        "b",
        "us-east-1",
        "id",
        "secret",
        "",
        folder,
        multipart_above=6 * MIB,
        part_size=5 * MIB,
        terms=terms,  # type: ignore[arg-type]
    )


def test_every_way_of_writing_says_how_to_encrypt(recording: RecordingS3, tmp_path: Path) -> None:
    keeper = store(recording, tmp_path)
    keeper.put("one", b"1")
    with keeper.stage() as small, keeper.stage() as large:
        small.write(b"2")
        large.write(bytes(11 * MIB))
        keeper.publish([(small, "two"), (large, "three")])
    begins = [headers for method, query, headers in recording.asked if method == "PUT" and "partNumber" not in query]
    begins += [
        headers for method, query, headers in recording.asked if method == "POST" and query.startswith("uploads")
    ]
    assert len(begins) == 3
    for headers in begins:
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == KMS["SSEKMSKeyId"]
        assert headers["x-amz-storage-class"] == "STANDARD_IA"


def test_without_a_setting_nothing_is_said(recording: RecordingS3, tmp_path: Path) -> None:
    store(recording, tmp_path, s3_terms()).put("one", b"1")
    [(_, _, headers)] = recording.asked
    assert not [name for name in headers if "encryption" in name or "storage-class" in name]


def test_a_real_server_takes_sse_s3(s3_store: Callable[..., S3ObjectStore]) -> None:
    keeper = s3_store(terms=s3_terms("sse-s3"), multipart_above=6 * MIB, part_size=5 * MIB)
    keeper.put("one", b"encrypted by the server")
    assert keeper.read_range("one", 0, 9) == b"encrypted"
    found = keeper._client.head_object(**keeper._place("one"))
    assert found["ServerSideEncryption"] == "AES256"
    with keeper.stage() as large:
        large.write(bytes(11 * MIB))
        keeper.publish([(large, "two")])
    assert keeper.size("two") == 11 * MIB
    assert keeper.read_range("two", 5 * MIB - 1, 2) == bytes(2)


def test_an_archived_object_is_restored_before_it_is_read(recording: RecordingS3, tmp_path: Path) -> None:
    keeper = store(recording, tmp_path, s3_terms(storage_class="GLACIER"))
    keeper.put("one", b"1")
    assert not keeper.recall("one", days=3, speed="Bulk")
    assert [query for method, query, _ in recording.asked if method == "POST"] == ["restore"]
    assert not keeper.recall("one", days=3, speed="Bulk")
    assert len(recording.asked) == 2
    recording.restore = RESTORED
    assert keeper.recall("one", days=3, speed="Bulk")
    plain = store(recording, tmp_path, s3_terms())
    plain.put("two", b"2")
    assert plain.recall("two", days=3, speed="Bulk")


def test_settings_that_contradict_each_other_are_refused() -> None:
    assert S3Config(encryption="sse-kms", kms_key_id="one").kms_key_id == "one"
    with pytest.raises(ValidationError, match="sse-kms only"):
        S3Config(encryption="sse-s3", kms_key_id="one")

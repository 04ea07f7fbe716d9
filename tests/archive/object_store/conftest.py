"""The object store over files and over a real S3 server."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from archive.object_store import ObjectStore
from archive.object_store.file import FileObjectStore
from archive.object_store.s3 import S3ObjectStore
from tests.archive.object_store.faulty_s3 import Between
from tests.archive.object_store.store_steps import s3_variable

BUCKET = "object-store-tests"


@pytest.fixture(scope="session")
def bucket() -> str:
    client = boto3.client(
        "s3",
        endpoint_url=s3_variable("ENDPOINT"),
        region_name="us-east-1",
        aws_access_key_id=s3_variable("ACCESS_KEY"),
        aws_secret_access_key=s3_variable("SECRET_KEY"),
    )
    with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=BUCKET)
    client.close()
    return BUCKET


@pytest.fixture
def s3_store(bucket: str, tmp_path: Path) -> Callable[..., S3ObjectStore]:
    """Makes stores below one prefix of this test's own."""
    prefix = f"t-{secrets.token_hex(6)}"

    def make(**other: Any) -> S3ObjectStore:
        plain: dict[str, Any] = {
            "endpoint_url": s3_variable("ENDPOINT"),
            "bucket": bucket,
            "region": "us-east-1",
            "access_key_id": s3_variable("ACCESS_KEY"),
            "secret_access_key": s3_variable("SECRET_KEY"),
            "prefix": prefix,
            "spool_dir": tmp_path / "spool",
        }
        return S3ObjectStore(**plain | other)

    return make


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "file":
        return FileObjectStore(tmp_path / "store")
    made: ObjectStore = request.getfixturevalue("s3_store")()
    return made


@pytest.fixture
def between() -> Iterator[Callable[[list[str]], str]]:
    """Starts such a server with a plan, gives its address."""
    servers: list[Between] = []

    def start(plan: list[str]) -> str:
        servers.append(Between(s3_variable("ENDPOINT"), plan))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return servers[-1].url

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()

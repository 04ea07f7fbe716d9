"""F24, an object store that lies.

Procedure: between the archive and a real S3 server each PUT is answered with 200, and nothing is stored, or half of it,
or all of it with one bit changed. Objects are sent; then the store is honest again and they are sent once more.

Pass: nothing is acknowledged that is not there byte for byte; each is stored by the repetition, and read back equal.
Short form: once of each kind; long form: twenty times.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest

from archive.models import Instance
from pacs_project.config_s3 import S3Config
from tests.archive.object_store.faulty_s3 import Between
from tests.dicomweb.conftest import Door, body_of, door_for
from tests.dicomweb.objects import make_object
from tests.faults.conftest import Figure

__all__ = ["door_for"]

pytestmark = pytest.mark.django_db(transaction=True)
LIES = ("absent", "short", "changed")


@dataclass(frozen=True)
class Liar:
    """The server between, and what it does with a PUT, by what is there afterwards."""

    server: Between
    lies: Mapping[str, Callable[[str, bytes], object]]


@pytest.fixture
def liar(s3_settings: dict[str, str]) -> Iterator[Liar]:
    honest = boto3.client(
        "s3",
        endpoint_url=s3_settings["endpoint_url"],
        region_name=s3_settings["region"],
        aws_access_key_id=s3_settings["access_key_id"],
        aws_secret_access_key=s3_settings["secret_access_key"],
    )

    def put(path: str, body: bytes) -> None:
        bucket, _, key = unquote(urlsplit(path).path).lstrip("/").partition("/")
        honest.put_object(Bucket=bucket, Key=key, Body=body)

    server = Between(s3_settings["endpoint_url"], [])
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield Liar(
        server,
        {
            "absent": lambda path, body: None,
            "short": lambda path, body: put(path, body[: len(body) // 2]),
            "changed": lambda path, body: put(path, body[:-1] + bytes([body[-1] ^ 1])),
        },
    )
    server.shutdown()
    server.server_close()
    honest.close()


def test_only_what_is_there_is_acknowledged(
    settings: Any,
    s3_settings: dict[str, str],
    liar: Liar,
    tmp_path: Path,
    door_for: Callable[..., Door],
    figure: Figure,
    long_form: bool,
) -> None:
    door = door_for("technologist")
    falsely = stored = asked = 0
    for lie in LIES * (20 if long_form else 1):
        bucket = S3Config(**s3_settings | {"endpoint_url": liar.server.url, "prefix": f"f24-{secrets.token_hex(4)}"})  # type: ignore[arg-type]
        # A store of its own each time: one that has been lied to often is left alone for a while.
        settings.PACS = settings.PACS.model_copy(update={"data": tmp_path, "object_store": "s3", "s3": bucket})
        data = make_object()
        asked += 1
        liar.server.lie = liar.lies[lie]
        answer = door.store([data])
        falsely += answer.status_code == 200 or Instance.objects.exists()
        assert answer.status_code == 503, (lie, answer.status_code, answer.content)
        liar.server.lie = None
        settings.PACS = settings.PACS.model_copy(update={"s3": bucket.model_copy()})
        assert door.store([data]).status_code == 200
        row = Instance.objects.select_related("series__study").get()
        url = f"studies/{row.series.study}/series/{row.series}/instances/{row}"
        read = door.get(url, "application/dicom; transfer-syntax=*")
        stored += read.status_code == 200 and body_of(read) == data
        assert door.http.delete(f"/dicom-web/studies/{row.series.study}", headers={"origin": "http://testserver"})
        Instance.objects.all().delete()
    assert (falsely, stored) == (0, asked)
    figure("F24", "acknowledged and not there", falsely, "0")
    figure("F24", "stored by the repetition, equal", stored, f"of {asked}")

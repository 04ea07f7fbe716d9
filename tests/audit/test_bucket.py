"""Checkpoints in a bucket: the same log, the same findings, on a real S3 server."""

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from audit import sealer, tree
from audit.bucket import Bucket, BucketAccess
from audit.checkpoints import Checkpoint, Signer, read
from audit.record import record
from audit.sealer import Sealer, checkpoint, state
from audit.sealing import seal
from audit.verify import verify
from pacs_project.config import AuditConfig
from tests.audit.logs import an_event, as_superuser, hash_everything_anew, sequence_at

pytestmark = pytest.mark.django_db
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def url(s3_settings: dict[str, str]) -> str:
    return f"s3://{s3_settings['bucket']}/trail-{uuid4().hex[:8]}"


@pytest.fixture
def installed(s3_settings: dict[str, str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An installation whose settings name a bucket, and that bucket."""
    access = {key: s3_settings[key] for key in ("endpoint_url", "region", "access_key_id", "secret_access_key")}
    audit = AuditConfig.model_validate({"checkpoints": url, "s3": access, "key": tmp_path / "key"})
    monkeypatch.setattr(settings.PACS, "audit", audit)
    place = sealer.folder()
    assert isinstance(place, Bucket)
    return place


def grow(place: Bucket, count: int) -> Checkpoint:
    record([an_event(request_id=str(number)) for number in range(count)])
    seal()
    made = checkpoint(place, sealer.own_signer())
    assert made is not None
    return made


def test_the_log_goes_on_in_the_bucket(installed: Bucket) -> None:
    assert installed.newest() is None
    assert installed.checkpoints() == []
    made = [grow(installed, 300), grow(installed, 5)]
    assert checkpoint(installed, sealer.own_signer()) is None, "nothing new"
    kept = installed.checkpoints()
    assert [read(one.read_text(), [sealer.own_signer().public]) for one in kept] == made
    assert installed.newest() == kept[-1]
    assert [position for position, _ in installed.leaves(299, 302)] == [299, 300, 301, 302]
    assert (state()["sealed"], state()["signed"]) == (305, 305)
    out = StringIO()
    call_command("audit_verify", stdout=out)
    call_command("audit_proof", sequence_at(302), stdout=out)
    assert made[1].text.splitlines()[2] in out.getvalue()


def test_what_is_there_stays(installed: Bucket) -> None:
    """A conditional put: nobody writes over a checkpoint, the relay neither."""
    made = grow(installed, 3)
    other = Signer("somebody.else/log", sealer.own_signer()._private).sign(made.size, bytes(32), made.time)
    kept = installed.write_checkpoint(other)
    assert kept.read_text() == made.text


def test_an_edit_with_all_hashes_made_anew_is_found(installed: Bucket) -> None:
    made = [grow(installed, 50), grow(installed, 50)]
    victim = sequence_at(77)
    as_superuser(("UPDATE audit_accessevent SET study_uids = '{}' WHERE sequence = %s", [victim]), hash_everything_anew)
    report = verify(made, installed)
    assert [(finding.position, finding.sequence) for finding in report.findings] == [(77, victim)]
    with pytest.raises(CommandError, match="not what it was"):
        call_command("audit_verify", stdout=StringIO())


def test_of_past_days_the_last_checkpoint_is_read(installed: Bucket) -> None:
    now = datetime.now(UTC)
    signer = sealer.own_signer()
    for days, size in ((2, 10), (2, 20), (1, 30), (1, 40), (0, 50), (0, 60)):
        installed.write_checkpoint(signer.sign(size, bytes(32), now - timedelta(days=days)))
    assert [int(kept.stem) for kept in installed.checkpoints()] == [20, 40, 50, 60]


@pytest.fixture
def away() -> Bucket:
    """A bucket that nobody answers for."""
    return Bucket(
        "s3://trail/x",
        BucketAccess(endpoint_url=NOBODY, region="us-east-1", access_key_id="a", secret_access_key="b"),
    )


def test_a_bucket_that_is_away_is_an_os_error(away: Bucket) -> None:
    for ask in (away.newest, away.checkpoints, lambda: list(away.leaves(1, 2)), lambda: away.read("x")):
        with pytest.raises(OSError, match="the bucket"):
            ask()
    with pytest.raises(OSError, match="the bucket"):
        away.write_leaves("2030-01-31", 1, [(1, bytes(32))])


def test_the_sealer_goes_on_without_its_bucket(
    installed: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settings.PACS.audit.s3, "endpoint_url", NOBODY)
    record([an_event()])
    Sealer(threading.Event()).turn()
    assert "no checkpoint of the access trail could be written" in caplog.text
    assert tree.size() == 1


def test_with_lock_days_each_object_is_locked(s3_settings: dict[str, str], url: str) -> None:
    """Object lock in compliance mode, as the header that the server is sent says; no bucket of the tests has it."""
    access = {key: s3_settings[key] for key in ("endpoint_url", "region", "access_key_id", "secret_access_key")}
    place = Bucket(url, BucketAccess(**access, lock_days=2200))
    sent: list[Any] = []
    place._client.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.append(request.headers))
    with suppress(OSError):  # a server without object lock may refuse it
        place.write_leaves("2030-01-31", 1, [(1, bytes(32))])
    [headers] = sent
    assert headers["x-amz-object-lock-mode"] in ("COMPLIANCE", b"COMPLIANCE")
    until = headers["x-amz-object-lock-retain-until-date"]
    until = until.decode() if isinstance(until, bytes) else until
    assert until[:4] == str((datetime.now(UTC) + timedelta(days=2200)).year)
    assert headers["If-None-Match"] in ("*", b"*")

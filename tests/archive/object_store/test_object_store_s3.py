"""What only the S3 backend can show: uploads in parts, forks, retries, lost and false answers, servers out of reach."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from archive.object_store import KeyExists, ObjectDamaged, ObjectMissing, ObjectStoreUnavailable
from archive.object_store.s3 import S3ObjectStore
from tests.archive.object_store.store_steps import MIB, publish, race, s3_variable


def test_more_keys_than_one_page(s3_store: Callable[..., S3ObjectStore]) -> None:
    store = s3_store()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: store.put(f"k/{number}", b""), range(1001)))
    assert sorted(store.keys("k/")) == sorted(f"k/{number}" for number in range(1001))


def test_racers_in_parts_leave_one_whole_object(s3_store: Callable[..., S3ObjectStore]) -> None:
    """SeaweedFS 4.48 looks and then writes when an upload in parts ends, so here two of the racers may be told that
    they won; what must hold anywhere is that the object is one of theirs, whole. Lightbox never uses a key twice."""
    store = s3_store(multipart_above=MIB, part_size=5 * MIB)
    bodies, won = race(store, "race/parts", racers=4, size=5 * MIB + 1)
    assert b"".join(store.open_range("race/parts")) in [body for body, told in zip(bodies, won, strict=True) if told]
    assert store.clear_staging(0) == 0


def test_abandoned_uploads_are_ended(s3_store: Callable[..., S3ObjectStore], bucket: str) -> None:
    store = s3_store()
    client, place = store._client, {"Bucket": bucket, "Key": store._location.name("half")}
    client.create_multipart_upload(**place)
    assert store.clear_staging(3600) == 0
    assert store.clear_staging(0) == 1
    assert store.clear_staging(0) == 0


def test_failed_parts_leave_no_upload(s3_store: Callable[..., S3ObjectStore], monkeypatch: pytest.MonkeyPatch) -> None:
    store = s3_store(multipart_above=MIB, part_size=5 * MIB)
    store.put("taken", b"before")
    with pytest.raises(KeyExists):
        publish(store, "taken", bytes(6 * MIB))
    assert store.clear_staging(0) == 0
    assert store.read_range("taken", 0, 6) == b"before"


def test_streams_reach_across_a_fork(s3_store: Callable[..., S3ObjectStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """obstore's threads are not there in a child; a read must not wait for them for ever."""
    store = s3_store()
    data = secrets.token_bytes(6 * MIB)
    publish(store, "forked", data)
    assert store.read_range("forked", 1, 10) == data[1:11]
    child = os.fork()
    if child == 0:
        outcome = 1
        try:
            own = s3_store()
            assert own.read_range("forked", 1, 10) == data[1:11]
            assert b"".join(own.open_range("forked", 3)) == data[3:]
            with pytest.raises(ObjectMissing):
                own.read_range("missing", 0, 1)
            with pytest.raises(ObjectDamaged):
                own.read_range("forked", 6 * MIB, 1)
            outcome = 0
        finally:
            os._exit(outcome)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert ended == (child, 0)


def test_credentials_from_where_boto3_finds_them(
    s3_store: Callable[..., S3ObjectStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_variable("ACCESS_KEY"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_variable("SECRET_KEY"))
    store = s3_store(access_key_id="", secret_access_key="")
    publish(store, "a", b"b")
    assert store.read_range("a", 0, 1) == b"b"


@pytest.mark.parametrize("plan", [["503", "503"], ["lose"], ["503", "lose"], ["lie"]])
def test_a_bad_moment_is_ridden_out(
    s3_store: Callable[..., S3ObjectStore], between: Callable[[list[str]], str], plan: list[str]
) -> None:
    """503 twice; an answer lost, so that the repeated conditional request meets our own object; a success that was
    none."""
    store = s3_store(endpoint_url=between(plan))
    store.put("rode", b"it out")
    assert s3_store().read_range("rode", 0, 6) == b"it out"


@pytest.mark.parametrize(
    "plan", [["pass", "pass", "pass", "lose"], ["503", "pass", "503", "pass", "503"], ["pass", "lose", "lose"]]
)
def test_a_bad_moment_in_parts_is_ridden_out(
    s3_store: Callable[..., S3ObjectStore], between: Callable[[list[str]], str], plan: list[str]
) -> None:
    store = s3_store(endpoint_url=between(plan), multipart_above=MIB, part_size=5 * MIB)
    data = secrets.token_bytes(5 * MIB + 1)
    publish(store, "rode", data)
    assert b"".join(s3_store().open_range("rode")) == data


def test_a_lost_answer_does_not_make_a_winner_of_another(
    s3_store: Callable[..., S3ObjectStore], between: Callable[[list[str]], str]
) -> None:
    s3_store().put("taken", b"by another")
    store = s3_store(endpoint_url=between(["lose"]))
    with pytest.raises(KeyExists):
        store.put("taken", b"by me")
    assert s3_store().read_range("taken", 0, 10) == b"by another"


def test_a_success_that_stored_nothing_is_none(
    s3_store: Callable[..., S3ObjectStore], between: Callable[[list[str]], str]
) -> None:
    store = s3_store(endpoint_url=between(["lie"] * 20))
    with pytest.raises(ObjectStoreUnavailable):
        store.put("lied", b"about")


def test_reads_ride_out_a_bad_moment(
    s3_store: Callable[..., S3ObjectStore], between: Callable[[list[str]], str]
) -> None:
    data = secrets.token_bytes(3 * MIB)
    s3_store().put("read", data)
    store = s3_store(endpoint_url=between(["503", "lose", "pass", "503", "cut"]))
    assert b"".join(store.open_range("read")) == data


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_an_unreachable_server_is_told_in_time(
    s3_store: Callable[..., S3ObjectStore], monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    """Refused at once, or connected and never answered (with shorter patience, the same code)."""
    if silent:
        for module in ("s3_client", "s3_ranges"):
            monkeypatch.setattr(f"archive.object_store.{module}.READ_SECONDS", 0.5)
            monkeypatch.setattr(f"archive.object_store.{module}.RETRY_SECONDS", 1.0)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if silent:
            listener.listen(64)
        store = s3_store(endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        calls: list[Callable[[], object]] = [
            store.check,
            lambda: store.put("a", b"b"),
            lambda: store.read_range("a", 0, 1),
            lambda: store.open_range("a"),
            lambda: store.size("a"),
            lambda: store.delete("a"),
            lambda: list(store.keys()),
        ]

        def timed(call: Callable[[], object]) -> float:
            begun = time.monotonic()
            with pytest.raises(ObjectStoreUnavailable):
                call()
            return time.monotonic() - begun

        with ThreadPoolExecutor(len(calls)) as threads:
            assert max(threads.map(timed, calls)) < 40


def test_wrong_credentials_and_a_missing_bucket_are_told_at_once(s3_store: Callable[..., S3ObjectStore]) -> None:
    s3_store().put("there", b"x")
    begun = time.monotonic()
    wrong = s3_store(secret_access_key="wrong")
    missing = s3_store(
        bucket=f"none-{secrets.token_hex(6)}"
    )  # only looked at: SeaweedFS makes a bucket for whoever writes to it
    for call in (
        wrong.check,
        lambda: wrong.put("a", b"b"),
        lambda: wrong.read_range("there", 0, 1),
        missing.check,
        lambda: missing.read_range("there", 0, 1),
        lambda: missing.size("there"),
        lambda: missing.delete("there"),
        lambda: list(missing.keys()),
    ):
        with pytest.raises(ObjectStoreUnavailable):
            call()
    assert time.monotonic() - begun < 30


def test_no_secret_in_what_is_printed(s3_store: Callable[..., S3ObjectStore]) -> None:
    assert "hush" not in repr(s3_store(secret_access_key="hush")._location)

"""The form of the files of a backup, its key, and which backups are kept."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db import connection

from archive.object_store.file import FileObjectStore
from custody.backups import contents, files
from custody.backups.contents import Entry
from custody.backups.copying import Copied, copy
from custody.backups.errors import BackupError, Damaged, WrongKey
from custody.backups.keeping import Rule, kept, prune
from custody.backups.keys import BackupKey, read, read_or_make
from custody.backups.making import _dump
from custody.backups.manifest import Facts, Manifest, Part
from custody.backups.manifest import read as read_manifest
from custody.backups.manifest import write as write_manifest
from custody.backups.programs import address, programs
from custody.backups.sealed import CHUNK, HEADER, Sealer, sealed_size, unseal
from custody.backups.snapshot import snapshot
from custody.backups.target import CONTENT, Target, open_target, part_key

KEY, OTHER = BackupKey(bytes(range(32))), BackupKey(bytes(32))
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]


def seal(data: bytes, name: str = "one", key: BackupKey = KEY) -> bytes:
    sink = io.BytesIO()
    sealer = Sealer(sink, key, name)
    for start in range(0, len(data), 50_000):
        sealer.write(data[start : start + 50_000])
    sealer.finish()
    assert (sealer.size, sealer.sha256) == (len(data), hashlib.sha256(data).digest())
    return sink.getvalue()


def opened(sealed: bytes, name: str = "one", key: BackupKey = KEY) -> bytes:
    pieces: Iterator[bytes] = (sealed[start : start + 10_000] for start in range(0, len(sealed), 10_000))
    return b"".join(unseal(pieces, key, name))


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_comes_back(size: int) -> None:
    data = os.urandom(size)
    sealed = seal(data)
    assert len(sealed) == sealed_size(size)
    assert opened(sealed) == data
    # A single byte may stand there by chance.
    assert size < 16 or data[:64] not in sealed
    assert seal(data) != sealed


@pytest.mark.parametrize("size", SIZES)
def test_every_cut_is_found(size: int) -> None:
    sealed = seal(os.urandom(size))
    cuts = {0, HEADER - 1, HEADER, len(sealed) - 1, *range(HEADER, len(sealed), CHUNK + 16)} - {len(sealed)}
    for cut in sorted(cuts):
        with pytest.raises(Damaged):
            opened(sealed[:cut])


def test_chunks_that_are_exchanged_left_out_or_added_are_found() -> None:
    sealed = seal(os.urandom(3 * CHUNK))
    step = CHUNK + 16
    head, one, two, three = sealed[:HEADER], *(sealed[HEADER + n * step : HEADER + (n + 1) * step] for n in range(3))
    for wrong in (head + two + one + three, head + one + three, head + one + two, sealed + three, head + three):
        with pytest.raises(Damaged):
            opened(wrong)


def test_flipped_bits_are_found_wherever_they_are() -> None:
    sealed = seal(os.urandom(CHUNK + 10))
    for place in (0, 20, 30, HEADER, HEADER + CHUNK + 5, len(sealed) - 1):
        wrong = bytearray(sealed)
        wrong[place] ^= 0x80
        with pytest.raises((Damaged, WrongKey)):
            opened(bytes(wrong))


def test_a_file_is_bound_to_its_name_and_its_key() -> None:
    with pytest.raises(Damaged):
        opened(seal(b"text"), name="another")
    with pytest.raises(WrongKey, match=KEY.id.hex()):
        opened(seal(b"text"), key=OTHER)


def test_a_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secrets/backup_key"
    made, new = read_or_make(path)
    assert (new, path.stat().st_mode & 0o777) == (True, 0o600)
    assert read_or_make(path) == (made, False)
    path.write_text(str(made).replace(made.id.hex(), OTHER.id.hex()))
    with pytest.raises(BackupError, match="holds no key of backups"):
        read(path)
    with pytest.raises(BackupError, match="PACS_BACKUP__KEY names its file"):
        read(tmp_path / "nowhere")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    config = SimpleNamespace(data=tmp_path / "data")
    return open_target(str(tmp_path / "target"), KEY, config, make=True)


@pytest.fixture
def source(tmp_path: Path) -> FileObjectStore:
    return FileObjectStore(tmp_path / "store")


def put(store: FileObjectStore, key: str, data: bytes, *, says: bytes | None = None, hard: bool = True) -> Entry:
    store.put(key, data)
    return Entry(key, len(data), hashlib.sha256(data if says is None else says).hexdigest(), hard)


def names(target: Target) -> set[str]:
    return {key.removeprefix(CONTENT) for key in target.store.keys(CONTENT)}


def test_objects_are_copied_once_and_only_if_they_are_what_their_row_says(
    target: Target, source: FileObjectStore
) -> None:
    good, wrong = put(source, "instances/a/1", b"good"), put(source, "instances/a/2", b"baad", says=b"good")
    gone = Entry("instances/b/3", 4, None, hard=True)
    soft = Entry("derived/metadata/4", None, None, hard=False)
    entries, copied = sorted([good, wrong, gone, soft], key=lambda entry: entry.key), Copied()
    copy(source, target, entries, copied, last=False)
    assert (copied.objects, copied.damaged) == (1, [])
    copy(source, target, entries, copied, last=True)
    assert (copied.objects, copied.damaged) == (1, ["instances/a/2", "instances/b/3"])
    assert names(target) == {"instances/a/1"}
    assert b"".join(target.read(f"{CONTENT}instances/a/1")) == b"good"


def test_a_target_within_the_object_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="belongs on another disk"):
        open_target(str(tmp_path / "store/objects/b"), KEY, SimpleNamespace(data=tmp_path), make=True)
    with pytest.raises(BackupError, match="There are no backups"):
        open_target(str(tmp_path / "nothing"), KEY, SimpleNamespace(data=tmp_path))


NOON = datetime(2030, 3, 31, 12, tzinfo=UTC)


def name_of(moment: datetime) -> str:
    return f"{moment:%Y%m%dt%H%M%Sz}-0000"


def test_the_newest_of_days_weeks_and_months_are_kept() -> None:
    # Twice a day for 100 days.
    moments = [NOON - timedelta(hours=12 * n) for n in range(200)]
    reasons = kept([name_of(m) for m in moments], set(), Rule(3, 2, 4))
    days = [name for name, why in reasons.items() if any(word.startswith("day") for word in why)]
    assert len(days) == 3
    assert sum(word.startswith("week") for why in reasons.values() for word in why) == 2
    assert sum(word.startswith("month") for why in reasons.values() for word in why) == 4
    assert "the newest" in reasons[name_of(NOON)]


def test_the_newest_that_was_verified_is_never_removed() -> None:
    moments = [NOON - timedelta(days=n) for n in range(30)]
    sound = name_of(moments[29])
    reasons = kept([name_of(m) for m in moments], {sound, name_of(moments[29] - timedelta(days=1))}, Rule(1, 0, 0))
    assert reasons == {
        name_of(NOON): ["the newest", "day 2030-03-31"],
        sound: ["the newest that was verified"],
    }


def backup(target: Target, source: FileObjectStore, moment: datetime, entries: list[Entry]) -> str:
    """A backup of these objects, without a database."""
    name = name_of(moment)
    entries = sorted(entries, key=lambda entry: entry.key)
    copy(source, target, entries, Copied(), last=True)
    with target.store.stage() as staged:
        sealer = Sealer(staged, KEY, part_key(name, "objects"))
        count, size = contents.write(entries, sealer)
        sealer.finish()
        target.store.publish([(staged, part_key(name, "objects"))])
    facts = Facts(moment, {"archive_instance": count}, 0, 0, 0, 18, {})
    parts = {"objects": Part(sealer.size, sealer.sha256.hex())}
    write_manifest(target, Manifest(name, "0", moment, facts, parts, count, size, True, "", ()))
    return name


def test_what_only_removed_backups_name_goes_with_them(target: Target, source: FileObjectStore) -> None:
    one, two, three = (put(source, f"instances/d/{n}", b"%d" % n) for n in (1, 2, 3))
    old = backup(target, source, NOON - timedelta(days=2), [one, two])
    new = backup(target, source, NOON, [two, three])
    assert list(contents.read(target, part_key(new, "objects"))) == [two, three]
    rule = Rule(1, 0, 0)
    dry = prune(target, rule, dry_run=True, now=NOON, tell=print)
    assert (dry.backups, dry.objects, len(target.names())) == ([old], 1, 2)
    done = prune(target, rule, dry_run=False, now=NOON, tell=print)
    assert (done.backups, done.objects) == ([old], 1)
    assert (target.names(), names(target)) == ([new], {two.key, three.key})
    assert read_manifest(target, new).objects == 2


def test_nothing_is_removed_beside_backups_of_another_key(target: Target, source: FileObjectStore) -> None:
    entry = put(source, "instances/d/1", b"1")
    for days in (0, 1, 2):
        backup(target, source, NOON - timedelta(days=days), [entry])
    stranger = Target(target.name, target.store, OTHER)
    with pytest.raises(WrongKey):
        prune(stranger, Rule(1, 0, 0), dry_run=False, now=NOON, tell=print)
    assert len(target.names()) == 3


def test_what_was_broken_off_goes_after_some_days(target: Target, source: FileObjectStore) -> None:
    backup(target, source, NOON, [])
    for days in (1, 3):
        target.write(part_key(name_of(NOON - timedelta(days=days)), "files"), b"half")
    done = prune(target, Rule(1, 0, 0), dry_run=False, now=NOON, tell=print)
    assert done.backups == [name_of(NOON - timedelta(days=3))]
    assert target.unfinished() == [name_of(NOON - timedelta(days=1))]


def test_a_bucket_is_a_target(tmp_path: Path, source: FileObjectStore, s3_settings: dict[str, str]) -> None:
    access = {name: value for name, value in s3_settings.items() if name != "bucket"}
    secret = SimpleNamespace(get_secret_value=lambda: access["secret_access_key"])
    s3 = SimpleNamespace(**(access | {"secret_access_key": secret}))
    config = SimpleNamespace(data=tmp_path / "data", backup=SimpleNamespace(s3=s3))
    target = open_target(f"s3://{s3_settings['bucket']}/backups-of-{tmp_path.name}".lower(), KEY, config)
    entry = put(source, "instances/d/1", os.urandom(100_000))
    name = backup(target, source, NOON, [entry])
    assert (target.names(), names(target)) == ([name], {entry.key})
    assert hashlib.sha256(b"".join(target.read(CONTENT + entry.key))).hexdigest() == entry.sha256
    target.remove(name)
    assert target.names() == []


@pytest.mark.django_db(transaction=True)
def test_a_dump_wants_no_superuser() -> None:
    """Where statements are counted, the database has an extension that nobody else may make."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    where = address(connection.settings_dict)
    with where.connect(autocommit=True) as session:
        chosen = programs(session.info.server_version // 10_000)
    sink = io.BytesIO()
    try:
        with snapshot(where) as taken:
            sealer = Sealer(sink, KEY, "dump")
            _dump(sealer, taken, where, chosen)
            sealer.finish()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP EXTENSION pg_stat_statements")
    dump = opened(sink.getvalue(), "dump")
    listed = subprocess.run([chosen.restore, "--list"], input=dump, capture_output=True, check=True, timeout=60).stdout
    assert b"EXTENSION - pg_trgm" in listed
    assert b"TABLE public archive_instance" in listed
    assert b"pg_stat_statements" not in listed


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> tarfile.TarFile:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w|") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return tarfile.open(fileobj=io.BytesIO(made.getvalue()), mode="r|")


def _member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o640) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime, member.linkname = kind, mode, 1_000_000_000, "/etc/passwd"
    return member


def test_files_are_unpacked_as_they_were(tmp_path: Path) -> None:
    with _tar((_member("secrets/a", mode=0o600), b"one"), (_member("archive/2026/b", mode=0o777), b"")) as tar:
        for member in tar:
            files._unpack(tar, member, tmp_path)
    found = {path.relative_to(tmp_path).as_posix(): path.stat() for path in tmp_path.rglob("*") if path.is_file()}
    assert {name: (stat.S_IMODE(each.st_mode), each.st_size, each.st_mtime) for name, each in found.items()} == {
        "secrets/a": (0o600, 3, 1_000_000_000),
        "archive/2026/b": (0o755, 0, 1_000_000_000),
    }


@pytest.mark.parametrize(
    "member",
    [
        _member("../outside"),
        _member("secrets/../../outside"),
        _member("/outside"),
        _member("secrets/link", tarfile.SYMTYPE),
        _member("secrets/link", tarfile.LNKTYPE),
        _member("secrets/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name} {member.type!r}",
)
def test_nothing_else_is_unpacked(member: tarfile.TarInfo, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    with _tar((member, b"")) as tar:
        [each] = tar
        with pytest.raises(BackupError, match="no file below"):
            files._unpack(tar, each, folder)
    assert [*tmp_path.rglob("*")] == [folder]

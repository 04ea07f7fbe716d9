"""`manage.py import_dicom`: what people have in folders, and what else lies around there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.live.server import LivePacs


@pytest.fixture(scope="module")
def installed() -> Iterator[LivePacs]:
    """A database and a data folder; nothing runs."""
    live = LivePacs()
    try:
        yield live.install()
    finally:
        live.stop()


def zip_of(path: Path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path.read_bytes()


def encrypted(path: Path) -> None:
    """Mark every member of the archive as encrypted, in its directory and in its headers."""
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + flags] |= 1
    path.write_bytes(data)


def imported(live: LivePacs, *paths: Path) -> subprocess.CompletedProcess[str]:
    return live.manage_anyhow("import_dicom", *map(str, paths))


def test_folders_archives_and_everything_else_in_them(installed: LivePacs, tmp_path: Path) -> None:
    study = generate_uid()
    good = [make_object(StudyInstanceUID=study, InstanceNumber=n) for n in range(9)]
    root = tmp_path / "from the ward"
    (root / "b" / "c").mkdir(parents=True)
    (root / "b" / "c" / "no_suffix").write_bytes(good[0])
    (root / "a.dcm").write_bytes(good[1])
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\x1b[2J\n.dcm")).write_bytes(b"no DICOM")
    inner = zip_of(tmp_path / "inner.zip", {"deep/one.dcm": good[2], "two": good[3], "read me.txt": b"hello"})
    outer = zip_of(root / "b" / "Outer.ZIP", {"x/": b"", "x/three": good[4], "inner.zip": inner})
    zip_of(tmp_path / "deepest.zip", {"far": good[5]})
    nested = (tmp_path / "deepest.zip").read_bytes()
    for _ in range(3):
        nested = zip_of(tmp_path / "level.zip", {"level.zip": nested})
    (root / "levels.zip").write_bytes(nested)
    (root / "cut.zip").write_bytes(outer[:-60])
    zip_of(root / "locked.zip", {"secret.dcm": good[6]})
    encrypted(root / "locked.zip")
    damaged = bytearray(zip_of(root / "damaged.zip", {"flipped.dcm": os.urandom(5000), "fine.dcm": good[7]}))
    damaged[2000] ^= 0xFF
    (root / "damaged.zip").write_bytes(damaged)
    (root / "folder.dcm").mkdir()
    (root / "folder.dcm" / "inside").write_bytes(good[8])
    os.mkfifo(root / "pipe.dcm")
    folder = os.open(root, os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(f"/proc/self/fd/{folder}/socket.dcm")  # a socket's own path has to be short
    os.close(folder)
    (root / "dangling.dcm").symlink_to(root / "nowhere")
    (root / "linked folder").symlink_to(root / "b")
    (root / "empty.dcm").write_bytes(b"")

    done = imported(installed, root)
    assert done.returncode == 0, done.stderr
    *lines, summary = done.stdout.splitlines()
    assert summary == "7 stored, 0 there already, 10 refused"
    assert len(lines) == 10, done.stdout
    assert "\x1b" not in done.stdout
    reasons = {line.split("from the ward/")[1].split(": ")[0]: line for line in lines}
    for name, reason in {
        "cut.zip": "no readable directory",
        "locked.zip:secret.dcm": "encrypted",
        "damaged.zip:flipped.dcm": "damaged",
        "levels.zip:level.zip:level.zip:level.zip": "3 levels",
        "b/Outer.ZIP:inner.zip:read me.txt": "C000",
        "pipe.dcm": "neither a file nor a folder",
        "socket.dcm": "neither a file nor a folder",
        "dangling.dcm": "No such file",
        "empty.dcm": "C000",
        "\\udcff\\x1b[2J\\n.dcm": "C000",
    }.items():
        assert reason in reasons[name], name
    [[count]] = installed.query("SELECT number_of_study_related_instances FROM archive_study")
    assert count == 7

    again = imported(installed, root)
    assert again.stdout.splitlines()[-1] == "0 stored, 7 there already, 10 refused"
    assert again.returncode == 0
    events = installed.query("SELECT kind, instance_count, outcome FROM audit_accessevent WHERE kind = 'import'")
    assert events == [("import", 7, 4)] * 2


def test_single_files_and_one_that_differs(installed: LivePacs, tmp_path: Path) -> None:
    ds = make_data_set()
    (tmp_path / "one").write_bytes(to_bytes(ds))
    (tmp_path / "other").write_bytes(make_object(SOPInstanceUID=ds.SOPInstanceUID))
    done = imported(installed, tmp_path / "one", tmp_path / "other", tmp_path / "one")
    assert "refused (0111)" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 stored, 1 there already, 1 refused"


def test_nothing_to_import(installed: LivePacs, tmp_path: Path) -> None:
    assert "0 stored" in imported(installed, tmp_path).stdout
    missing = imported(installed, tmp_path / "missing")
    assert missing.returncode != 0
    assert "no such file or folder" in missing.stderr
    (tmp_path / "text.txt").write_text("hello")
    refused = imported(installed, tmp_path)
    assert refused.returncode != 0
    assert "nothing was stored" in refused.stderr
    assert "Traceback" not in refused.stderr + missing.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may read nothing")
def test_what_may_not_be_read_is_named(installed: LivePacs, tmp_path: Path) -> None:
    """Listed by somebody else's eyes: root may read everything."""
    closed, shut = tmp_path / "closed.dcm", tmp_path / "shut"
    closed.write_bytes(make_object())
    shut.mkdir()
    closed.chmod(0)
    shut.chmod(0)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    program = (
        "import os, sys; from pathlib import Path; os.setgid(65534); os.setuid(65534)\n"
        "from archive.errors import UnreadableObject\n"
        "from archive.import_sources import sources\n"
        "for source in sources([Path(sys.argv[1])]):\n"
        "    try: list(source.pieces())\n"
        "    except UnreadableObject as error: print(source.name.rsplit('/')[-1], error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import archive.import_sources\n" + program, str(tmp_path)],
        env=installed.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert sorted(done.stdout.splitlines()) == [
        "closed.dcm the file can't be read: Permission denied",
        "shut the folder can't be listed: Permission denied",
    ], done.stderr

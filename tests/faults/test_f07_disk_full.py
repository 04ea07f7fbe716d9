"""F7: the disk of the object store is full.

Procedure: the store lies on an ext4 image of 160 MB (short form: 32 MB), mounted by a loop device; it is filled by
stores, then to the last byte by a file; readers read all the while; the web server is started again on the full disk;
the file goes. The database is elsewhere.

Pass: what finds no room is answered with 507 or 503, or refused with A700, never with 500; at least 99 % of the reads
are answered; stores are acknowledged again within 15 s of the room coming back; the restart works.

It needs root and a loop device, and is left out elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle
from tests.faults.through import BACK_WITHIN, answers, one_known, reading, seconds_until
from tests.live.senders import AS_STORED, make_sent
from tests.live.server import LivePacs


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A mounted file system of its own; the test is left out where there can be none."""
    image, mounted = folder / "disk.img", folder / "disk"
    mounted.mkdir()
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("mounting a disk needs root and mkfs.ext4")
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True, timeout=60)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=False, timeout=60)
    if done.returncode != 0:
        pytest.skip("no loop device can be mounted here")
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=False, timeout=60)


def fill(folder: Path) -> Path:
    """A file that takes what room is left."""
    rest = folder / "rest"
    with rest.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return rest


def test_the_disk_is_full(tmp_path: Path, oracle: Oracle, figure: Figure, long_form: bool) -> None:
    with small_disk(tmp_path, 160 if long_form else 32) as disk:
        live = LivePacs()
        shutil.rmtree(live.home)
        live.home = disk / "data"
        live.home.mkdir()
        live.environment |= {"PACS_DATA": str(live.home), "PACS_READ_ONLY_BELOW_BYTES": "0"}
        try:
            live.start(worker=False)
            session = live.machine("technologist")
            known = one_known(live, session)
            # The largest that found no room has to find some when it is sent again.
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(4 << 20))
            with reading(live, session, known) as heard:
                until = time.monotonic() + 120
                while oracle.store(live, session, [make_sent(kilobytes=1024)]) == 200 and time.monotonic() < until:
                    pass
                rest = fill(disk)
                for kilobytes in (1, 64, 1024, 1, 64):
                    oracle.store(live, session, [make_sent(kilobytes=kilobytes)])
            full = len(oracle.open)
            assert not heard.wrong_bytes
            live.kill()
            live.serve(worker=False)
            restarted = answers(live, session, f"dicom-web/{known.object_path}", **AS_STORED)
            rest.unlink()
            ballast.unlink()
            back = seconds_until(lambda: oracle.store(live, session, [make_sent()]) == 200)
            # What found no room is sent again by the oracle, for which there must be some.
            for batch in oracle.open[2:]:
                oracle.open.remove(batch)
            verdict = oracle.judge(live, session)
        finally:
            live.stop()
    verdict.tell(figure, "F7")
    figure("F7", "stores without room, none answered with 500", full, "more than 0")
    figure("F7", "reads answered while the disk is full", f"{100 * heard.good:.2f} %", "99 % at least")
    figure("F7", "stored again after the room came back", f"{back:.1f} s", "15 s")
    figure("F7", "restart on the full disk", "works" if restarted else "fails", "works")
    assert set(oracle.answers) <= {200, 409, 503, 507}, oracle.answers
    assert full
    assert heard.good >= 0.99, heard.told
    assert restarted
    assert back < BACK_WITHIN
    assert verdict.clean, verdict

"""``python -m benchmarks.floor``: what this machine allows, whatever a server in Python on PostgreSQL does with it.

The web server of the product answers with the least there can be (``benchmarks.floor_application``), asked by the same
clients as in ``./pacs bench``; and what an instance cannot be stored without is done by itself. Ratios of the table
that would need less than this cannot be reached here.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psycopg
from isal import isal_zlib

from benchmarks.bench.fleet import Ask, run, shared_out
from benchmarks.bench.targets import Target, free_port
from benchmarks.floor_application import ANSWERS, BLOCK, BYTES, STORE, STUDY
from standalone.layout import PROJECT
from standalone.services.postgres import Postgres

HOST: Final = "127.0.0.1"
CONNECTIONS: Final = 6
_TABLES: Final = """
    CREATE TABLE floor_known (key integer PRIMARY KEY, value text);
    INSERT INTO floor_known SELECT n, repeat('v', 300) FROM generate_series(1, 1000) n;
    CREATE TABLE floor_written (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, value text);
"""


def main(words: Sequence[str]) -> None:
    """Print medians of ``--turns`` turns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--work", type=Path, help="where the data lie for the time being")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="lbf-", dir=asked.work) as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)
        target = stack.enter_context(_served(folder))
        _of_requests(target, asked.turns)
        _of_disk(folder, asked.turns)


def _of_requests(target: Target, turns: int) -> None:
    print(
        "| Answer | one connection, ms | CPU ms each | six connections, a second | CPU ms each |\n" + "| --- " * 5 + "|"
    )
    for path in (*ANSWERS, STORE, STUDY):
        ask = Ask(path[1:], body=(lambda: BYTES) if path == STORE else None)
        alone, of_alone, six, of_six = [], [], [], []
        once, together = (3, 6) if path == STUDY else (200, 600)
        run(target, [[ask] * (once // 3)])
        for _ in range(turns):
            done = run(target, [[ask] * once])
            alone.append(statistics.median(done.seconds) * 1e3)
            of_alone.append((done.processor or 0) / once * 1e3)
            done = run(target, shared_out([ask] * together, CONNECTIONS))
            six.append(together / done.window)
            of_six.append((done.processor or 0) / together * 1e3)
        figures = [statistics.median(each) for each in (alone, of_alone, six, of_six)]
        print("| {} | {:.2f} | {:.2f} | {:,.0f} | {:.2f} |".format(path, *figures))


def _of_disk(folder: Path, turns: int) -> None:
    """What a stored CT slice of half a megabyte costs without a server."""
    print("\n| Of an instance of 0.5 MB | ms | CPU ms |\n| --- | --- | --- |")
    data = os.urandom(len(BYTES))
    parts: dict[str, Callable[[], object]] = {
        "SHA-256": lambda: hashlib.sha256(data).digest(),
        "CRC of its blocks": lambda: [isal_zlib.crc32(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)],
        "written": lambda: _write(folder, data, flush=False),
        "written and flushed": lambda: _write(folder, data, flush=True),
        "a block of 8 KB flushed": lambda: _write(folder, data[:8192], flush=True),
    }
    for name, do in parts.items():
        took, spent = [], []
        for _ in range(turns * 40):
            wall, processor = time.perf_counter(), time.process_time()
            do()
            took.append(time.perf_counter() - wall)
            spent.append(time.process_time() - processor)
        print(f"| {name} | {statistics.median(took) * 1e3:.2f} | {statistics.median(spent) * 1e3:.2f} |")


def _write(folder: Path, data: bytes, *, flush: bool) -> None:
    path = folder / "written"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, data)
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
        path.unlink()


@contextmanager
def _served(folder: Path) -> Iterator[Target]:
    postgres = Postgres(folder / "pg", folder / "s", log=folder / "pg.log")
    postgres.prepare()
    postgres.launch()
    try:
        postgres.wait_ready()
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(_TABLES)
        file = folder / "frame"
        file.write_bytes(BYTES)
        (folder / "stored").mkdir()
        port = free_port(HOST)
        told = {"FLOOR_DATABASE": postgres.url, "FLOOR_FILE": str(file)}
        words = ["--worker-class=pacs_project.web_worker.WebWorker", "--workers=2", "--threads=32", "--preload"]
        words += ["--worker-connections=1000", f"--bind={HOST}:{port}", "--no-control-socket", "--log-level=warning"]
        command = [sys.executable, "-m", "gunicorn", *words, "benchmarks.floor_application:application"]
        server = subprocess.Popen(command, cwd=PROJECT, env={**os.environ, **told})
        try:
            target = Target("floor", f"http://{HOST}:{port}", processes=(server.pid, postgres.pid or 0))
            _await(target)
            yield target
        finally:
            server.terminate()
            server.wait(30)
    finally:
        postgres.stop()


def _await(target: Target) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            connection = target.connect()
            connection.ask("GET", "json", {})
            connection.close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the web server has not answered within a minute")


if __name__ == "__main__":
    main(sys.argv[1:])

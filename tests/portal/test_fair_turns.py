"""One client with eighty connections keeps the worker's eight threads busy; another one is answered all the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent.parent
APPLICATION = """
import time
def application(environ, start_response):
    environ["wsgi.input"].read()
    time.sleep(0.2)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
CONNECTIONS, SECONDS = 80, 4.0


def test_a_busy_client_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "slow_application.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "gunicorn", "--worker-class=pacs_project.web_worker.WebWorker", "--threads=8"]
    command += ["--workers=1", "--worker-connections=500", "--bind=127.0.0.1:0", "--no-control-socket"]
    log = tmp_path / "web.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            [*command, "slow_application:application"],
            env=os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"},
            cwd=tmp_path,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        address = _listening(log)
        heard: Counter[tuple[str, int]] = Counter()
        until = time.monotonic() + SECONDS

        def ask(client: str, body: bytes) -> None:
            session = requests.Session()
            session.headers["Authorization"] = f"Bearer {client}"
            while time.monotonic() < until:
                heard[client, session.post(f"{address}/dicom-web/studies", data=body, timeout=60).status_code] += 1

        bodies = [b"x" * (100_000 if number % 2 else 1_000) for number in range(CONNECTIONS)]
        threads = [threading.Thread(target=ask, args=["vendor", body]) for body in bodies]
        threads.append(threading.Thread(target=ask, args=["viewer", b"x"]))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        server.terminate()
        server.wait(30)
    assert set(heard) <= {("vendor", 200), ("vendor", 429), ("vendor", 503), ("viewer", 200)}, heard
    # In a common queue it would have one turn in eighty.
    assert heard["viewer", 200] * CONNECTIONS / 2 > heard["vendor", 200], heard


def _listening(log: Path) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for line in log.read_text().splitlines():
            if "Listening at: " in line:
                return line.partition("Listening at: ")[2].split()[0]
        time.sleep(0.1)
    raise AssertionError(log.read_text())

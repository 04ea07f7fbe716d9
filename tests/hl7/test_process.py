"""The listener as a process of its own, and senders that are none of ours; killed where it hurts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from archive.patient_facts import Identifier
from archive.patient_rows import _number
from hl7.framing import framed
from standalone.programs import Hl7
from tests.hl7.messages import CANCEL, LEGACY, MERGE, ORDER, PID, REGISTER, adt, code, wire
from tests.hl7.test_listener import Sender
from tests.live.server import LivePacs, _free_port

pytestmark = pytest.mark.slow


class Installation(LivePacs):
    """An installation of which only the HL7 listener runs."""

    def __init__(self) -> None:
        super().__init__()
        self.hl7_port = _free_port()
        self.environment |= {"PACS_HL7__PORT": str(self.hl7_port)}
        self.listener = Hl7(self.hl7_port, log=self.home / "hl7.log", environment=self.environment)
        self.services = [self.listener]

    def states(self) -> list[str]:
        return [row[0] for row in self.query("SELECT state FROM hl7_hl7message ORDER BY id")]

    def count(self, table: str) -> int:
        found: int = self.query(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
        return found


@pytest.fixture(scope="module")
def live() -> Iterator[Installation]:
    made = Installation()
    made.install()
    made.listener.start()
    yield made
    made.stop()


def mllp_send(port: int, text: str, folder: Path) -> str:
    """Send with python-hl7's own client, from a folder where its package isn't hidden by our room of the same name."""
    file = folder / "message.hl7"
    file.write_bytes(framed(wire(text)))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    program = "import sys; from hl7.client import mllp_send; sys.argv[0] = 'mllp_send'; mllp_send()"
    command = [sys.executable, "-P", "-c", program, f"--port={port}", f"--file={file}", "127.0.0.1"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_a_foreign_sender(live: Installation, tmp_path: Path) -> None:
    for text in (REGISTER, ORDER, LEGACY, CANCEL, MERGE):
        assert "MSA|AA|" in mllp_send(live.hl7_port, text, tmp_path), text
    rows = live.query("SELECT accession_number, status FROM worklist_order ORDER BY id")
    assert rows == [("A100", "SCHEDULED"), ("A200", "CANCELED")]
    events = live.count("worklist_stateevent")
    again = mllp_send(live.hl7_port, CANCEL, tmp_path)
    assert "MSA|AA|L2" in again
    assert live.count("worklist_stateevent") == events
    assert live.states() == ["applied"] * 5 + ["repeated"]


def test_killed_between_the_message_and_its_answer(live: Installation) -> None:
    before = live.count("archive_patient")
    news = adt("A28", "kill-1", PID.replace("123^^^HOSP&1.2.3.4&ISO", "K1^^^HOSP"))
    lock = _number(Identifier("K1", "HOSP").key)
    with psycopg.connect(live.environment["PACS_DATABASE_URL"], autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [lock])
        with Sender(live.hl7_port) as sender:
            sender.send(framed(news))
            wait_until(lambda: live.states()[-1] == "received" and waits_for_a_lock(live))
            live.kill("hl7")
            assert sender.answer() == b""
    wait_until(lambda: not waits_for_a_lock(live))
    assert live.count("archive_patient") == before
    live.listener.start()
    live.services.append(live.listener)
    with Sender(live.hl7_port) as sender:
        first = sender.ask(news)
        assert code(first) == "AA"
        assert live.count("archive_patient") == before + 1
        assert sender.ask(news) == first
    assert live.count("archive_patient") == before + 1
    assert live.states()[-3:] == ["superseded", "applied", "repeated"]


def test_feeds_side_by_side_end_as_one_after_the_other(live: Installation) -> None:
    """Several feeds about the same few patients: each feed's last word counts, no deadlock surfaces."""
    feeds, rounds, patients = 4, 15, 5
    answers: list[str] = []

    def feed(number: int) -> None:
        with Sender(live.hl7_port) as sender:
            for turn in range(rounds):
                for patient in range(patients):
                    segments = (
                        f"EVN||2025011{turn // 10}{turn % 10:02}0000",
                        f"PID|1||S{patient}^^^HOSP~S{patient}-{number}^^^F{number}||N{patient}^T{turn:02}",
                    )
                    answers.append(code(sender.ask(adt("A08", f"s{number}-{turn}-{patient}", *segments))))

    threads = [threading.Thread(target=feed, args=(number,)) for number in range(feeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(250)
    assert answers == ["AA"] * (feeds * rounds * patients)
    names = live.query(
        "SELECT patient_name FROM archive_patient WHERE patient_id IN ('S0','S1','S2','S3','S4') ORDER BY patient_id"
    )
    assert names == [(f"N{patient}^T{rounds - 1:02}",) for patient in range(patients)]
    assert live.query(
        "SELECT count(*) FROM archive_patient WHERE patient_id LIKE 'S_-_' AND merged_into_id IS NULL"
    ) == [(0,)]


def wait_until(found: object, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not found():  # type: ignore[operator]
        assert time.monotonic() < until, "this never happened"
        time.sleep(0.05)


def waits_for_a_lock(live: Installation) -> bool:
    return bool(
        live.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()")
    )

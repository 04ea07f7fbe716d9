"""The relay as a process of its own, with a receiver that is none of ours; killed between a message and its answer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from standalone.programs import Relay
from tests.hl7.sink import Sink, ack
from tests.live.server import LivePacs

pytestmark = pytest.mark.slow


class Installation(LivePacs):
    """An installation of which only the relay runs: one, or two of it."""

    def __init__(self) -> None:
        super().__init__()
        self.environment |= {
            "PACS_HL7_OUT__NETWORKS": '["127.0.0.0/8"]',
            "PACS_HL7_OUT__RETRY_SECONDS": "1",
            "PACS_HL7_OUT__ANSWER_SECONDS": "60",
        }

    def relay(self) -> Relay:
        made = Relay(self.home / f"relay-{len(self.services)}.log", self.environment)
        made.start()
        self.services.append(made)
        return made

    def queue(self, *numbers: str) -> None:
        for number in numbers:
            patient = int(number[1])
            raw = f"MSH|^~\\&|LIGHTBOX||RIS|H|20250110||ORU^R01|{number}|P|2.5.1\rPID|1||{patient}\r".encode()
            self.query(
                "INSERT INTO hl7_outboundmessage (destination_id, patient, type, about, control_id, raw, sha256, "
                "state, attempts, error) SELECT id, %s, 'ORU^R01', 'a test', %s, %s, '', 'queued', 0, '' "
                "FROM hl7_destination RETURNING id",
                *(patient, number, raw),
            )

    def states(self) -> dict[str, str]:
        return dict(self.query("SELECT control_id, state FROM hl7_outboundmessage ORDER BY id"))


@pytest.fixture
def live() -> Iterator[Installation]:
    made = Installation()
    made.install()
    yield made
    made.stop()


def test_killed_between_the_message_and_its_answer_and_taken_over(live: Installation) -> None:
    with Sink(lambda raw: None) as sink:
        live.manage("hl7_destination", "ris", "--address", f"127.0.0.1:{sink.port}", "--try")
        live.queue("m0", "m1")
        first = live.relay()
        until(lambda: sink.ids() == ["m0"])
        live.relay()
        assert live.states() == {"m0": "sent", "m1": "queued"}
        sink.behave = ack("AA")
        live.services.remove(first)
        assert first.process is not None
        os.killpg(first.process.pid, signal.SIGKILL)
        first.process.wait()
        # The other goes on, with the same number.
        until(lambda: set(live.states().values()) == {"acked"})
        assert sink.ids() == ["m0", "m0", "m1"]
        assert sink.got[0] == sink.got[1]
        # Two of them again, and many patients: one connection, and each patient's in order.
        live.relay()
        before = sink.connections
        for turn in range(10):
            live.queue(*(f"p{patient}-{turn}" for patient in range(1, 6)))
        until(lambda: set(live.states().values()) == {"acked"})
        for patient in range(1, 6):
            mine = [number for number in sink.ids() if number.startswith(f"p{patient}-")]
            assert mine == [f"p{patient}-{turn}" for turn in range(10)]
        assert sink.connections == before


def until(found: Callable[[], Any], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "this never happened"
        time.sleep(0.1)

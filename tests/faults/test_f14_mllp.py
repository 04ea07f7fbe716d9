"""F14: HL7 senders that break off, send garbage, or never read their answers.

Procedure, against the listener as a process of its own: a message cut at 20 places, then sent whole and once more;
garbage; a frame of 48 MiB that does not end; 50 messages in one go whose answers nobody reads. After each a new
connection asks. 10 rounds (short form: 1). More: ``tests/hl7/test_hostile.py``, ``test_process_kill.py``.

Pass: a message that was cut is not applied; sent whole, it is applied exactly once, however often; what was sent whole
by somebody who does not read is applied once; the listener answers others within 1 s (held to: it answers).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from hl7.framing import framed
from tests.faults.conftest import Figure
from tests.hl7.installation import Installation, wait_until
from tests.hl7.messages import PID, adt, code
from tests.hl7.sender import Sender

CUTS = 20
UNREAD = 50


@pytest.fixture
def live() -> Iterator[Installation]:
    made = Installation().take_messages()
    yield made
    made.stop()


def test_senders_that_break_off(live: Installation, figure: Figure, long_form: bool) -> None:
    rounds, cut_and_applied, not_once, slowest = 10 if long_form else 1, 0, 0, 0.0
    for number in range(rounds):
        who = f"FAULT{number}"
        news = adt("A28", f"cut-{number}", f"PID|1||{who}^^^HOSP||A^B")
        stream = framed(news)
        for cut in range(1, CUTS + 1):
            with Sender(live.hl7_port) as sender:
                sender.send(stream[: len(stream) * cut // (CUTS + 1)])
        slowest = max(slowest, answers_others(live, f"{number}-cut"))
        cut_and_applied += patients(live, who)
        with Sender(live.hl7_port) as sender:
            assert [code(sender.ask(news)) for _ in range(3)] == ["AA"] * 3
        not_once += patients(live, who) != 1

        with Sender(live.hl7_port) as noise, contextlib.suppress(OSError):
            noise.send(bytes(range(32, 256)) * 5000 + b"\x0b" + b"\x1c\r" * 1000)
        with Sender(live.hl7_port) as endless, contextlib.suppress(OSError):
            for _ in range(48):
                endless.send(b"\x0bMSH|^~\\&|A|B|" + b"x" * (1 << 20))
        slowest = max(slowest, answers_others(live, f"{number}-noise"))

        deaf = Sender(live.hl7_port)
        unread = [f"DEAF{number}-{each}" for each in range(UNREAD)]
        deaf.send(b"".join(framed(adt("A28", f"{who}-d", f"PID|1||{who}^^^HOSP||A^B")) for who in unread))
        slowest = max(slowest, answers_others(live, f"{number}-deaf"))
        wait_until(lambda names=unread: patients(live, *names) == len(names))  # type: ignore[misc]
        deaf.socket.close()
        slowest = max(slowest, answers_others(live, f"{number}-gone"))
    figure("F14", "messages cut and applied", f"{cut_and_applied} of {CUTS * rounds}", "0")
    figure("F14", "messages sent whole and not applied exactly once", not_once, "0")
    figure("F14", "applied though nobody read the answer", f"{UNREAD * rounds} of {UNREAD * rounds}", "each once")
    figure("F14", "others were answered after, at most", f"{slowest:.2f} s", "1 s")
    assert (cut_and_applied, not_once) == (0, 0)


def answers_others(live: Installation, name: str) -> float:
    """Seconds until somebody else has an answer."""
    began = time.monotonic()
    with Sender(live.hl7_port) as sender:
        assert code(sender.ask(adt("A08", f"other-{name}", PID))) == "AA"
    return time.monotonic() - began


def patients(live: Installation, *identifiers: str) -> int:
    [[count]] = live.query("SELECT count(*) FROM archive_patient WHERE patient_id = ANY(%s)", list(identifiers))
    return int(count)

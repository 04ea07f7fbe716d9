"""Senders that mean no good, against the listener as a process of its own: it lives, serves others, stays small."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hl7.framing import framed
from tests.hl7.installation import Installation, wait_until
from tests.hl7.messages import ORDER, PID, REPORT, adt, code, error, wire
from tests.hl7.sender import Sender

pytestmark = pytest.mark.slow
MANY = 10_000
HUGE = 30 << 20
# What one message of ``HUGE`` may take, and all that is sent here together.
MOST_MEMORY = 900 << 20


@pytest.fixture(scope="module")
def live() -> Iterator[Installation]:
    made = Installation().take_messages()
    yield made
    made.stop()


def memory(live: Installation, what: str = "VmHWM") -> int:
    """Bytes that the listener held at the most ("VmHWM"), or holds ("VmRSS")."""
    lines = Path(f"/proc/{live.listener.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))


@contextlib.contextmanager
def others_are_served(live: Installation, name: str) -> Iterator[None]:
    """Somebody else sends one message after the other all the while, over one connection and over new ones."""
    stop = threading.Event()
    codes: list[str] = []

    def send() -> None:
        with Sender(live.hl7_port) as sender:
            sender.socket.settimeout(60)
            while not stop.is_set() or len(codes) < 3:
                codes.append(code(sender.ask(adt("A08", f"{name}-{len(codes)}", PID))))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert set(codes) == {"AA"}
    with Sender(live.hl7_port) as fresh:
        assert code(fresh.ask(adt("A08", f"{name}-fresh", PID))) == "AA"


def open_files(wanted: int) -> int:
    """Have this process open so many files; how many it may have for sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + 500:
        hard = wanted + 500 if hard == resource.RLIM_INFINITY else min(hard, wanted + 500)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)


def descriptors(live: Installation) -> int:
    return len(list(Path(f"/proc/{live.listener.pid}/fd").iterdir()))


def test_ten_thousand_connections(live: Installation) -> None:
    """Opened one after the other and held: silent ones, and ones that begin a message and never end it."""
    before = memory(live, "VmRSS")
    most = 0
    with contextlib.ExitStack() as stack, others_are_served(live, "many"):
        for number in range(open_files(MANY)):
            opened = stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", live.hl7_port), 30)))
            if number % 2:
                with contextlib.suppress(OSError):
                    opened.sendall(b"\x0bMSH|^~\\&|" + b"x" * 1000)
            if number % 500 == 0:
                most = max(most, descriptors(live))
    # Its bound of 256 connections, those that are taken in one go, and what it has open itself.
    assert most < 256 + 128
    assert memory(live) - before < 64 << 20
    wait_until(lambda: descriptors(live) < 60)


def test_garbage_and_frames_that_never_end(live: Installation) -> None:
    with others_are_served(live, "noise"):
        with Sender(live.hl7_port) as noise, contextlib.suppress(OSError):
            for _ in range(40):
                noise.send(bytes(range(32, 256)) * 5000)
        for beginning in (b"\x0b", b"\x0bMSH|^~\\&|A|B|", b"\x0b\x0b\x0b"):
            with Sender(live.hl7_port) as endless:
                with contextlib.suppress(OSError):
                    for _ in range(48):
                        endless.send(beginning + b"x" * (1 << 20))
                assert endless.answer() == b""
        with Sender(live.hl7_port) as sender:
            sender.send(framed(b"") + framed(b"\x0b\x0b") + framed(b"\x00" * 1000))
            assert sender.answer() == b""


def _in(place: bytes) -> Callable[[bytes], bytes]:
    return lambda head: head + b"\r" + place


_PERSON = b"PID|1||H1^^^HOSP||A^B"
HUGE_MESSAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a field": (lambda: b"PID|1||H1^^^HOSP||" + b"A" * HUGE, "PID^1^5"),
    "repetitions": (lambda: b"PID|1||" + b"~".join(b"H%d^^^HOSP" % n for n in range(1_000_000)), "PID^1^3"),
    "components": (lambda: b"PID|1||H1^^^HOSP||" + b"A^" * (HUGE // 2), "PID^1^5"),
    "short repetitions": (lambda: b"PID|1||" + b"~".join(b"H%d" % n for n in range(6_000)), "PID^1^3"),
    "fields": (lambda: _PERSON + b"|" * HUGE, "PID^1^1000"),
    "segments": (lambda: _PERSON + b"\rZZZ" * (HUGE // 4), ""),
    "persons": (lambda: b"\r".join(b"PID|1||H%d^^^HOSP||A^B" % n for n in range(2_000)), "PID^501"),
    "empty lines": (lambda: _PERSON + b"\n" * HUGE + b"x", "PID^1^5"),
}


@pytest.mark.parametrize("name", HUGE_MESSAGES)
def test_a_huge_message_is_refused_where_it_is_huge(live: Installation, name: str) -> None:
    made, place = HUGE_MESSAGES[name]
    patients = live.count("archive_patient")
    with others_are_served(live, name), Sender(live.hl7_port) as sender:
        sender.socket.settimeout(120)
        answer = sender.ask(adt("A28", f"huge {name}") + b"\r" + made())
        assert error(answer) == ("AE", "102", place)
        assert len(answer) < 1000
    assert live.count("archive_patient") - patients <= 1
    assert memory(live) < MOST_MEMORY


def test_what_is_huge_and_right_is_taken(live: Installation) -> None:
    """A text of 30 MB, one of nothing but escapes, and a header that nobody could have meant."""
    report = wire(REPORT.partition("\nOBX|2")[0].replace("1^EPIC", "5^EPIC").replace("F1^RIS", "F5^RIS"))
    texts = {"long": b"x" * HUGE, "escapes": b"\\X41\\" * (1 << 20), "lines": b"line~" * 4_000}
    with others_are_served(live, "right"), Sender(live.hl7_port) as sender:
        sender.socket.settimeout(120)
        for name, text in texts.items():
            message = report.replace(b"|R1|", b"|%s|" % name.encode()).replace(b"F5^", b"F5%s^" % name.encode())
            assert code(sender.ask(message + b"\rOBX|2|TX|18748-4^Report^LN|1|" + text + b"||||||F")) == "AA", name
        sender.send(framed(adt("A28", "c" * HUGE, PID)))
        assert sender.answer() == b""
    lengths = live.query("SELECT length(sections->0->>1) FROM reports_reportversion ORDER BY id")
    assert [row[0] for row in lengths] == [HUGE, 1 << 20, 4_000 * 5 - 1]
    assert memory(live) < MOST_MEMORY


def test_many_orders_in_one_message(live: Installation) -> None:
    orders = ORDER.partition("\nORC")
    many = "\n".join(f"ORC|NW|N{n}^EPIC|M{n}^RIS||SC\nOBR|1|N{n}^EPIC|M{n}^RIS|CT^CT^L" for n in range(501))
    with Sender(live.hl7_port) as sender:
        assert error(sender.ask(wire(orders[0] + "\n" + many)))[1:] == ("102", "ORC^501")
    assert live.count("worklist_order") == 0

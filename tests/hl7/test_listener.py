"""The listener over real sockets: framing, limits, time-outs, hostile senders, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hl7.acknowledgement import Answers, answers
from hl7.connections import Connections, TooMuch
from hl7.framing import framed
from hl7.header import Header, normal
from hl7.interfaces import Peer
from hl7.listener import Listener, tls_context
from pacs_project.config_hl7 import Hl7Config
from tests.hl7.messages import ORDER, PID, adt, code, wire
from tests.hl7.sender import Sender

Listening = tuple[int, "Echo"]


class Echo:
    """Answers AA, and remembers what came; ``wait`` holds answers back."""

    def __init__(self) -> None:
        self.came: list[tuple[bytes, Peer]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.wait = threading.Event()
        self.wait.set()
        self._lock = threading.Lock()

    def __call__(self, raw: bytes, peer: Peer) -> Answers:
        header = Header.of(normal(raw))
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.wait.wait(20)
        with self._lock:
            self.at_once -= 1
            self.came.append((raw, peer))
        return answers(header, None)


@contextlib.contextmanager
def listening(tls: ssl.SSLContext | None = None, **settings: Any) -> Iterator[tuple[list[int], Echo, Listener]]:
    """A listener in a thread with a loop of its own."""
    echo = Echo()
    config = Hl7Config(**{"port": 0, **settings})
    listener = Listener(config, echo, tls)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    ports = asyncio.run_coroutine_threadsafe(listener.start(), loop).result(20)
    try:
        yield ports, echo, listener
    finally:
        echo.wait.set()
        asyncio.run_coroutine_threadsafe(listener.close(), loop).result(30)
        asyncio.run_coroutine_threadsafe(_others_end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


async def _others_end() -> None:
    """Connections whose other side is gone are still being closed: nothing of them is left to the next test."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def nothing_is_held(listener: Listener, most: int = 0) -> None:
    """What a message took is given back after its answer has gone out."""
    until = time.monotonic() + 20
    while listener._places.held > most and time.monotonic() < until:
        time.sleep(0.01)
    assert listener._places.held <= most


def message(number: int = 1) -> bytes:
    return adt("A08", f"c{number}", PID)


def test_one_message_in_fifty_packets_and_two_in_one() -> None:
    with listening() as ([port], echo, _), Sender(port) as sender:
        stream = framed(message(1))
        step = len(stream) // 50
        for at in range(0, len(stream), step):
            sender.send(stream[at : at + step])
        assert b"MSA|AA|c1" in sender.answer()
        sender.send(framed(message(2)) + framed(message(3)))
        assert b"MSA|AA|c2" in sender.answer()
        assert b"MSA|AA|c3" in sender.answer()
        assert [raw for raw, _ in echo.came] == [message(1), message(2), message(3)]
        assert echo.came[0][1] == Peer("mllp", "127.0.0.1")


def test_a_message_that_breaks_off_has_no_effect() -> None:
    with listening() as ([port], echo, _):
        with Sender(port) as sender:
            sender.send(b"\x0b" + message()[:40] + b"\x1c")
            sender.socket.shutdown(socket.SHUT_WR)
            assert sender.answer() == b""
        assert echo.came == []


def test_answers_come_in_order_and_messages_of_a_connection_one_by_one() -> None:
    with listening(threads=4) as ([port], echo, _), Sender(port) as sender:
        sender.send(b"".join(framed(message(number)) for number in range(200)))
        answered = [sender.answer().split(b"MSA|AA|")[1].strip() for _ in range(200)]
        assert answered == [f"c{number}".encode() for number in range(200)]
        assert echo.most_at_once == 1


def test_connections_are_served_side_by_side() -> None:
    with listening(threads=4) as ([port], echo, _), contextlib.ExitStack() as stack:
        echo.wait.clear()
        senders = [stack.enter_context(Sender(port)) for _ in range(4)]
        for sender in senders:
            sender.send(framed(message()))
        until = time.monotonic() + 20
        while echo.at_once < 4 and time.monotonic() < until:
            time.sleep(0.01)
        assert echo.at_once == 4
        echo.wait.set()
        assert all(code(sender.answer()) == "AA" for sender in senders)


def test_garbage_closes_its_own_connection_only() -> None:
    with listening() as ([port], _, _), Sender(port) as good:
        assert code(good.ask(message(1))) == "AA"
        with Sender(port) as bad:
            assert bad.ask(b"\x00\xff" * 5000) == b""
        with Sender(port) as web:
            web.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + framed(message(2)))
            assert code(web.answer()) == "AA"
        assert code(good.ask(message(3))) == "AA"


def test_a_frame_that_never_ends_is_cut_off() -> None:
    with listening(frame_bytes=1 << 16) as ([port], echo, listener), Sender(port) as good, Sender(port) as bad:
        with contextlib.suppress(OSError):
            bad.send(b"\x0bMSH|" + b"x" * (4 << 20))
        assert bad.answer() == b""
        assert code(good.ask(message())) == "AA"
        assert len(echo.came) == 1
        nothing_is_held(listener)


def test_unfinished_messages_are_bounded_together() -> None:
    with listening(buffer_bytes=1 << 20, frame_bytes=1 << 20) as ([port], _, listener), contextlib.ExitStack() as stack:
        good = stack.enter_context(Sender(port))
        for _ in range(12):
            bad = stack.enter_context(Sender(port))
            with contextlib.suppress(OSError):
                bad.send(b"\x0bMSH|" + b"x" * 200_000)
        assert code(good.ask(message())) == "AA"
        nothing_is_held(listener, 1 << 20)


@pytest.mark.parametrize(
    ("setting", "sent"), [("first_seconds", b""), ("frame_seconds", b"\x0bMSH|^~"), ("idle_seconds", framed(message()))]
)
def test_slow_senders_are_let_go(setting: str, sent: bytes) -> None:
    changed: dict[str, Any] = {setting: 0.2}
    with listening(**changed) as ([port], _, _), Sender(port) as sender:
        sender.send(sent)
        if setting == "idle_seconds":
            assert code(sender.answer()) == "AA"
        assert sender.answer() == b""


def test_a_slow_drip_does_not_begin_its_time_anew() -> None:
    with listening(frame_seconds=0.5) as ([port], _, _), Sender(port) as sender:
        sender.send(b"\x0b")
        with contextlib.suppress(OSError):
            for _ in range(100):
                sender.send(b"x")
                time.sleep(0.05)
        assert sender.answer() == b""


def test_many_silent_connections_keep_nobody_out() -> None:
    with listening(connections=20) as ([port], _, listener), contextlib.ExitStack() as stack:
        good = stack.enter_context(Sender(port))
        assert code(good.ask(message(1))) == "AA"
        for _ in range(300):
            stack.enter_context(Sender(port))
        fresh = stack.enter_context(Sender(port))
        assert code(fresh.ask(message(2))) == "AA"
        assert code(good.ask(message(3))) == "AA"
        assert len(listener._places._open) <= 20


def test_nor_do_connections_that_were_served_once() -> None:
    """The one that has been quiet for longest gives its place up; one that goes on sending keeps it."""
    with listening(connections=20) as ([port], _, listener), contextlib.ExitStack() as stack:
        good = stack.enter_context(Sender(port))
        for number in range(60):
            each = stack.enter_context(Sender(port))
            assert code(each.ask(message(number))) == "AA"
            assert code(good.ask(message(number))) == "AA"
        assert len(listener._places._open) <= 20


def test_a_handshake_that_never_ends_holds_no_more_than_a_place(
    authority: Callable[[str], tuple[Path, Path]],
) -> None:
    server, server_key = authority("server")
    context = tls_context(str(server), str(server_key), str(server.with_name("ca.pem")))
    with listening(tls=context, tls_port=0, connections=20) as (ports, _, listener), contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(Sender(ports[-1])).send(b"\x16\x03\x01")
        until = time.monotonic() + 20
        while len(listener._tasks) > 20 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(listener._tasks) <= 20


def test_nobody_else_may_connect() -> None:
    with listening(allow=["192.0.2.0/24"]) as ([port], echo, _), Sender(port) as sender:
        sender.send(framed(message()))
        assert sender.answer() == b""
        assert echo.came == []


def test_five_megabytes() -> None:
    big = wire(ORDER) + b"\rOBX|1|ED|PDF||^application^pdf^Base64^" + b"QUJD" * (5 << 18)
    with listening() as ([port], echo, listener), Sender(port) as sender:
        assert code(sender.ask(big)) == "AA"
        assert echo.came[0][0] == big
        nothing_is_held(listener)


def test_what_is_at_work_is_answered_before_the_end() -> None:
    with listening() as ([port], echo, listener), Sender(port) as sender, Sender(port) as idle:
        assert code(idle.ask(message(1))) == "AA"
        echo.wait.clear()
        sender.send(framed(message(2)) + framed(message(3)))
        until = time.monotonic() + 20
        while not echo.at_once and time.monotonic() < until:
            time.sleep(0.01)
        loop = next(iter(listener._tasks)).get_loop()
        ending = asyncio.run_coroutine_threadsafe(listener.close(), loop)
        assert idle.answer() == b""
        echo.wait.set()
        assert b"|c2" in sender.answer()
        ending.result(20)


def test_places() -> None:
    places, ended = Connections(2, 100), []
    with places.taken(lambda: ended.append(1)) as one, places.taken(lambda: ended.append(2)) as two:
        assert one is not None
        assert two is not None
        with one.busy(), places.taken(lambda: None) as three:
            assert three is not None
            assert ended == [2]
        with pytest.raises(TooMuch):
            one.hold(101)
    assert places.held == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """Makes certificates that one authority signs; ``ca`` names its own."""
    folder = tmp_path_factory.mktemp("tls")
    keys: dict[str, tuple[Any, x509.Certificate]] = {}

    def certificate(name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        signer, issuer = keys.get("ca", (key, None))
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
        )
        made = builder.sign(signer, hashes.SHA256())
        keys[name] = (key, made)
        (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return folder / f"{name}.pem", folder / f"{name}.key"

    certificate("ca")
    return certificate


def test_tls_with_client_certificates(authority: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    server, server_key = authority("server")
    client, client_key = authority("client")
    ca = server.with_name("ca.pem")
    context = tls_context(str(server), str(server_key), str(ca))
    with listening(tls=context, tls_port=0) as (ports, echo, _):
        port = ports[-1]

        def connect(*own: str) -> ssl.SSLSocket:
            ours = ssl.create_default_context(cafile=str(ca))
            if own:
                ours.load_cert_chain(*own)
            return ours.wrap_socket(
                socket.create_connection(("127.0.0.1", port), timeout=20), server_hostname="127.0.0.1"
            )

        with connect(str(client), str(client_key)) as secure:
            secure.sendall(framed(message()))
            assert b"MSA|AA" in secure.recv(65536)
        made = x509.load_pem_x509_certificate(client.read_bytes())
        assert echo.came[0][1] == Peer("mllp-tls", "127.0.0.1", made.fingerprint(hashes.SHA256()).hex())
        answered = b""
        with contextlib.suppress(OSError), connect() as bare:
            bare.sendall(framed(message()))
            answered = bare.recv(10)
        assert answered == b""
        with Sender(port) as plain:
            assert plain.ask(message()) == b""
        assert len(echo.came) == 1


def test_memory_does_not_grow_with_what_is_sent() -> None:
    """Noise of 50 MB outside of frames is dropped as it comes."""
    with listening() as ([port], _, listener), Sender(port) as sender:
        gc.collect()
        for _ in range(50):
            sender.send(b"n" * (1 << 20))
        sender.send(framed(message()))
        assert code(sender.answer()) == "AA"
        nothing_is_held(listener)

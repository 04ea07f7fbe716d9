"""A receiver of syslog over TLS with certificates of its own, and a way to it that can swallow everything."""

from __future__ import annotations

import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition`` holds, up to two minutes."""
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.05)


class Authority:
    """A CA in a folder that issues certificates for ``localhost``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test CA {folder.name}")])
        made = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.file = folder / "ca.pem"
        folder.mkdir(exist_ok=True)
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(subject, key).add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
        certificate, kept = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        kept.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, kept

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )


@dataclass(frozen=True)
class Received:
    """One message, taken apart."""

    priority: int
    sequence_id: int
    message_id: str
    xml: bytes


HEAD = re.compile(
    rb"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) (\S+) lightbox - (\S+) "
    rb"\[meta sequenceId=\"(\d+)\"\] \xef\xbb\xbf"
)


def taken_apart(message: bytes) -> Received:
    head = HEAD.match(message)
    assert head, message[:200]
    return Received(int(head[1]), int(head[5]), head[4].decode(), message[head.end() :])


class Sink:
    """Listens with TLS; ``messages`` is what came, in order. With ``clients`` it wants a certificate of that CA."""

    def __init__(self, authority: Authority, clients: Authority | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("sink"))
        if clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients.file)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.messages: list[Received] = []
        self.sessions = 0
        self._stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    def sequence_ids(self) -> list[int]:
        return [message.sequence_id for message in list(self.messages)]

    def close(self) -> None:
        self._stopping = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopping:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            session = self._context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        self.sessions += 1
        buffer = b""
        try:
            while chunk := session.recv(65536):
                buffer += chunk
                while (space := buffer.find(b" ")) > 0 and len(buffer) > (end := space + 1 + int(buffer[:space])) - 1:
                    self.messages.append(taken_apart(buffer[space + 1 : end]))
                    buffer = buffer[end:]
            session.unwrap()
        except OSError:
            pass
        finally:
            session.close()


class Way:
    """A proxy to the sink. ``swallow()``: it takes bytes and passes none; ``restore()`` cuts what was swallowed."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._swallowing = False
        self.swallowed = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        self._swallowing = True

    def restore(self) -> None:
        self.cut()
        self._swallowing = False

    def cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                end.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            self._pairs.append((near, far))
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        try:
            while True:
                for end in select.select([near, far], [], [], 0.2)[0]:
                    if not (chunk := end.recv(65536)):
                        raise ConnectionError
                    if self._swallowing:
                        self.swallowed += len(chunk)
                    else:
                        other[end].sendall(chunk)
        except (OSError, ValueError):
            near.close()
            far.close()

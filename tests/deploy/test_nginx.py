"""deploy/nginx in front of a running installation. Needs nginx on the PATH."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from requests.adapters import HTTPAdapter

from tests.live.rounds import STORE_TYPE
from tests.live.senders import AS_STORED, Sent, make_sent
from tests.live.server import LivePacs, free_port

NGINX = shutil.which("nginx")
FOLDER = Path(__file__).resolve().parents[2] / "deploy/nginx"
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class From(HTTPAdapter):
    """Connections that come from another address of this machine."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: object) -> None:
        super().init_poolmanager(connections, maxsize, block, source_address=(self.address, 0), **options)


class Proxy:
    """nginx with the files of deploy/nginx: only addresses and folders are those of the test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, self.plain = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, web: str) -> None:
        (self.home / "tls").mkdir()
        self._certificate()
        (self.home / "nginx.conf").write_text(
            (FOLDER / "nginx.conf")
            .read_text()
            .replace("/tmp/", f"{self.home}/")
            .replace("/etc/nginx/lightbox/", f"{self.home}/")
        )
        (self.home / "lightbox.conf").write_text(
            (FOLDER / "lightbox.conf")
            .read_text()
            .replace("server web:8080", f"server {web}")
            .replace("listen 8443", f"listen 127.0.0.1:{self.port}")
            .replace("listen 8080", f"listen 127.0.0.1:{self.plain}")
            .replace("/etc/nginx/tls/", f"{self.home}/tls/")
        )

    def command(self, *words: str) -> list[str]:
        return [NGINX or "", "-p", str(self.home), "-c", str(self.home / "nginx.conf"), *words]

    def start(self) -> None:
        # A master of root's gives its workers to nobody: they need their folders.
        self.home.chmod(0o711)
        with (self.home / "out.log").open("wb") as out, (self.home / "error.log").open("wb") as error:
            self.process = subprocess.Popen(self.command("-g", "daemon off;"), stdout=out, stderr=error)
        while self.process.poll() is None:
            with suppress(ConnectionError), socket.create_connection(("127.0.0.1", self.port), 60):
                return
            time.sleep(0.1)
        raise AssertionError((self.home / "error.log").read_text())

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)

    def _certificate(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(key, hashes.SHA256())
        )
        (self.home / "tls/tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self.home / "tls/tls.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    proxy = Proxy(Path(mkdtemp(prefix="lbn-")))
    try:
        yield proxy
    finally:
        proxy.stop()
        shutil.rmtree(proxy.home)


@pytest.fixture(scope="module")
def behind(proxy: Proxy) -> Iterator[LivePacs]:
    """An installation that is met by way of the proxy."""
    live = LivePacs()
    live.environment |= {"PACS_PUBLIC_ROOT": proxy.url, "PACS_TRUSTED_PROXIES": '["127.0.0.1"]'}
    try:
        proxy.write(urlsplit(live.url).netloc)
        live.start(worker=False)
        proxy.start()
        yield live
    finally:
        live.stop()


@pytest.fixture(scope="module")
def session(proxy: Proxy, behind: LivePacs) -> requests.Session:
    """A technologist on another machine, who believes the certificate."""
    name = f"sender-{uuid4().hex[:8]}"
    made = behind.manage("create_client", name, "--role", "technologist")
    words = dict(line.split()[:2] for line in made.splitlines() if line.startswith("client_"))
    session = requests.Session()
    session.mount("https://", From("127.0.0.2"))
    session.trust_env = False  # a REQUESTS_CA_BUNDLE would win over what follows
    session.verify = str(proxy.home / "tls/tls.crt")
    answer = session.post(
        f"{proxy.url}/oauth/token/",
        data={"grant_type": "client_credentials"},
        auth=(words["client_id"], words["client_secret"]),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


def body_of(sent: Sent) -> bytes:
    return b"--b\r\nContent-Type: application/dicom\r\n\r\n" + sent.data + b"\r\n--b--\r\n"


def test_the_files_are_valid(proxy: Proxy, behind: LivePacs) -> None:
    done = subprocess.run(proxy.command("-t"), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_stored_searched_and_read_by_way_of_the_proxy(
    proxy: Proxy, behind: LivePacs, session: requests.Session
) -> None:
    sent = make_sent(kilobytes=800)
    kind = STORE_TYPE.partition("boundary=")[0] + "boundary=b"
    stored = session.post(
        f"{proxy.url}/dicom-web/studies", data=body_of(sent), headers={"Content-Type": kind}, timeout=60
    )
    assert stored.status_code == 200, stored.text
    # What answers name is the address that clients know.
    study = sent.path.split("/")[1]
    [row] = session.get(f"{proxy.url}/dicom-web/studies", params={"StudyInstanceUID": study}, timeout=60).json()
    assert row["00081190"]["Value"][0].startswith(f"{proxy.url}/dicom-web/studies/")
    read = session.get(f"{proxy.url}/dicom-web/{sent.path}", headers=AS_STORED, timeout=60)
    assert sha256(read.content).digest() == sha256(sent.data).digest()
    # The trail has where the client is, not the proxy.
    rows = behind.query(
        "SELECT DISTINCT host(source_ip) FROM audit_accessevent WHERE principal_name LIKE %s", "sender-%"
    )
    assert {address for (address,) in rows} == {"127.0.0.2"}


def test_what_is_told_of_tls(proxy: Proxy, session: requests.Session) -> None:
    plain = requests.get(f"http://127.0.0.1:{proxy.plain}/livez?x=1", allow_redirects=False, timeout=60)
    assert (plain.status_code, plain.headers["Location"]) == (308, "https://127.0.0.1/livez?x=1")
    answer = session.get(f"{proxy.url}/sign-in/", timeout=60)
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert session.get(f"{proxy.url}/metrics", timeout=60).status_code == 404


def test_slow_senders_wait_in_the_proxy(proxy: Proxy, behind: LivePacs, session: requests.Session) -> None:
    """More senders that have begun than Lightbox has threads: none of them has reached it."""
    with ExitStack() as stack:
        for _ in range(100):
            wire = stack.enter_context(encrypted(proxy))
            wire.sendall(
                b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
                b"Content-Type: multipart/related; type=application/dicom; boundary=b\r\n\r\n--b\r\n"
            )
        assert session.get(f"{proxy.url}/dicom-web/studies", params={"limit": "1"}, timeout=60).status_code in (
            200,
            204,
        )
        assert open_connections(behind.port) < 20


def test_event_channels_pass(proxy: Proxy, session: requests.Session) -> None:
    token = str(session.headers["Authorization"])
    with encrypted(proxy) as wire:
        wire.sendall(
            b"GET /dicom-web/subscribers/NGINX HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Authorization: %s\r\n\r\n" % (proxy.port, token.encode())
        )
        assert wire.recv(4096).startswith(b"HTTP/1.1 101 ")


def test_the_log_says_nothing_of_what_was_asked(proxy: Proxy, session: requests.Session) -> None:
    session.get(f"{proxy.url}/dicom-web/studies", params={"PatientID": "NGINX-SECRET"}, timeout=60)
    for log in ("out.log", "error.log"):
        assert "NGINX-SECRET" not in (proxy.home / log).read_text()


def encrypted(proxy: Proxy) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(proxy.home / "tls/tls.crt"))
    return context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port), 60), server_hostname="127.0.0.1")


def open_connections(port: int) -> int:
    """Established connections to ``port`` of this machine."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)

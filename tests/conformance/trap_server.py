"""One installation for the trap tests, and clients that say on the wire just what a test tells them to say."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import requests
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.dicomweb.pixels import packaged
from tests.live.server import LivePacs

VIEWER = "https://viewer.example"
OCTETS = "application/octet-stream"
BOUNDARY = "trap-boundary"
STORE_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
_COUNTED = re.compile(rb"(?im)^content-length: *([0-9]+)\r\n")


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came: header block and body, undone only of its transfer coding."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header field, "" if it isn't there."""
        found = re.search(rf"(?im)^{re.escape(name)}: *([^\r\n]*)", self.head.decode("latin-1"))
        return found[1] if found else ""

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class TrapPacs:
    """A running installation that lets ``VIEWER`` in from elsewhere, with somebody who may store and read all."""

    live: LivePacs
    session: requests.Session

    @property
    def root(self) -> str:
        return f"{self.live.url}/dicom-web"

    @property
    def bearer(self) -> str:
        return str(self.session.headers["Authorization"])

    def get(self, path: str, accept: str | None = None, **headers: str) -> requests.Response:
        """GET below the root (or of a whole URL); without ``accept`` no Accept header leaves at all."""
        sent: dict[str, Any] = {"Accept": accept, "Accept-Encoding": None}
        sent |= {name.replace("_", "-"): text for name, text in headers.items()}
        url = path if path.startswith("http") else f"{self.root}/{path}"
        return self.session.get(url, headers=sent, timeout=60)

    def post(self, objects: Iterable[bytes], path: str = "studies") -> requests.Response:
        """STOW-RS of Part 10 objects in the plainest form."""
        headers = {"Content-Type": STORE_TYPE, "Accept": "application/dicom+json"}
        return self.session.post(f"{self.root}/{path}", data=multipart(objects), headers=headers, timeout=60)

    def store(self, *objects: bytes) -> str:
        """Store objects that must be taken; the path of the first instance below the root."""
        answer = self.post(objects)
        assert answer.status_code in (200, 202), answer.text
        kept = answer.json()["00081199"]["Value"]
        assert len(kept) == len(objects), answer.text
        return str(kept[0]["00081190"]["Value"][0]).partition("/dicom-web/")[2]

    def raw(self, method: str, target: str, fields: Iterable[str] = (), body: bytes = b"") -> RawAnswer:
        """One exchange on a socket of its own: ``fields`` are header lines and leave letter by letter."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.live.port}", "Connection: close", *fields]
        with socket.create_connection(("127.0.0.1", self.live.port), timeout=60) as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
            pieces = iter(lambda: connection.recv(1 << 20), b"")
            return _answer(b"".join(pieces))

    def ask(self, path: str, *fields: str) -> RawAnswer:
        """A GET on a socket of its own, with the token and ``fields`` and nothing else."""
        return self.raw("GET", f"/dicom-web/{path}", [f"Authorization: {self.bearer}", *fields])

    def object_file(self, data: bytes) -> Path:
        """The file in the object store that holds ``data``."""
        same = [path for path in self.live.home.rglob("objects/**/*") if _holds(path, data)]
        assert len(same) == 1, same
        return same[0]


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def _answer(received: bytes) -> RawAnswer:
    head, _, body = received.partition(b"\r\n\r\n")
    counted = _COUNTED.search(head + b"\r\n")
    if counted:
        assert len(body) == int(counted[1]), "the body is not as long as it was said to be"
    elif b"chunked" in head.lower():
        body = _unchunked(body)
    return RawAnswer(int(head.split(b" ", 2)[1]), head + b"\r\n", body)


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return whole
        whole, body = whole + rest[:length], rest[length + 2 :]


def multipart(objects: Iterable[bytes]) -> bytes:
    """Part 10 objects as a multipart/related body."""
    parts = [b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (BOUNDARY.encode(), each) for each in objects]
    return b"".join(parts) + b"--%b--\r\n" % BOUNDARY.encode()


def parts_of(answer: requests.Response | RawAnswer) -> list[tuple[dict[str, str], bytes]]:
    """Headers (lower-case names) and payload of each part, cut strictly at the delimiters (RFC 2046 5.1.1)."""
    if isinstance(answer, RawAnswer):
        content_type, body = answer.header("Content-Type"), answer.body
    else:
        content_type, body = answer.headers["Content-Type"], answer.content
    assert content_type.startswith("multipart/related; type="), (content_type, body[:300])
    delimiter = b"--" + content_type.partition("boundary=")[2].encode()
    first, *pieces, last = body.split(delimiter)
    assert (first, last) == (b"", b"--\r\n")
    parts = []
    for piece in pieces:
        assert piece[:2] == piece[-2:] == b"\r\n"
        head, _, payload = piece[2:-2].partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode("ascii").split("\r\n"))
        parts.append(({name.lower(): text for name, _, text in lines}, payload))
    return parts


def fresh(name: str, **values: Any) -> Dataset:
    """A file that pydicom ships, under UIDs of its own and with ``values`` on top."""
    ds = dcmread(BytesIO(packaged(name)))
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = generate_uid(), generate_uid(), generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    for keyword, each in values.items():
        setattr(ds, keyword, each)
    return ds


def written(ds: Dataset) -> bytes:
    """``ds`` as a Part 10 object in the transfer syntax that its meta header names."""
    buffer = BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def problem_of(answer: requests.Response, status: int) -> dict[str, Any]:
    """The problem details (RFC 9457) of an answer that must have ``status``."""
    assert answer.status_code == status, (answer.status_code, answer.text[:300])
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.content)
    assert problem["status"] == status
    assert problem["title"]
    return problem


def value(answer: dict[str, Any], tag: str) -> Any:
    """The first value of an attribute of a DICOM JSON object; ``None`` if it is empty or absent."""
    return (answer.get(tag, {}).get("Value") or [None])[0]

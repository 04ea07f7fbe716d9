"""Just enough of S3 to see what is asked of it, and to play an archive that has to restore its objects."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESTORED = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2035 00:00:00 GMT"'


class RecordingS3(ThreadingHTTPServer):
    """``asked`` holds method, query and headers (lower case) of each request that writes; ``restore`` is the header of
    archived objects, "" before anybody has asked for them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.objects: dict[str, tuple[int, str, str]] = {}
        self.parts: dict[int, bytes] = {}
        self.restore = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RecordingS3

    def do_PUT(self) -> None:
        body = self._read()
        if "partNumber" in self.path:
            self.server.parts[int(self.path.partition("partNumber=")[2].partition("&")[0])] = body
        else:
            self._keep(len(body), b64encode(hashlib.sha256(body).digest()).decode(), self.headers)
        checksum = b64encode(hashlib.sha256(body).digest()).decode()
        self._say(200, {"ETag": '"1"', "x-amz-checksum-sha256": checksum})

    def do_POST(self) -> None:
        body = self._read()
        query = self.path.partition("?")[2]
        if query.startswith("uploads"):
            self._keep(0, "", self.headers)
            self._say(
                200, {}, b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            )
        elif query.startswith("restore"):
            self.server.restore = 'ongoing-request="true"'
            self._say(202, {})
        else:
            digests = [hashlib.sha256(part).digest() for _, part in sorted(self.server.parts.items())]
            whole = f"{b64encode(hashlib.sha256(b''.join(digests)).digest()).decode()}-{len(digests)}"
            name, (_, _, storage_class) = self.path.partition("?")[0], self.server.objects[self.path.partition("?")[0]]
            self.server.objects[name] = (sum(map(len, self.server.parts.values())), whole, storage_class)
            answer = f"<CompleteMultipartUploadResult><ETag>1</ETag><ChecksumSHA256>{whole}</ChecksumSHA256>"
            self._say(200, {}, f"{answer}</CompleteMultipartUploadResult>".encode() if body else b"")

    def do_HEAD(self) -> None:
        found = self.server.objects.get(self.path.partition("?")[0])
        if found is None:
            self._say(404, {})
            return
        size, checksum, storage_class = found
        headers = {"x-amz-checksum-sha256": checksum, "x-amz-storage-class": storage_class}
        if self.server.restore:
            headers["x-amz-restore"] = self.server.restore
        self._say(200, {name: value for name, value in headers.items() if value}, length=size)

    def _read(self) -> bytes:
        query = self.path.partition("?")[2]
        self.server.asked.append((self.command, query, {name.lower(): value for name, value in self.headers.items()}))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _keep(self, size: int, checksum: str, headers: Any) -> None:
        storage_class = headers.get("x-amz-storage-class", "")
        self.server.objects[self.path.partition("?")[0]] = (size, checksum, storage_class)

    def _say(self, status: int, headers: dict[str, str], content: bytes = b"", *, length: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass

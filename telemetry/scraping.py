"""``GET /metrics`` of a process that serves no HTTP otherwise: what it and its like counted, on a port of its own.

For hosts without a web server of ours, which tells of all processes of its host (a pod has one process). Gauges are not
told here: they are of the database, and the same wherever they are asked for.
"""

import hmac
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

from telemetry.exposition import CONTENT_TYPE, exposition

_log = logging.getLogger(__name__)
# For a whole request: one is answered after the other.
SECONDS: Final = 5.0


@contextmanager
def scraped(host: str, port: int, token: str) -> Iterator[None]:
    """While it lasts, whoever shows ``token`` as its Bearer token may scrape; with port 0, or without a token, nobody.

    A port that can't be had is told in the log, and no reason for the process not to do its work.
    """
    server = _listening(host, port, token) if port and token else None
    if server is None:
        yield
        return
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listening(host: str, port: int, token: str) -> "_Server | None":
    try:
        return _Server(host, port, token)
    except OSError as error:
        _log.warning("metrics can't be scraped on port %s: %s", port, error.strerror)
        return None


class _Server(HTTPServer):
    def __init__(self, host: str, port: int, token: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.expected = f"Bearer {token}".encode()
        super().__init__((host, port), _Request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that has gone is nobody's error."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = SECONDS

    def do_GET(self) -> None:
        """The counts of all processes that count into the folder of this one."""
        shown = self.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(shown, self.server.expected):
            self._answer(401, "text/plain", b"")
        elif self.path != "/metrics":
            self._answer(404, "text/plain", b"")
        else:
            self._answer(200, CONTENT_TYPE, exposition({}))

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Nobody needs to know of Python."""
        return "Lightbox"

    def log_message(self, *args: object) -> None:
        """Scrapes are no news."""

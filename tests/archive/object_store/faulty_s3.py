"""A real S3 server with a bad moment in front of it."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Between(ThreadingHTTPServer):
    """A server between the store and S3: passes requests on, except as `plan` says, one word a request."""

    daemon_threads = True

    def __init__(self, target: str, plan: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Between)
        self.target = target.removeprefix("http://").split(":")
        self.plan = plan
        # What is done with the path and the body of a PUT, whose answer is a plain 200.
        self.lie: Callable[[str, bytes], object] | None = None
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Between(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Between

    def _pass(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        plan = self.server.plan.pop(0) if self.server.plan else "pass"
        if plan == "503":
            self._say(503, [], b"")
            return
        if self.command == "PUT" and self.server.lie is not None:
            self.server.lie(self.path, body)
            plan = "lie"
        if plan == "lie":
            self._say(200, [("ETag", '"0"')], b"")
            return
        upstream = http.client.HTTPConnection(self.server.target[0], int(self.server.target[1]), timeout=20)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() != "expect":
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if plan == "lose":  # done, but nobody hears of it
            return
        if plan == "cut":
            content = content[: len(content) // 2]
        keep = [item for item in answer.getheaders() if item[0].lower() not in ("transfer-encoding", "connection")]
        if self.command != "HEAD" and plan != "cut":
            keep = [item for item in keep if item[0].lower() != "content-length"] + [
                ("Content-Length", str(len(content)))
            ]
        self.send_response_only(answer.status)
        for name, value in keep:
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass

    def _say(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in [*headers, ("Content-Length", str(len(content))), ("Connection", "close")]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass

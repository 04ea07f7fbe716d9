"""What a page did that it should not have done."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Error, Page, Request, Response


@dataclass  # without slots: playwright keeps its own wrapper of each bound method on the object
class Witness:
    """Hears a page: console errors, exceptions, failed requests, refusals, and calls to other hosts than `host`."""

    host: str
    complaints: list[str] = field(default_factory=list)
    requests: int = 0

    def follow(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", self._exception)
        page.on("request", self._request)
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def forget(self) -> None:
        """Start anew, for a page that is loaded again."""
        self.complaints.clear()
        self.requests = 0

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def _exception(self, error: Error) -> None:
        self.complaints.append(f"exception: {error}")

    def _request(self, request: Request) -> None:
        self.requests += 1
        address = urlsplit(request.url)
        # Not counted: blob:, data:, and chrome-extension:, which is the browser's own PDF viewer.
        if address.scheme in ("http", "https", "ws", "wss") and address.netloc != self.host:
            self.complaints.append(f"call to another host: {request.url}")

    def _failed(self, request: Request) -> None:
        self.complaints.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"refused: {response.status} {response.request.method} {response.url}")

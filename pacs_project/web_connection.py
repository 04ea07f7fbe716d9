"""A client's connection as the web worker keeps account of it."""

from typing import Any

from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn

from pacs_project.client_socket import ClientSocket
from pacs_project.request_head import HeadTooLarge, RequestHead, parse_head

# For so long a thread looks out for the next request of its client.
SOON = 0.004
PIECE = 16 * 1024


class _Request(Request):  # type: ignore[misc]
    """Proxies are believed by ``pacs_project.middleware``, here nobody is: no address needs to be looked at."""

    def _peer_trusted_for_forwarded(self) -> tuple[dict[str, str], list[str]]:
        return {}, []


class _Parser(RequestParser):  # type: ignore[misc]
    mesg_class = _Request


class Connection(TConn):  # type: ignore[misc]
    """The event loop owns it but while a thread handles its request."""

    sock: ClientSocket

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.parser = _Parser(cfg, sock, client)
        self.initialized = True
        self.data = bytearray()
        self.head: RequestHead | None = None
        # Its thread is for this one request.
        self.alone = False
        self.peer = client[0] if isinstance(client, tuple) else ""
        self.deadline = 0.0
        self.queued_at = 0.0
        self.drained = 0

    def next_comes_soon(self) -> bool:
        """Wait a moment for the next request; whether it is whole, and with the parser. What has come of any other is
        in ``data``. It saves two changes of threads for a client that asks one thing after another."""
        self.data += self.parser.unreader.take_buffered() or self.sock.take_soon(PIECE, SOON)
        try:
            head = parse_head(self.data)
        except HeadTooLarge:
            return False
        if head is None or head.length is None or len(self.data) - head.size < head.length:
            return False
        self.head = head
        self.parser.unreader.unread(bytes(self.data))
        self.data.clear()
        return True

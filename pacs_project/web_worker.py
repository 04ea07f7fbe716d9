"""gunicorn's threaded worker for clients that can't be trusted to be quick.

Its own gives a thread to a connection at the first byte and lets it wait without end: 32 sockets with half a request
line stop everything. Here the event loop reads heads and small bodies, and a thread gets what is whole. Which of them,
``admission`` decides; of what threads must wait for themselves, large bodies hold some of them, and a client that
doesn't read its answer loses its thread as soon as others wait for one. ``/livez`` has a thread of its own. A
connection that has become another protocol's (101) leaves for good, and whoever waits on it costs no thread here.
"""

import errno
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ
from socket import SHUT_WR, socket
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER

from pacs_project.admission import Admission, ticket
from pacs_project.client_socket import ClientSocket
from pacs_project.refusals import refusal, status_of
from pacs_project.request_head import HeadTooLarge, parse_head, without_expectation
from pacs_project.web_balance import SharingWorker
from pacs_project.web_connection import Connection

# Seconds for a head and a body of at most SMALL_BODY together. Forms and token requests are such bodies.
WHOLE_SECONDS = 10.0
SMALL_BODY = 64 * 1024
# Larger ones exist below this path only.
LARGE_BODIES_AT = re.compile(rb"(/share/[0-9a-f-]{36})?/dicom-web/")
# A request that has waited so long for a thread may have that of a client that has been stuck so long.
WAITED = 0.2
STUCK = 0.5
# An answer's connection is closed when the client has closed it, at the latest after this (RFC 9112 9.6).
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 << 20
# A body that nobody read is read away by the thread for so long, so that the connection can be kept.
DRAIN_SECONDS = 0.2
SPARE_CONNECTIONS = 16
TICK = 0.25
# The loop turns thousands of times a second; the arbiter is told, and time looked at, no more often than this.
NOTIFY_SECONDS, LOOK_SECONDS = 1.0, 0.05
PIECE = 16 * 1024


class WebWorker(SharingWorker):
    """See the module. Speaks HTTP/1 without TLS, which ends at a proxy."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spare = ThreadPoolExecutor(max_workers=1)
        # All but `running` belong to the event loop. Dictionaries for their order: the oldest comes first.
        self.unfinished: dict[Connection, None] = {}
        self.lingering: dict[Connection, None] = {}
        self.admission = Admission(self.cfg.threads)
        self.queued: dict[Connection, None] = {}
        self.running: set[Connection] = set()
        self.notified_at = self.looked_at = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker doesn't do."""
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise RuntimeError("TLS ends at a proxy: certfile and keyfile are not for this server")

    def run(self) -> None:
        """Serve; at the end let go of the threads that still wait for clients."""
        super().run()
        self.spare.shutdown(wait=False)
        for conn in list(self.running):
            conn.sock.abort()

    # --- new connections and whole requests

    def accept(self, listener: Any) -> None:
        """Take a connection; the oldest one that has not sent a whole request makes room."""
        if self.nr_conns + SPARE_CONNECTIONS >= self.worker_connections:
            self._give_up_oldest()
        try:
            accepted, address = self.take(listener)
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._give_up_oldest()
            return
        self.nr_conns += 1
        self._await_request(Connection(self.cfg, ClientSocket(accepted), address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Connection, client: socket) -> None:
        """The next request on a connection that was kept, or its end."""
        self.keepalived_conns.remove(conn)
        conn.head = None
        conn.deadline = time.monotonic() + WHOLE_SECONDS
        self.unfinished[conn] = None
        # The kernel watches it already, and its bytes are here.
        self.poller.modify(client, EVENT_READ, partial(self._on_bytes, conn))
        self._on_bytes(conn, client)

    def _await_request(self, conn: Connection) -> None:
        conn.head = None
        self._watch(conn, self.unfinished, WHOLE_SECONDS, self._on_bytes)
        if conn.data:
            self._look_at(conn)

    def _on_bytes(self, conn: Connection, _: socket) -> None:
        if conn not in self.unfinished:
            return
        try:
            data = conn.sock.take(PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        conn.data += data
        if data:
            self._look_at(conn)
        elif conn.head is not None:
            # A body that is shorter than announced: the application has an answer to that.
            self._unwatch(conn, self.unfinished)
            self._hand_over(conn)
        else:
            self._unwatch(conn, self.unfinished)
            self._drop(conn)

    def _look_at(self, conn: Connection) -> None:
        try:
            head = conn.head = conn.head or parse_head(conn.data)
        except HeadTooLarge:
            self._unwatch(conn, self.unfinished)
            return self._refuse(conn, 431)
        if head is None:
            return None
        if head.length is not None and head.length <= SMALL_BODY:
            if len(conn.data) - head.size < head.length:
                if head.asks_first:
                    self._send(conn, b"HTTP/1.1 100 Continue\r\n\r\n")
                    conn.head = without_expectation(conn.data, head)
                return None
            self._unwatch(conn, self.unfinished)
            return self._hand_over(conn)
        self._unwatch(conn, self.unfinished)
        if not LARGE_BODIES_AT.match(head.path):
            return self._refuse(conn, 411 if head.length is None else 413)
        return self._hand_over(conn, large=True)

    # --- threads

    def _hand_over(self, conn: Connection, *, large: bool = False) -> None:
        """Give a whole request, or one with a ``large`` body, to a thread, or let it wait for one."""
        conn.parser.unreader.unread(bytes(conn.data))
        conn.data.clear()
        conn.queued_at = time.monotonic()
        conn.alone = large or _is_probe(conn)
        if conn.head is None or _is_probe(conn):
            self._run_in(self.spare, conn)
        elif self.admission.enter(conn, ticket(conn.head, conn.peer, large=large), conn.queued_at):
            self.enqueue_req(conn)

    def enqueue_req(self, conn: Connection) -> None:
        """Give the connection to a thread."""
        self.queued[conn] = None
        self._run_in(self.tpool, conn)

    def _run_in(self, pool: ThreadPoolExecutor, conn: Connection) -> None:
        future = pool.submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def handle(self, conn: Connection) -> Any:
        """Handle the request, and those that come right behind it; runs in a thread."""
        self.queued.pop(conn, None)
        self.running.add(conn)
        kept: Any = True
        while kept is True:
            conn.sock.begin()
            kept = super().handle(conn)
            kept = conn.sock.flush() and kept
            if kept is not True or not self._goes_on(conn):
                break
        return kept

    def _goes_on(self, conn: Connection) -> bool:
        """Whether the next request is there, whole, before anybody else wants this thread: all else is the loop's."""
        ends = not self.alive or conn.alone or conn.sock.successor is not None
        return not ends and not self.queued and not self.admission.waiting and conn.next_comes_soon()

    def handle_error(self, req: Any, client: ClientSocket, addr: Any, exc: BaseException) -> None:
        """Answer what gunicorn can't read; its own answer is a page that repeats what was sent."""
        status = status_of(exc)
        if status == 500:
            self.log.exception("Error handling request")
        else:
            self.log.warning(f"Invalid request from ip={addr[0] if addr else ''}: refused")
        try:
            client.sendall(refusal(status))
        except OSError:
            self.log.debug("a client has gone before it was answered")

    def _keepalive_after(self, conn: Connection, keepalive: Any) -> bool:
        return bool(keepalive) and bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Keep the connection or close it, without ever waiting for the client."""
        self.queued.pop(conn, None)
        self.running.discard(conn)
        for following in self.admission.leave(conn):
            self.enqueue_req(following)
        keep = not fs.cancelled() and fs.exception() is None and fs.result() is True
        if conn.sock.aborted or not keep:
            self._linger(conn)
            return
        if (successor := conn.sock.successor) is not None:
            self.nr_conns -= 1
            successor(conn.sock.released(), conn.parser.unreader.take_buffered())
            return
        conn.data += conn.parser.unreader.take_buffered()
        if conn.data:
            self._await_request(conn)
            return
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))

    # --- time

    def notify(self) -> None:
        """Tell the arbiter that this worker lives, once a second and not in each turn of the loop."""
        now = time.monotonic()
        if now - self.notified_at >= NOTIFY_SECONDS:
            self.notified_at = now
            super().notify()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """As gunicorn's, more often while somebody waits."""
        somebody = self.unfinished or self.lingering or self.queued or self.admission.waiting
        super().wait_for_and_dispatch_events(min(timeout, TICK) if somebody else timeout)

    def murder_pending(self) -> None:
        """What gunicorn calls in each turn of its loop: whose time is over, who must make room."""
        now = time.monotonic()
        if self.alive and now - self.looked_at < LOOK_SECONDS:
            return
        self.looked_at = now
        # When stopping, nobody is waited for who has not begun.
        for conn in _over(self.unfinished, now) or ([] if self.alive else [c for c in self.unfinished if not c.data]):
            self._unwatch(conn, self.unfinished)
            if conn.data:
                self._refuse(conn, 408)
            else:
                self._drop(conn)
        for conn in _over(self.lingering, now):
            self._unwatch(conn, self.lingering)
            self._drop(conn)
        for conn, status in self.admission.late(now):
            self._refuse(conn, status)
        wanting = self.admission.wanting(now, WAITED)
        wanting[None] += sum(now - conn.queued_at > WAITED for conn in list(self.queued))
        self._make_room(wanting, now)

    def _make_room(self, wanting: Counter[bytes | None], now: float) -> None:
        """Give up who is stuck, longest first: for a client with its share its own, for the probes whoever it is."""
        stuck = sorted(((conn.sock.held_up(now), conn) for conn in list(self.running)), key=lambda it: -it[0])
        for seconds, conn in stuck:
            own = self.admission.client_of(conn)
            whose = own if wanting[own] > 0 else None
            if seconds > STUCK and (wanting[whose] > 0 or _is_probe(conn)):
                wanting[whose] -= 1
                conn.sock.abort()

    # --- ends

    def _refuse(self, conn: Connection, status: int) -> None:
        self._send(conn, refusal(status))
        self._linger(conn)

    def _send(self, conn: Connection, data: bytes) -> None:
        """A few bytes, which always fit; a client that has gone isn't told."""
        try:
            conn.sock.send(data)
        except OSError:
            self.log.debug("a client has gone before it was answered")

    def _linger(self, conn: Connection) -> None:
        """Close in the way that lets the client read the answer; gunicorn's own would stop the event loop."""
        try:
            conn.sock.shutdown(SHUT_WR)
        except OSError:
            return self._drop(conn)
        return self._watch(conn, self.lingering, LINGER_SECONDS, self._on_late_bytes)

    def _on_late_bytes(self, conn: Connection, _: socket) -> None:
        if conn not in self.lingering:
            return
        try:
            data = conn.sock.take(PIECE * 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        conn.drained += len(data)
        if not data or conn.drained > LINGER_BYTES:
            self._unwatch(conn, self.lingering)
            self._drop(conn)

    def _give_up_oldest(self) -> None:
        conn = next(iter(self.unfinished), None)
        if conn is not None:
            self._unwatch(conn, self.unfinished)
            self._drop(conn)

    def _drop(self, conn: Connection) -> None:
        self.nr_conns -= 1
        conn.close()

    def _watch(
        self,
        conn: Connection,
        among: dict[Connection, None],
        seconds: float,
        then: Callable[[Connection, socket], None],
    ) -> None:
        conn.deadline = time.monotonic() + seconds
        among[conn] = None
        self.poller.register(conn.sock, EVENT_READ, partial(then, conn))

    def _unwatch(self, conn: Connection, among: dict[Connection, None]) -> None:
        del among[conn]
        self.poller.unregister(conn.sock)


def _is_probe(conn: Connection) -> bool:
    return conn.head is not None and conn.head.path == b"/livez"


def _over(among: dict[Connection, None], now: float) -> list[Connection]:
    """Those whose time is over; each of these has the same time, so the oldest come first."""
    found = []
    for conn in among:
        if conn.deadline > now:
            break
        found.append(conn)
    return found

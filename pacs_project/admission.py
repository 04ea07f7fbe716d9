"""Which of the whole requests get a thread, and which wait: no client and no kind of request takes all of them.

A request has a client (who asks, as the head says it, before anybody has looked whether that is true) and a kind. Each
of both has at most its share of the threads. Who doesn't fit waits, the clients in turn, and is refused after
``WAIT_SECONDS`` with 429 or 503 and ``Retry-After``: better than an answer that comes when nobody waits any more. It
all belongs to the event loop, and costs some counting.
"""

import re
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pacs_project.request_head import RequestHead

WAIT_SECONDS: Final = 10.0
# The last eighth of the threads is for clients that have fewer than the others.
KEPT_BACK: Final = 8
# Handed to the threads beyond their number, so that one which is done finds the next at once.
AHEAD: Final = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request, and how many of 32 threads it may have at the same time."""

    name: str
    of_32: int

    def places(self, threads: int) -> int:
        """How many of so many threads."""
        return max(1, self.of_32 * threads // 32)


# Large bodies wait for the client, pictures for processors, searches for the database; the rest is quick.
BODIES: Final = Kind("bodies", 12)
PICTURES: Final = Kind("pictures", 20)
SEARCHES: Final = Kind("searches", 20)
OTHERS: Final = Kind("others", 32)
_PATHS: Final = re.compile(
    rb"/(?:(?P<pictures>rendered|thumbnail)|(?P<searches>studies|series|instances|workitems|changefeed))$"
)
_BY_NAME: Final = {"pictures": PICTURES, "searches": SEARCHES}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What counts of a request."""

    client: bytes
    kind: Kind


def ticket(head: RequestHead, peer: str, *, large: bool) -> Ticket:
    """Of a request: by its credentials, without any by its address, behind a proxy by that which the proxy saw."""
    found = None if large else _PATHS.search(head.path)
    kind = BODIES if large else _BY_NAME[found.lastgroup or ""] if found else OTHERS
    return Ticket(head.client or peer.encode(), kind)


def _share(places: int) -> int:
    """How many of them one client may have."""
    return places - places // KEPT_BACK


class Admission:
    """The threads of one process, and who waits for them. A connection is anything that can be a key."""

    def __init__(self, threads: int) -> None:
        self._places = threads + AHEAD
        self._of_client = _share(threads)
        self._threads = threads
        self._inside: dict[Any, Ticket] = {}
        self._clients: Counter[bytes] = Counter()
        self._kinds: Counter[Kind] = Counter()
        self._of_both: Counter[Ticket] = Counter()
        # Each has its own row; the rows come in turn.
        self._rows: OrderedDict[Ticket, deque[tuple[Any, float]]] = OrderedDict()

    @property
    def waiting(self) -> bool:
        """Whether anybody waits."""
        return bool(self._rows)

    def enter(self, conn: Any, ticket: Ticket, now: float) -> bool:
        """Whether the request may have a thread now; otherwise it waits."""
        if ticket not in self._rows and self._fits(ticket):
            self._take(conn, ticket)
            return True
        self._rows.setdefault(ticket, deque()).append((conn, now))
        return False

    def leave(self, conn: Any) -> Iterator[Any]:
        """A request is done; those that may have a thread now."""
        ticket = self._inside.pop(conn, None)
        if ticket is None:
            return
        self._kinds[ticket.kind] -= 1
        self._clients[ticket.client] -= 1
        self._of_both[ticket] -= 1
        # Clients come and go.
        if not self._clients[ticket.client]:
            del self._clients[ticket.client]
        if not self._of_both[ticket]:
            del self._of_both[ticket]
        while (row := next((row for row in self._rows if self._fits(row)), None)) is not None:
            following, _ = self._rows[row].popleft()
            if self._rows[row]:
                self._rows.move_to_end(row)
            else:
                del self._rows[row]
            self._take(following, row)
            yield following

    def late(self, now: float) -> Iterator[tuple[Any, int]]:
        """Those that have waited for too long, no longer among the waiting, and the status that says why."""
        for row in list(self._rows):
            of_row = self._rows[row]
            status = 429 if self._has_its_share(row) else 503
            while of_row and now - of_row[0][1] > WAIT_SECONDS:
                yield of_row.popleft()[0], status
            if not of_row:
                del self._rows[row]

    def wanting(self, now: float, seconds: float) -> Counter[bytes | None]:
        """How many have waited for so long for a thread: for anybody's (None), or, of a client that has its share, for
        one of its own. Who waits for the turn of their kind isn't among them."""
        found: Counter[bytes | None] = Counter()
        for row, of_row in self._rows.items():
            if self._kind_fits(row):
                whose = row.client if self._clients[row.client] >= self._of_client else None
                found[whose] += sum(now - since > seconds for _, since in of_row)
        return found

    def client_of(self, conn: Any) -> bytes | None:
        """Whose request has a thread; None for none that was let in here."""
        ticket = self._inside.get(conn)
        return None if ticket is None else ticket.client

    def _fits(self, ticket: Ticket) -> bool:
        return (
            len(self._inside) < self._places
            and self._clients[ticket.client] < self._of_client
            and self._kind_fits(ticket)
        )

    def _has_its_share(self, ticket: Ticket) -> bool:
        own = _share(ticket.kind.places(self._threads))
        return self._clients[ticket.client] >= self._of_client or self._of_both[ticket] >= own

    def _kind_fits(self, ticket: Ticket) -> bool:
        if ticket.kind is OTHERS:
            return True
        places = ticket.kind.places(self._threads)
        return self._kinds[ticket.kind] < places and self._of_both[ticket] < _share(places)

    def _take(self, conn: Any, ticket: Ticket) -> None:
        self._inside[conn] = ticket
        self._clients[ticket.client] += 1
        self._kinds[ticket.kind] += 1
        self._of_both[ticket] += 1

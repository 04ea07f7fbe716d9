"""The event channels of this process: one thread tells all subscribers what there is (PS3.18 8.10.4, 8.10.5).

Events are rows (``workitems.events``), so that a channel holds next to nothing: where it is in its numbers,
and what of one batch its socket has not taken yet. Whoever reads slowly is simply read to later; whoever doesn't read
is let go, and begins again where it was. Who it is, and what it may see, is asked anew for each batch.

After each batch goes a ping with the number of its last event. The answer says that all before it has arrived, with any
WebSocket library; what was never confirmed is sent again to the next channel.
"""

import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from wsproto.frame_protocol import CloseReason

from access.again import Credentials, still
from access.policy import withheld
from access.principal import Principal
from access.roles import Permission
from dicomweb.attribute_filter import without
from dicomweb.event_listener import EventListener
from dicomweb.websocket import Gone, WebSocket
from workitems.events import News, after, last_numbers, received
from workitems.reach import visible_workitems

log: Final = logging.getLogger(__name__)
BATCH: Final = 100
TICK: Final = 1.0
# What notifications don't tell, the rows do: looked at so often.
LOOK_SECONDS: Final = 5.0
ENDED: Final = "the credentials don't count any more"
FULL: Final = "too many channels"


@dataclass(frozen=True, slots=True)
class Opening:
    """A channel that was allowed: of the subscriber with this key, from behind event ``number`` on."""

    subscriber: int
    holder: str
    number: int
    credentials: Credentials


@dataclass(slots=True, eq=False)
class Channel:
    """One that is open. ``due``: there may be events behind ``number``."""

    opening: Opening
    web: WebSocket
    number: int
    confirmed: int
    due: bool = True
    pinged_at: float = field(default_factory=time.monotonic)


class Channels:
    """All of this process, with their thread."""

    def __init__(self) -> None:
        self._new: deque[Channel] = deque()
        self._open: dict[Channel, None] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = EventListener()
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopping = False
        self._looked_at = self._ticked_at = 0.0
        self._thread = threading.Thread(target=self._run, name="event channels", daemon=True)
        self._thread.start()

    def has_room(self, holder: str) -> bool:
        """Whether one more of this holder may be opened."""
        limits = settings.PACS.workitems
        there = [*self._open, *self._new]
        of_holder = sum(channel.opening.holder == holder for channel in there)
        return len(there) < limits.channels and of_holder < limits.channels_each

    def attach(self, opening: Opening, sock: socket.socket, data: bytes) -> None:
        """Take over a connection after the answer 101; ``data`` came behind the request."""
        web = WebSocket(sock, data)
        if not self.has_room(opening.holder):
            web.close(CloseReason.TRY_AGAIN_LATER, FULL)
        self._new.append(Channel(opening, web, opening.number, opening.number))
        self._wake()

    def stop(self, seconds: float) -> None:
        """Say goodbye to everybody; the thread ends."""
        self._stopping = True
        self._wake()
        self._thread.join(seconds)

    # --- the thread

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._turn()
            except Exception:
                log.exception("a turn of the event channels failed")
                time.sleep(TICK)
        for channel in [*self._open, *self._new]:
            channel.web.close(CloseReason.GOING_AWAY)
            self._flush(channel)
            channel.web.drop()
        self._listener.close()
        connection.close()

    def _turn(self) -> None:
        for key, mask in self._selector.select(0 if self._ready() else TICK):
            if isinstance(key.data, Channel):
                self._step(key.data, partial(self._on_socket, key.data, mask))
            elif key.data is self._listener:
                self._on_news()
            else:
                os.read(self._woken, 4096)
        while self._new:
            channel = self._new.popleft()
            self._step(channel, partial(self._begin, channel))
        now = time.monotonic()
        if now - self._ticked_at >= TICK:
            self._ticked_at = now
            for channel in list(self._open):
                self._step(channel, partial(self._look_after, channel, now))
        if self._open and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look()
        for channel in self._ready():
            self._step(channel, partial(self._deliver, channel))

    def _step(self, channel: Channel, step: Callable[[], None]) -> None:
        """Something for one channel. What goes wrong with it ends it, and is not the others' trouble."""
        try:
            step()
        except Exception:
            log.exception("an event channel failed and is closed")
            self._end(channel)

    def _ready(self) -> list[Channel]:
        """Those that take the next batch, if there is one."""
        return [channel for channel in self._open if channel.due and not channel.web.has_unsent]

    def _begin(self, channel: Channel) -> None:
        self._selector.register(channel.web, selectors.EVENT_READ, channel)
        self._open[channel] = None
        self._listen()
        try:
            self._confirm(channel, channel.web.take())
        except Gone:
            self._end(channel)
            return
        self._flush(channel)

    def _on_socket(self, channel: Channel, mask: int) -> None:
        if channel not in self._open:
            return
        if mask & selectors.EVENT_READ:
            try:
                self._confirm(channel, channel.web.receive())
            except Gone:
                self._end(channel)
                return
        self._flush(channel)

    def _on_news(self) -> None:
        keys = self._listener.taken()
        if keys is None:
            self._forget_listener()
            return
        for channel in self._open:
            channel.due = channel.due or channel.opening.subscriber in keys

    def _look_after(self, channel: Channel, now: float) -> None:
        limits = settings.PACS.workitems
        if channel.web.is_overdue(now, silence=limits.ping_seconds * 2.5, stalled=limits.stalled_seconds):
            self._end(channel)
        elif channel.web.closing_since is None and now - channel.pinged_at >= limits.ping_seconds:
            self._ping(channel)
            try:
                self._ask(channel)
            except (DatabaseError, InterfaceError) as error:
                self._failed(error)
            self._flush(channel)

    def _look(self) -> None:
        """Find what nobody told of."""
        self._listen()
        try:
            close_old_connections()
            numbers = last_numbers({channel.opening.subscriber for channel in self._open})
        except (DatabaseError, InterfaceError) as error:
            self._failed(error)
            return
        for channel in self._open:
            channel.due = channel.due or numbers.get(channel.opening.subscriber, 0) > channel.number

    def _deliver(self, channel: Channel) -> None:
        """One batch to a channel whose socket has taken the one before."""
        if channel.web.closing_since is not None:
            channel.due = False
            return
        try:
            close_old_connections()
            news = after(channel.opening.subscriber, channel.number, BATCH)
            principal = self._ask(channel) if news else None
            heard = _heard(principal, news) if principal else frozenset()
        except (DatabaseError, InterfaceError) as error:
            channel.due = False  # until the next look
            self._failed(error)
            return
        channel.due = len(news) == BATCH
        if news and principal is not None:
            hidden = withheld(principal, Permission.WORKITEMS_READ)
            for each in news:
                if each.workitem is None or each.workitem in heard:
                    channel.web.send(without(orjson.dumps(each.data_set), hidden).decode())
            channel.number = news[-1].number
            self._ping(channel)
        self._flush(channel)

    def _ask(self, channel: Channel) -> Principal | None:
        """Who it is now; a channel whose credentials have ended is closed."""
        principal = still(channel.opening.credentials)
        if principal is None or principal.id != channel.opening.holder:
            channel.web.close(CloseReason.POLICY_VIOLATION, ENDED)
            return None
        return principal

    def _ping(self, channel: Channel) -> None:
        channel.pinged_at = time.monotonic()
        channel.web.ping(str(channel.number).encode())

    def _confirm(self, channel: Channel, pongs: list[bytes]) -> None:
        numbers = [int(pong) for pong in pongs if pong.isdigit() and len(pong) < 20]
        number = max((number for number in numbers if number <= channel.number), default=0)
        if number > channel.confirmed:
            channel.confirmed = number
            try:
                received(channel.opening.subscriber, number)
            except (DatabaseError, InterfaceError) as error:
                self._failed(error)

    def _flush(self, channel: Channel) -> None:
        try:
            channel.web.flush()
        except Gone:
            self._end(channel)
            return
        if channel in self._open:
            writing = selectors.EVENT_WRITE if channel.web.has_unsent else 0
            self._selector.modify(channel.web, selectors.EVENT_READ | writing, channel)

    def _end(self, channel: Channel) -> None:
        if channel in self._open:
            del self._open[channel]
            self._selector.unregister(channel.web)
        channel.web.drop()

    # --- the database

    def _listen(self) -> None:
        if self._listener.connect():
            self._selector.register(self._listener.fileno(), selectors.EVENT_READ, self._listener)

    def _forget_listener(self) -> None:
        """Its socket is closed, so that the selector can't be asked by its number."""
        for key in list(self._selector.get_map().values()):
            if key.data is self._listener:
                self._selector.unregister(key.fileobj)

    def _failed(self, error: Exception) -> None:
        log.warning("event channels can't be served now (%s); trying again", type(error).__name__)
        connection.close()

    def _wake(self) -> None:
        os.write(self._waker, b".")


def _heard(principal: Principal, news: Sequence[News]) -> frozenset[int]:
    """The workitems among those of ``news`` that the principal may see at this moment."""
    keys = {each.workitem for each in news if each.workitem is not None}
    found = visible_workitems(principal, Permission.WORKITEMS_READ).filter(pk__in=keys)
    return frozenset(found.values_list("pk", flat=True))


_made: Channels | None = None
_making: Final = threading.Lock()


def channels() -> Channels:
    """Those of this process; their thread begins with the first question."""
    global _made
    with _making:
        if _made is None:
            _made = Channels()
        return _made


def stop(seconds: float = 2.0) -> None:
    """Close what is open, before the process ends."""
    if _made is not None:
        _made.stop(seconds)

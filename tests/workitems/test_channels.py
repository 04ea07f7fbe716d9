"""The thread that serves all event channels of a process, with a socket for each client."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from django.db import connection
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from access.again import Credentials
from access.middleware import SIGNED_IN_AT
from access.models import User
from dicomweb.channels import Channels, Opening
from tests.dicomweb.conftest import Door, door_for
from tests.workitems.watchers import claimed, made
from workitems.models import WorkItem
from workitems.subscription_models import Subscriber
from workitems.subscriptions import Entity, subscribe

__all__ = ["door_for"]


def _signed_in(door: Door) -> Credentials:
    session = door.http.session
    session[SIGNED_IN_AT] = time.time()
    session.save()
    return Credentials({"REQUEST_METHOD": "GET"}, "/dicom-web/subscribers/X", session.session_key or "", {})


def _first_message(client: socket.socket) -> str:
    client.settimeout(60)
    protocol = Connection(ConnectionType.CLIENT)
    while data := client.recv(1 << 16):
        protocol.receive_data(data)
        for event in protocol.events():
            if isinstance(event, TextMessage):
                return event.data
    return ""


@pytest.mark.django_db(transaction=True)
def test_a_channel_that_fails_ends_and_keeps_nobody_waiting(door_for: Callable[..., Door]) -> None:
    door = door_for("technologist")
    holder = str(User.objects.get().external_id)
    item = made()
    subscribers = []
    for title in ("BAD", "GOOD"):
        subscribe(Entity(title, holder), WorkItem.objects.all(), item.uid, deletion_lock=False)
        subscribers.append(Subscriber.objects.get(ae_title=title).pk)
    claimed(item)
    # A header that nothing can read stands for whatever goes wrong when it is asked who this is.
    broken = Credentials({"HTTP_AUTHORIZATION": 5}, "/", "", {})  # type: ignore[dict-item]
    channels = Channels()
    clients = []
    try:
        for subscriber, credentials in zip(subscribers, (broken, _signed_in(door)), strict=True):
            ours, client = socket.socketpair()
            ours.setblocking(False)
            clients.append(client)
            channels.attach(Opening(subscriber, holder, 0, credentials), ours, b"")
        assert item.uid in _first_message(clients[1])
        assert _first_message(clients[0]) == ""
    finally:
        channels.stop(60)
        for client in clients:
            client.close()
        connection.close()

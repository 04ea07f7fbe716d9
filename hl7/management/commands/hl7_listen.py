"""Take HL7 messages over MLLP until told to stop."""

import asyncio
import logging
import signal
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections

from hl7.acknowledgement import Answers
from hl7.interfaces import Peer
from hl7.listener import Listener, tls_context
from hl7.listening import EVERY_SECONDS, tell
from hl7.models import Hl7Interface
from hl7.receive import receive
from telemetry.scraping import scraped

log = logging.getLogger("hl7.listener")
FIRST = "loopback"


class Command(BaseCommand):
    """``manage.py hl7_listen``: one process; where it listens and whom it serves is set by ``PACS_HL7__...``."""

    help = "Takes HL7 v2 messages over MLLP, plain and over TLS, until it is told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until SIGTERM or SIGINT; messages at work are finished and answered."""
        hl7 = settings.PACS.hl7
        if not (hl7.port or hl7.tls_port):
            raise CommandError("neither PACS_HL7__PORT nor PACS_HL7__TLS_PORT is set")
        try:
            tls = tls_context(str(hl7.certificate), str(hl7.key), str(hl7.ca_file)) if hl7.tls_port else None
        except OSError as error:
            raise CommandError("the certificate, key or CA file of the TLS port can't be read") from error
        if is_loopback(hl7.host):
            first_interface()
        try:
            how = settings.PACS.metrics
            with scraped(how.host, how.port, how.token.get_secret_value()):
                asyncio.run(serve(Listener(hl7, answer, tls)))
        except OSError as error:
            raise CommandError(f"cannot listen: {error.strerror}") from error


async def serve(listener: Listener) -> None:
    """Until a signal to end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    ports = await listener.start()
    log.info("listening on %s", ", ".join(str(port) for port in ports))
    telling = asyncio.create_task(tell_again_and_again(listener))
    await stop.wait()
    telling.cancel()
    await listener.close()


async def tell_again_and_again(listener: Listener) -> None:
    """How many connections are open, for the page of interfaces."""
    while True:
        await asyncio.to_thread(tell, listener.connections)
        await asyncio.sleep(EVERY_SECONDS)


def answer(raw: bytes, peer: Peer) -> Answers:
    """Apply one message in this thread, with a database connection that is still good."""
    close_old_connections()
    return receive(raw, peer)


def first_interface() -> None:
    """Where only this machine can reach us, any sender is known as long as nobody was named; see ``hl7_interface``."""
    if not Hl7Interface.objects.exists():
        Hl7Interface.objects.create(name=FIRST)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

"""Hand the outbox's due tasks to the workers, for ever; clear away now and then what dead processes left behind.

The trail is sealed, sent and watched here as well (``RELAY_THREADS``): in threads of
their own, because the broker may be away for long.
"""

import logging
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection
from django.utils.module_loading import import_string

from archive.object_store import ObjectStoreError, object_store
from archive.outbox import PERIODIC, RUN_OUTBOX_ENTRY, SWEEP, Wish, mind_the_clock, relay_once, wish
from audit.record import AuditUnavailable
from telemetry.scraping import scraped

log = logging.getLogger("archive.outbox")

PAUSE = 0.5
LONGEST_IDLE = 2.0
LONGEST_PAUSE = 10.0
CLOCK_EVERY = 60.0
CLEAR_EVERY = 6 * 3600.0
UPKEEP_EVERY = 24 * 3600.0
# Longer than any upload takes: on S3 age is all that tells a dead one from one that is still going on.
ABANDONED_AFTER = 24 * 3600.0


class Command(BaseCommand):
    """``manage.py relay_outbox``: one process, or several; they don't disturb each other."""

    help = "Hands tasks from the outbox to the Celery workers until it is told to stop."
    # They import every view, which takes as much memory as all else here; whoever migrates has made them.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """``--once`` empties what is due and ends."""
        parser.add_argument("--once", action="store_true", help="relay what is due now, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Relay until SIGTERM or SIGINT; an outage of the broker or the database only slows it."""
        stop = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: stop.set())
        if options["once"]:
            self.relay(stop, once=True)
        else:
            how = settings.PACS.metrics
            with ExitStack() as threads, scraped(how.host, how.port, how.token.get_secret_value()):
                for name in settings.RELAY_THREADS:
                    threads.enter_context(import_string(name)(stop))
                self.relay(stop)

    def relay(self, stop: threading.Event, *, once: bool = False) -> None:
        """The turns of the relay."""
        pause = PAUSE
        clear_at = upkeep_at = clock_at = time.monotonic()
        while not stop.is_set():
            if time.monotonic() >= clock_at:
                clock_at = time.monotonic() + CLOCK_EVERY
                look_at_the_clock()
            if time.monotonic() >= clear_at:
                clear_at = time.monotonic() + CLEAR_EVERY
                clear_abandoned()
                wish_sweep()
            if time.monotonic() >= upkeep_at:
                upkeep_at = time.monotonic() + UPKEEP_EVERY
                upkeep()
            pause = relay(pause)
            if once and pause:
                return
            stop.wait(pause)


def relay(pause: float) -> float:
    """One turn; the seconds to wait before the next one, longer after each that had nothing to do, or failed."""
    longer = max(PAUSE, pause * 2)
    try:
        return 0.0 if relay_once(send_to_worker) else min(LONGEST_IDLE, longer)
    except (DatabaseError, InterfaceError):
        log.warning("the database is away; trying again")
        connection.close()
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the relay goes on
        log.warning("the broker is away (%s); trying again", type(error).__name__)
    return min(LONGEST_PAUSE, longer)


def send_to_worker(entry_ids: Sequence[int]) -> None:
    """Give entries to a worker; raises at once when the broker can't be reached."""
    # By its name: what the tasks need (codecs above all) takes 30 MB, and here nobody runs them.
    current_app.send_task(RUN_OUTBOX_ENTRY, tuple(entry_ids), retry=False)


def clear_abandoned() -> None:
    """Remove uploads that their process did not live to finish."""
    try:
        removed = object_store().clear_staging(ABANDONED_AFTER)
    except ObjectStoreError as error:
        log.warning("abandoned uploads could not be cleared away: %s", error)
        return
    if removed:
        log.info("%s abandoned uploads cleared away", removed)


def wish_sweep() -> None:
    """Let a worker remove what was deleted long enough ago."""
    try:
        wish([Wish(SWEEP, "all"), *(each for periodic in PERIODIC for each in periodic())])
    except (DatabaseError, InterfaceError):
        log.warning("the database is away; the sweep comes with the next turn")
        connection.close()


def look_at_the_clock() -> None:
    """Whether it was put back since."""
    try:
        mind_the_clock()
    except (DatabaseError, InterfaceError):
        log.warning("the database is away; the clock is looked at again in a minute")
        connection.close()


def upkeep() -> None:
    """Remove what has ended elsewhere: the commands ``upkeep`` and ``prune`` know what that is."""
    try:
        call_command("upkeep")
        call_command("prune")
    except AuditUnavailable:
        log.warning("the access trail can't be written; the upkeep comes tomorrow")
    except (DatabaseError, InterfaceError):
        log.warning("the database is away; the upkeep comes tomorrow")
        connection.close()

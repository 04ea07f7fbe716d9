"""What the trail runs beside the relay: the sender of syslog, and the watch that looks for what is unusual."""

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.conf import settings

from audit.sender import Sender
from audit.syslog import Receiver
from trail.subjects import source, subjects
from trail.watch import Watch


def syslog(stop: threading.Event) -> AbstractContextManager[Any]:
    """The sender; nothing where no receiver is set."""
    wanted = settings.PACS.syslog
    if not wanted.host:
        return nullcontext()
    receiver = Receiver(wanted.host, wanted.port, wanted.ca_file, wanted.certificate, wanted.key)
    return Sender(stop, receiver, source(), subjects)


def watch(stop: threading.Event) -> AbstractContextManager[Any]:
    """The watch."""
    return Watch(stop)

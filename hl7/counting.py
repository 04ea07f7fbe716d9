"""What is counted of the messages that come (``telemetry.metrics``): by interface, type and answer."""

import re
from typing import Final

from hl7.acknowledgement import Answers
from hl7.handlers import HANDLERS
from hl7.models import Hl7Message
from telemetry.metrics import HL7_IN, HL7_SECONDS

_TYPES: Final = frozenset(kind for kind, _ in HANDLERS)
_ACK: Final = re.compile(rb"\rMSA.([ACER]{2})")


def count(kept: Hl7Message, kind: str, given: Answers, seconds: float) -> None:
    """A message was answered. What senders write is no label: a type that isn't taken is "other"."""
    interface = kept.interface.name if kept.interface is not None else "unknown"
    found = _ACK.search(given.now or b"")
    HL7_IN.labels(interface, kind if kind in _TYPES else "other", found[1].decode() if found else "none").inc()
    HL7_SECONDS.observe(seconds)

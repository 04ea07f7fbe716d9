"""A thread of the relay: emergency accesses whose time is over get their event, and new ones are told."""

from typing import Final

from access.alerts import tell_of_emergencies
from access.emergency import write_down_expired
from audit.companion import Companion

PAUSE: Final = 2.0


class EmergencyWatch(Companion):
    """Looks every two seconds.

    What it does late is late in the trail only: an emergency access ends by its own time. It needs no position: what
    nobody wrote down or was told of is known from the row of the access.
    """

    name = "emergencies"
    failing = "emergency accesses can't be looked at"
    pause = PAUSE

    def work(self) -> None:
        """Once."""
        write_down_expired()
        tell_of_emergencies()

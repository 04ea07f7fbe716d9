"""A thread of the relay: claims that lapse are told of, and what is over is removed."""

from typing import Final

from audit.companion import Companion
from workitems.leases import tell_of_lapsed
from workitems.upkeep import remove_ended, remove_events

PAUSE: Final = 15.0


class WorkItemWatch(Companion):
    """Looks every quarter of a minute; what there is to do is known from the rows."""

    name = "workitems"
    failing = "workitems can't be looked after"
    pause = PAUSE

    def work(self) -> None:
        """Once."""
        tell_of_lapsed()
        remove_ended()
        remove_events()

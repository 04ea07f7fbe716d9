"""Whose requests are likely to look up what their address names: whoever did so last time, and may see everything.

For them the look-up goes along with the question who they are. Nobody else has anything looked up before it is known
who asks: not even the time of an answer may tell a stranger what is stored.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase

from archive.locate import Address, whole_look_up
from audit.expected import expecting

MOST: Final = 1024
_NAMES: Final = ("study", "series", "instance")


class LookAhead:
    """Remembers, of the last ``MOST`` bearers, hashes of this process alone; what it remembers permits nothing."""

    def __init__(self) -> None:
        self._likely: OrderedDict[int, None] = OrderedDict()
        self._lock = Lock()

    def answer(
        self, request: HttpRequest, kind: str, kwargs: dict[str, Any], answer: Callable[[HttpRequest], HttpResponseBase]
    ) -> HttpResponseBase:
        """``answer``, which is likely to look up ``kind``, "instances" or "series", at the address in ``kwargs``."""
        who = hash(request.META["HTTP_AUTHORIZATION"])
        statement = whole_look_up(kind, Address(*(kwargs.get(name) for name in _NAMES)))  # type: ignore[arg-type]
        send = who in self._likely
        with expecting(*statement, send=send) as expected:
            response = answer(request)
            if expected.was_asked != send:
                self._remember(who, likely=expected.was_asked)
        return response

    def _remember(self, who: int, *, likely: bool) -> None:
        with self._lock:
            self._likely.pop(who, None)
            if likely:
                self._likely[who] = None
            while len(self._likely) > MOST:
                self._likely.popitem(last=False)

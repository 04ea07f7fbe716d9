"""While the archive is read-only, whoever wants to change something is told so: 503, before anything is read."""

import re
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from access.retrying import retry_after
from custody.modes.read_only import read_only
from pacs_project.errors import answer

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Who reads must be able to sign in, to prove who they are, to leave, and to open a patient in an emergency.
_ALWAYS: Final = re.compile(
    r"/(accounts/|account/(confirm$|sessions/)|oauth/|share/token$|s/open$|emergency/|api/emergency-access)"
)


class ReadOnlyMode:
    """Middleware before all doors. A deletion is taken while it is the disk that lacks room."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass on what only reads, and everything while changes are welcome."""
        if request.method in _SAFE or _ALWAYS.match(request.path_info):
            return self.get_response(request)
        mode = read_only()
        if mode is None or (mode.by == "disk" and request.method == "DELETE"):
            return self.get_response(request)
        response = answer(request, 503, mode.text)
        response["Retry-After"] = retry_after()
        return response

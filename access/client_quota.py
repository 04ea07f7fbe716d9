"""How much a client has stored of late, and whether that is as much as it may."""

import time
from collections.abc import Mapping
from datetime import timedelta
from threading import Lock
from typing import Final

from django.db.models import Sum
from django.utils import timezone

from access.principal import Principal
from archive.errors import ArchiveFull
from audit.kinds import STORE
from audit.models import AccessEvent

DAYS: Final = 30
SECONDS: Final = 30.0
_lock: Final = Lock()
_known: Final[dict[str, tuple[int, float]]] = {}


def stored_by(client: str) -> int:
    """Bytes that the client with this id has stored in the last days, by the access trail."""
    since = timezone.now() - timedelta(days=DAYS)
    rows = AccessEvent.objects.filter(kind=STORE.name, principal_id=client, recorded_at__gte=since)
    return int(rows.aggregate(total=Sum("bytes"))["total"] or 0)


def check_client_quota(principal: Principal, quotas: Mapping[str, int]) -> None:
    """Raises ``ArchiveFull`` for whoever has stored as much as they may; asked of the trail now and then."""
    quota = quotas.get(principal.id)
    if quota is None:
        return
    now = time.monotonic()
    with _lock:
        known = _known.get(principal.id)
        late = known is None or known[1] <= now
        if late and known is not None:
            # One asks; the others go on with what was known.
            _known[principal.id] = known[0], now + SECONDS
    if late or known is None:
        known = stored_by(principal.id), now + SECONDS
        with _lock:
            _known[principal.id] = known
    if known[0] >= quota:
        raise ArchiveFull(f"the quota of this client for {DAYS} days is used up")


def forget() -> None:
    """Ask anew with the next request."""
    with _lock:
        _known.clear()

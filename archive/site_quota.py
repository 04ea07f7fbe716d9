"""How much each site's studies take, and for which objects the quota of a site leaves room.

A site is the Institution Name (0008,0080) of a study. What a site takes is added up from what each study takes
(``StudyUsage``), which for a large site is too much for every request: each process asks again after a while, and
counts what it has let in meanwhile. Several processes together may so go beyond a quota by what comes in that time.
"""

import time
from collections.abc import Mapping
from threading import Lock
from typing import Final

from django.db import connection

SECONDS: Final = 30.0
_STORED: Final = """
    SELECT COALESCE(sum(u.bytes), 0)::bigint FROM archive_study s JOIN archive_studyusage u ON u.study_id = s.id
    WHERE s.institution_name = %s
"""
_lock: Final = Lock()
_known: Final[dict[str, tuple[int, float]]] = {}


def stored_at(site: str) -> int:
    """Bytes of all instances that are kept of the studies of ``site``."""
    with connection.cursor() as cursor:
        cursor.execute(_STORED, [site])
        [(total,)] = cursor.fetchall()
    return int(total)


def without_room_at(quotas: Mapping[str, int], objects: Mapping[str, tuple[str, int]]) -> set[str]:
    """The objects (UID -> site, bytes), in their order, that the quota (bytes) of their site leaves no room for."""
    refused = set()
    for uid, (site, size) in objects.items():
        if site not in quotas:
            continue
        taken, until = _taken(site)
        if taken + size > quotas[site]:
            refused.add(uid)
        else:
            with _lock:
                _known[site] = (taken + size, until)
    return refused


def forget() -> None:
    """Ask anew with the next object."""
    with _lock:
        _known.clear()


def _taken(site: str) -> tuple[int, float]:
    now = time.monotonic()
    with _lock:
        known = _known.get(site)
        late = known is None or known[1] <= now
        if late and known is not None:
            # One asks; the others go on with what was known.
            _known[site] = known[0], now + SECONDS
    if late or known is None:
        known = stored_at(site), now + SECONDS
        with _lock:
            _known[site] = known
    return known

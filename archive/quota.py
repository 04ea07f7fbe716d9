"""How many bytes the archive keeps, and for which objects a quota leaves room.

Triggers count where rows of objects come and go, deleted ones until they are swept, in the transaction of the change.
They do so in one of several rows, so that writers seldom wait for each other; asking adds up those few.
"""

from collections.abc import Mapping

from django.db import connection

from archive.errors import ArchiveFull


def stored_bytes() -> int:
    """Bytes of all objects that are kept."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(sum(bytes), 0)::bigint FROM archive_storedbytes")
        [(total,)] = cursor.fetchall()
    return int(total)


def check_quota(quota: int) -> None:
    """Raises ``ArchiveFull`` where ``quota`` (bytes; 0 for none) is used up, before anything is read in vain."""
    if quota and stored_bytes() >= quota:
        raise ArchiveFull("the archive's quota is used up")


def without_room(quota: int, sizes: Mapping[str, int]) -> set[str]:
    """The objects (UID -> bytes), in their order, that ``quota`` leaves no room for; none where it is 0.

    Requests at the same time don't know of each other's batches, so that each may go beyond the quota by one.
    """
    if not quota or not sizes:
        return set()
    left = quota - stored_bytes()
    refused = set()
    for uid, size in sizes.items():
        if size > left:
            refused.add(uid)
        else:
            left -= size
    return refused

"""Objects come back to the hot tier: because somebody reads them, asks for them, or is about to (priors of orders)."""

from collections.abc import Sequence
from typing import Final

from django.db import connection

from archive import outbox
from archive.errors import ArchiveUnavailable
from archive.models import Instance, Representation
from archive.object_store.errors import ObjectStoreError
from archive.object_store.marks import HOT, tier_of
from archive.outbox import Wish
from custody.tiers.holders import MOVABLE, Kept, kept
from custody.tiers.relocation import Moved, relocate

# The condition of the index instance_tiered, word for word.
_AWAY: Final = r"object_key ~ '\.(warm|cold)\.'"
_AWAY_OF_STUDIES: Final = f"""
    SELECT DISTINCT i.series_id FROM archive_instance i
    JOIN archive_series e ON e.id = i.series_id WHERE e.study_id = ANY(%s) AND i.{_AWAY}
"""  # noqa: S608
_BYTES: Final = f"""
    SELECT substring(object_key FROM '\\.(warm|cold)\\.'), count(*), sum(object_size)::bigint
    FROM archive_instance WHERE {_AWAY} GROUP BY 1
"""  # noqa: S608


def wish_for(studies: Sequence[int]) -> int:
    """Wish for what lies elsewhere of these studies (primary keys); how many series that is."""
    with connection.cursor() as cursor:
        cursor.execute(_AWAY_OF_STUDIES, [list(studies)])
        series = [pk for (pk,) in cursor.fetchall()]
    outbox.wish(Wish(outbox.RECALL, str(pk)) for pk in series)
    return len(series)


def recall_series(subject: str) -> None:
    """The task: bring what lies elsewhere of a series to the hot tier. Raises ``ArchiveUnavailable`` while some of it
    is on its way."""
    waiting = 0
    try:
        for each in _away(int(subject)):
            waiting += relocate(each, HOT) is Moved.RECALLING
            outbox.progress(outbox.RECALL, subject)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the tiers can't be reached now") from error
    if waiting:
        raise ArchiveUnavailable(f"{waiting} objects are on their way back")


def bytes_by_tier() -> dict[str, tuple[int, int]]:
    """Instances, and bytes of their objects, in each tier but the hot one."""
    with connection.cursor() as cursor:
        cursor.execute(_BYTES)
        return {tier: (count, size) for tier, count, size in cursor.fetchall()}


def _away(series: int) -> list[Kept]:
    rows = (Instance.objects.filter(series=series), Representation.objects.filter(instance__series=series))
    found = [each for holder, of in zip(MOVABLE, rows, strict=False) for each in kept(holder, of.order_by("pk"))]
    return [each for each in found if tier_of(each.key) != HOT]

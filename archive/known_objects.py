"""Some objects that the index says are in a place, to tell a store that is there from a folder that only looks like it.

The oldest and the newest are asked: short walks along primary keys, however many there are. A tier may have none of
these; what lies in it has an index of its own.
"""

from collections.abc import Sequence
from typing import Any, Final

from django.db import Error, connection
from django.db.models import Exists, OuterRef, QuerySet

from archive.models import Instance, SecondCopy, SeriesDocument
from archive.object_store.errors import ObjectStoreUnavailable
from archive.object_store.founding import SECOND
from archive.object_store.marks import HOT, tier_of

_EACH: Final = 100
# As the index of what lies elsewhere says it, without which PostgreSQL would not take it.
_AWAY: Final = r"\.(warm|cold)\."


def some_keys(place: str) -> Sequence[str]:
    """Keys of objects that lie in a tier, or in the second store; none where the index knows of none.

    Raises ``ObjectStoreUnavailable`` where the index can't be asked.
    """
    # Objects are read ahead in threads of which nobody else closes the connection.
    ours = connection.connection is None
    try:
        if Instance._meta.db_table not in connection.introspection.table_names():
            return ()
        if place == SECOND:
            copied = Instance.objects.filter(pk=OuterRef("instance"), object_key=OuterRef("object_key"))
            return _ends(SecondCopy.objects.filter(Exists(copied)))
        if place != HOT:
            away = Instance.objects.filter(object_key__regex=_AWAY)
            return list(away.filter(object_key__contains=f".{place}.").values_list("object_key", flat=True)[:_EACH])
        # An archive may have all its instances in another tier; what is derived stays in the hot one.
        keys = (*_ends(Instance.objects.all()), *_ends(SeriesDocument.objects.all()))
        return [key for key in keys if tier_of(key) == HOT]
    except Error as error:
        raise ObjectStoreUnavailable(
            "the index can't be asked whether this store is new, and it has no marker yet"
        ) from error
    finally:
        if ours:
            connection.close()


def _ends(rows: "QuerySet[Any]") -> list[str]:
    keys = rows.values_list("object_key", flat=True)
    return [*keys.order_by("pk")[:_EACH], *keys.order_by("-pk")[:_EACH]]

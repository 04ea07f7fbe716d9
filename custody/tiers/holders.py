"""The rows that hold keys of objects: what would be lost, or would have to be written anew, with each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, models

from archive.models import DeletedObject, Instance, Representation, SeriesDocument, ThumbnailPack
from custody.facts.models import FactsDocument

# The mark of a seal in a key (archive.object_store.marks), in PostgreSQL's words.
_SEAL: Final = r"\.(k[0-9a-f]{8})\.[^/]*$"


@dataclass(frozen=True, slots=True)
class Holder:
    """Rows with a key each. ``hashed`` ones say what the object has to be; ``word`` is what they are called."""

    model: type[models.Model]
    word: str
    hashed: bool


# What can be written anew under another key, byte for byte.
MOVABLE: Final[Sequence[Holder]] = (
    Holder(Instance, "instances", hashed=True),
    Holder(Representation, "representations", hashed=True),
    Holder(SeriesDocument, "metadata documents", hashed=False),
    Holder(ThumbnailPack, "thumbnails", hashed=False),
)
_OTHERS: Final[Sequence[Holder]] = (
    Holder(FactsDocument, "facts documents", hashed=False),
    Holder(DeletedObject, "deleted objects, until the sweep", hashed=False),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """An object that a row points at. ``sha256`` is what it has to be, None where the row does not say."""

    holder: Holder
    pk: int
    key: str
    size: int
    sha256: bytes | None


def seals_in_use() -> dict[str, dict[str, int]]:
    """Key-encryption key -> what it seals -> how many; "" stands for plaintext. Reads all rows."""
    found: dict[str, dict[str, int]] = {}
    with connection.cursor() as cursor:
        for holder in (*MOVABLE, *_OTHERS):
            cursor.execute(
                f"SELECT COALESCE(substring(object_key FROM %s), ''), count(*) FROM {holder.model._meta.db_table}"  # noqa: S608
                " WHERE object_key IS NOT NULL GROUP BY 1",
                [_SEAL],
            )
            for seal, count in cursor.fetchall():
                found.setdefault(seal, {})[holder.word] = count
    return found


def sealed_otherwise(holder: Holder, seal: str, *, step: int = 500) -> Iterator[Kept]:
    """The objects of ``holder`` that are not under ``seal`` ("": not in plaintext), by primary key."""
    rows = holder.model._default_manager.order_by("pk")
    rows = rows.exclude(object_key__regex=rf"\.{seal}\.[^/]*$") if seal else rows.filter(object_key__regex=_SEAL)
    last: Any = 0
    while found := list(kept(holder, rows.filter(pk__gt=last)[:step])):
        yield from found
        last = found[-1].pk


def kept(holder: Holder, rows: models.QuerySet[Any]) -> Iterator[Kept]:
    """What ``rows`` point at."""
    if holder.hashed:
        for pk, key, size, sha256 in rows.values_list("pk", "object_key", "object_size", "object_sha256"):
            yield Kept(holder, pk, key, size, bytes(sha256))
    else:
        for pk, key in rows.values_list("pk", "object_key"):
            yield Kept(holder, pk, key, 0, None)

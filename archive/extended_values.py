"""The index of declared attributes: written with the instances, and out of what is stored when a tag is declared.

Whoever writes values locks the table of tags in ROW SHARE mode first, before any study; whoever declares or removes a
tag locks it in EXCLUSIVE mode. So a tag that was just declared has the values of each instance that is not yet
committed, and one that was just removed gets no more: what is left for the walk is what is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson
from django.db import connection

from archive.extended_declaration import ExtendedAttribute
from archive.extended_extraction import DataSet, Unsearchable, values_of
from archive.index_rows import execute
from dicom.attributes import Level

# Of each tag so many errors are kept, and a few more where several writers find them at once.
MOST_ERRORS = 1000

_WRITABLE = """
    LOCK TABLE archive_extendedtag IN ROW SHARE MODE;
    SELECT path, vr, level, private_creator, id FROM archive_extendedtag WHERE status <> 'deleting' ORDER BY id
"""
_INSERT = """
    INSERT INTO archive_extendedvalue (tag_id, owner_id, position, value, value_key) SELECT * FROM {rows}
    ON CONFLICT (tag_id, owner_id, position, value) DO NOTHING
"""
_INSERT_ERRORS = """
    INSERT INTO archive_extendedtagerror
        (tag_id, study_instance_uid, series_instance_uid, sop_instance_uid, reason, created_at)
    SELECT k.tag_id, k.study, k.series, k.instance, k.reason, statement_timestamp()
    FROM {rows} AS k (tag_id, study, series, instance, reason)
    WHERE (SELECT count(*) FROM archive_extendedtagerror e WHERE e.tag_id = k.tag_id) < %d
    ON CONFLICT (sop_instance_uid, tag_id) DO NOTHING
"""
_FORGET = """
    DELETE FROM archive_extendedvalue v USING archive_extendedtag t, {rows} AS gone (level, id)
    WHERE t.level = gone.level AND v.tag_id = t.id AND v.owner_id = gone.id
"""


@dataclass(frozen=True, slots=True)
class Indexable:
    """One instance with the primary keys of what it belongs to. ``unreadable`` says why there is no data set."""

    uids: tuple[str, str, str]
    owners: Mapping[Level, int]
    data_set: DataSet
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Extracted:
    """The rows of values (tag, owner, position, value, key), and of errors (tag, UIDs, reason)."""

    values: set[tuple[int, int, int, str, str]]
    errors: list[tuple[int, str, str, str, str]]


def writable() -> list[ExtendedAttribute]:
    """The attributes whose values are to be written, with the lock that keeps them so until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITABLE)
        cursor.nextset()
        return [ExtendedAttribute(*row) for row in cursor.fetchall()]


def extracted(attributes: Sequence[ExtendedAttribute], instances: Iterable[Indexable]) -> Extracted:
    """What ``instances`` say of ``attributes``."""
    found = Extracted(set(), [])
    for instance in instances:
        for attribute in attributes:
            try:
                if instance.unreadable:
                    raise Unsearchable(instance.unreadable)
                owner = instance.owners[attribute.level]
                found.values.update(
                    (attribute.id, owner, v.position, v.text, v.key) for v in values_of(attribute, instance.data_set)
                )
            except Unsearchable as error:
                found.errors.append((attribute.id, *instance.uids, str(error)))
    return found


def write(found: Extracted) -> None:
    """Write the rows, two statements at the most; rows that are there already stay. In the order of their keys, as
    every writer does, so that two about one owner wait for each other instead of deadlocking."""
    if found.values:
        execute(_INSERT, ["bigint", "bigint", "int", "text", "text"], sorted(found.values))
    if found.errors:
        execute(_INSERT_ERRORS % MOST_ERRORS, ["bigint", "text", "text", "text", "text"], sorted(found.errors))


def data_set(text: bytes) -> DataSet:
    """The DICOM JSON object of one instance."""
    loaded: DataSet = orjson.loads(text)
    return loaded


def forget(level: Level, owners: Sequence[int]) -> None:
    """Remove the values of series or studies that are gone; those of instances go with them (``archive.delete``)."""
    if owners:
        execute(_FORGET, ["text", "bigint"], [(level, pk) for pk in sorted(owners)])

"""The way out for bulk values: found by an index look-up, read by range, sent as stored."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import orjson

from archive.errors import ArchiveDamaged, NotFound
from archive.locate import Located
from archive.payload import Payload, in_memory, inflated, read_range, stored
from audit.prepared import PreparedSql
from dicom.errors import DicomError
from dicom.instance import ParsedInstance
from dicom.part10 import parse

# VR -> bytes of one value that change place between byte orders (PS3.5 7.3)
_WORDS = {
    **dict.fromkeys(("AT", "OW", "US", "SS"), 2),
    **dict.fromkeys(("OL", "OF", "UL", "SL", "FL"), 4),
    **dict.fromkeys(("OD", "OV", "FD", "UV", "SV"), 8),
}

# path -> VR, offset, length
BulkTable = dict[str, list[Any]]
Found = TypeVar("Found")
_BULK = PreparedSql("SELECT id, object_key, bulk::text FROM archive_instance WHERE id = ANY(%s::bigint[])")


def open_bulk_value(instance: Located, path: str) -> Payload:
    """The value at ``path`` (``54000100/1/54001010``), little endian. Raises ``NotFound``."""
    entry = bulk_tables([instance]).get(instance.pk, {}).get(path)
    if entry is None:
        raise NotFound("no bulk value at this place")
    return open_bulk_entry(instance, entry)


def bulk_tables(instances: Iterable[Located]) -> Mapping[int, BulkTable]:
    """Where the bulk values of each instance lie, by its primary key; pixel data, which have frames, are not there."""
    return of_their_objects(instances, _BULK, lambda text: orjson.loads(text) if text else {}, _bulk_table)


def of_their_objects(
    instances: Iterable[Located],
    look_up: PreparedSql,
    read: Callable[[Any], Found],
    anew: Callable[[ParsedInstance], Found],
) -> dict[int, Found]:
    """What the rows of ``instances`` say of the objects that were located, by primary key.

    ``look_up`` gives (primary key, object key, value) for an array of primary keys, and ``read`` takes the value. A row
    may have another object by now (``archive.at_rest_dropping``); what lies where in the located one, which is there
    for some time yet, is then read ``anew`` from itself. Raises ``ArchiveUnavailable``.
    """
    located = {each.pk: each for each in instances}
    rows = look_up.rows([list(located)])
    return {pk: read(value) if key == located[pk].object_key else anew(_parsed(located[pk])) for pk, key, value in rows}


def _parsed(instance: Located) -> ParsedInstance:
    try:
        return parse(instance.source)
    except DicomError as error:
        raise ArchiveDamaged("a stored object is damaged") from error


def _bulk_table(parsed: ParsedInstance) -> BulkTable:
    return {path: [bulk.vr, bulk.offset, bulk.length] for path, bulk in parsed.bulk.items()}


def open_bulk_entry(instance: Located, entry: Sequence[Any]) -> Payload:
    """The value that an entry of the instance's table stands for, little endian."""
    vr, offset, length = entry
    if instance.transfer_syntax.deflated:
        with inflated(instance.source) as source:
            return in_memory(source.read_at(offset, length))
    if not instance.transfer_syntax.little_endian:
        return in_memory(little_endian(read_range(instance.source, offset, length), vr))
    return stored(instance.source, offset, length)


def little_endian(data: bytes, vr: str) -> bytes:
    """Big-endian values of ``vr`` as little endian ones."""
    width = _WORDS.get(vr, 1)
    whole = len(data) // width * width
    return np.frombuffer(data[:whole], f"u{width}").byteswap().tobytes() + data[whole:]

"""The statements that find instances and series, and what their rows say.

They are written out here and planned once a database connection (``audit.prepared``); of a scope that is limited
the part that limits it is written anew each time, since who may see what is asked each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from django.db.models import QuerySet

from archive.corrections import OF_INSTANCE, correction_in
from archive.located import Address, Held, Located, LocatedDocument, LocatedSeries
from archive.models import Study
from archive.scope_sql import PARTS, Pieces, Sql, pieces_of
from audit.prepared import PreparedSql, Row
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import BY_UID

# Bytes of the longest frame table that is read with its instance: of native frames all are shorter, of encapsulated
# ones those of some 300 frames. And of the CRCs of the blocks of its object, which are as many for 64 MiB.
SHORT_TABLE: Final = 4096
# One column of the same statement: rows of representations cost no query of their own.
_HELD: Final = f"""(
    SELECT json_agg(json_build_array(r.id, r.transfer_syntax_uid, r.object_key, r.object_size,
        encode(r.object_sha256, 'hex'), r.header_length, r.pixels::text,
        CASE WHEN octet_length(r.frame_table) > {SHORT_TABLE} THEN '' ELSE encode(r.frame_table, 'hex') END,
        CASE WHEN octet_length(r.block_crcs) > {SHORT_TABLE} THEN '' ELSE encode(r.block_crcs, 'hex') END
    ) ORDER BY r.id)::text
    FROM archive_representation r WHERE r.instance_id = i.id
)"""  # noqa: S608 - a number of our own
_SELECT: Final = f"""
    SELECT i.id, i.series_id, p.patient_id, st.study_instance_uid, se.series_instance_uid, i.sop_instance_uid,
        i.sop_class_uid, i.transfer_syntax_uid, i.object_key, i.object_size, i.object_sha256, i.created_at,
        i.header_length, i.pixels::text,
        CASE WHEN octet_length(i.frame_table) > {SHORT_TABLE} THEN '' ELSE i.frame_table END, {_HELD},
        CASE WHEN octet_length(i.block_crcs) > {SHORT_TABLE} THEN '' ELSE i.block_crcs END, """
_FROM: Final = """
    FROM archive_instance i
    JOIN archive_series se ON se.id = i.series_id
    JOIN archive_study st ON st.id = se.study_id
    JOIN archive_patient p ON p.id = st.patient_id
"""
_INSTANCES: Final = _SELECT + OF_INSTANCE + _FROM
_INSTANCE_ORDER: Final = " ORDER BY se.series_number, i.series_id, i.instance_number, i.id"
_SERIES: Final = """
    SELECT se.id, p.patient_id, st.study_instance_uid, se.series_instance_uid, se.version,
        se.number_of_series_related_instances, se.thumbnail_instance, se.thumbnail_rank,
        d.version, d.object_key, d.object_size, d.root, d.etag
    FROM archive_series se
    JOIN archive_study st ON st.id = se.study_id
    JOIN archive_patient p ON p.id = st.patient_id
    LEFT JOIN archive_seriesdocument d ON d.series_id = se.id
"""
_SERIES_ORDER: Final = " ORDER BY se.series_number, se.id"
# By how many UIDs an address has
_INSTANCES_AT: Final = {
    1: " WHERE st.study_instance_uid = %s",
    2: " WHERE st.study_instance_uid = %s AND se.series_instance_uid = %s",
    3: " WHERE st.study_instance_uid = %s AND se.series_instance_uid = %s AND i.sop_instance_uid = %s",
}
_SERIES_AT: Final = _INSTANCES_AT | {
    3: _INSTANCES_AT[2]
    + " AND EXISTS (SELECT FROM archive_instance i WHERE i.series_id = se.id AND i.sop_instance_uid = %s)"
}
# For the archive's own work, which is about what is stored: nothing is corrected.
_OF_PKS: Final = PreparedSql(_SELECT + "NULL" + _FROM + " WHERE i.id = ANY(%s::bigint[])")


@dataclass(frozen=True, slots=True)
class _LookUp:
    """``where`` and ``anywhere``, which is the whole statement for somebody who may see all studies, by how many UIDs
    an address has."""

    rows: str
    where: Mapping[int, str]
    order: str
    anywhere: Mapping[int, PreparedSql]

    def whole(self, address: Address) -> tuple[str, tuple[str, ...]]:
        """The statement that ``ask`` asks within a scope of all studies, and its values."""
        uids = _uids(address)
        return self.anywhere[len(uids)].sql, uids

    def ask(self, address: Address, scope: QuerySet[Study]) -> list[Row]:
        uids = _uids(address)
        pieces = pieces_of(scope)
        if not pieces:
            return self.anywhere[len(uids)].rows(uids)
        condition, parameters = _within(pieces)
        return PreparedSql(self.rows + self.where[len(uids)] + condition + self.order).rows(uids + parameters)


def _uids(address: Address) -> tuple[str, ...]:
    named = (address.study_instance_uid, address.series_instance_uid, address.sop_instance_uid)
    return tuple(uid for uid in named if uid is not None)


def _look_up(rows: str, where: Mapping[int, str], order: str) -> _LookUp:
    return _LookUp(rows, where, order, {count: PreparedSql(rows + text + order) for count, text in where.items()})


_FIND_INSTANCES: Final = _look_up(_INSTANCES, _INSTANCES_AT, _INSTANCE_ORDER)
_FIND_SERIES: Final = _look_up(_SERIES, _SERIES_AT, _SERIES_ORDER)


def whole_look_up(kind: str, address: Address) -> tuple[str, tuple[str, ...]]:
    """The statement, and its values, that finds "instances" or "series" for somebody who may see all studies."""
    return (_FIND_INSTANCES if kind == "instances" else _FIND_SERIES).whole(address)


def instances_at(address: Address, scope: QuerySet[Study]) -> list[Located]:
    """The instances at ``address`` in ``scope``, in series and instance order."""
    return [located(row) for row in _FIND_INSTANCES.ask(address, scope)]


def series_at(address: Address, scope: QuerySet[Study]) -> list[LocatedSeries]:
    """The series at ``address`` in ``scope``, in order."""
    return [_series(row) for row in _FIND_SERIES.ask(address, scope)]


def instances_of(pks: Sequence[int]) -> list[Located]:
    """The instances with these keys that are there, in no promised order."""
    return [located(row) for row in _OF_PKS.rows([list(pks)])]


def _within(pieces: Pieces) -> Sql:
    """A condition as ``archive.locate.within`` writes it into a queryset."""
    studies, parameters = pieces["studies"]
    found = f" AND st.id IN ({studies})"
    if "partial" not in pieces:
        return found, parameters
    (partial, of_partial), (series, of_series), (whole, of_whole) = (pieces[name] for name in PARTS)
    # In this order: PostgreSQL looks at what comes later only for studies that are reached in part.
    found += f" AND (NOT (st.id IN ({partial})) OR se.id IN ({series}) OR st.id IN ({whole}))"
    return found, (*parameters, *of_partial, *of_series, *of_whole)


def located(row: Row) -> Located:
    """The instance of a row of ``_INSTANCES``."""
    pk, series_pk, patient_id, study, series, instance, sop_class, syntax = row[:8]
    key, size, sha256, created_at, header_length, pixels, table, held, crcs, correction = row[8:]
    return Located(
        pk,
        series_pk,
        patient_id,
        study,
        series,
        instance,
        sop_class,
        BY_UID[syntax],
        key,
        size,
        sha256,
        created_at,
        header_length,
        None if pixels is None else _pixels(pixels),
        table,
        () if held is None else tuple(map(_held, orjson.loads(held))),
        correction_in(correction),
        crcs,
    )


def _held(fields: list[Any]) -> Held:
    pk, syntax, key, size, sha256, header_length, pixels, table, crcs = fields
    known = None if crcs is None else bytes.fromhex(crcs)
    return Held(pk, syntax, key, size, sha256, header_length, _pixels(pixels), bytes.fromhex(table), known)


@lru_cache(maxsize=4096)
def _pixels(text: str) -> PixelDescription:
    """Many instances have the same: a description follows from its text, so that none ever has to be forgotten."""
    return PixelDescription(**orjson.loads(text))


def _series(row: Row) -> LocatedSeries:
    pk, patient_id, study, series, version, instances, picture, rank, *document = row
    prepared = LocatedDocument(*document) if document[0] is not None else None
    return LocatedSeries(pk, patient_id, study, series, version, instances, picture, rank, prepared)

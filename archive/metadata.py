"""The metadata of a series as one prepared document: built once per version, served as stored (PS3.18 10.4.1.1.2).

Ingest leaves the metadata of each batch as a gzip fragment; a worker moments later, or the first reader, merges the
fragments into the series' document. Nothing is parsed again, and a reader of an unchanged series gets ready bytes.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import orjson
from django.conf import settings
from django.db import transaction
from django.dispatch import Signal
from isal import igzip, isal_zlib

from archive.corrections import OF_STUDY, as_stored, corrected_text, correction_in
from archive.errors import ArchiveDamaged, ArchiveUnavailable, NotFound
from archive.located import LocatedDocument, LocatedSeries
from archive.models import Instance, Series, SeriesDocument
from archive.object_store import new_key, object_store
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectStoreError
from archive.payload import StoredSource
from archive.told_changes import tell
from audit.prepared import PreparedSql
from dicom.errors import DicomError
from dicom.part10 import BULKDATA_ROOT, parse

log = logging.getLogger("archive.metadata")

# Sent by a worker after images of a series have come, or it is corrected: ``series`` is its primary key.
series_prepared: Final = Signal()

_URI = b'"BulkDataURI":"'
_SEPARATOR = b",\n"
_ATTEMPTS = 10
# One statement sees one moment: the fragments and what is corrected are those of the version.
_VERSION_AND_FRAGMENTS = PreparedSql(
    f"SELECT se.version, {OF_STUDY}, f.id, f.instance_ids, f.lines FROM archive_series se"  # noqa: S608 - our own
    " JOIN archive_study st ON st.id = se.study_id JOIN archive_patient p ON p.id = st.patient_id"
    " LEFT JOIN archive_metadatafragment f ON f.series_id = se.id WHERE se.id = %s ORDER BY f.id"
)
_IN_ORDER = PreparedSql(
    "SELECT id, patient_mismatch FROM archive_instance WHERE series_id = %s AND id = ANY(%s::bigint[])"
    " ORDER BY instance_number, id"
)
_HELD = PreparedSql("SELECT 1 FROM archive_series WHERE id = %s FOR UPDATE")
_FIRST = PreparedSql(
    "INSERT INTO archive_seriesdocument"
    " (version, instance_ids, object_key, object_size, root, etag, corrected, series_id)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (series_id) DO NOTHING"
)
_IN_PLACE = PreparedSql(
    "UPDATE archive_seriesdocument SET version = %s, instance_ids = %s, object_key = %s, object_size = %s, root = %s,"
    " etag = %s, corrected = %s WHERE series_id = %s AND object_key = %s"
)
_MERGED = PreparedSql("DELETE FROM archive_metadatafragment WHERE id = ANY(%s::bigint[])")


@dataclass(frozen=True, slots=True)
class Document:
    """A gzip DICOM JSON array and its entity tag."""

    gzipped: bytes
    etag: str

    def text(self) -> bytes:
        """The JSON itself."""
        return _unpacked(self.gzipped)


def prepare(subject: str) -> None:
    """The task: bring the document of the series with this primary key up to date."""
    try:
        series = Series.objects.get(pk=int(subject))
    except Series.DoesNotExist:
        return
    _current(series)
    series_prepared.send(sender=Series, series=series.pk)


def ready_tag(found: Sequence[LocatedSeries], root: str) -> str | None:
    """The entity tag that ``study_document`` of these series has under ``root``, told by their rows alone.

    ``None`` where a document is yet to be prepared.
    """
    rows = [e.document for e in found if e.document is not None and e.document.version >= e.version]
    return _tag_of([_tag(row, root) for row in rows]) if len(rows) == len(found) else None


def series_document(series: Series | LocatedSeries, root: str) -> Document:
    """The metadata of all instances of ``series``, with BulkDataURIs under ``root``.

    The stored document carries the configured public root and is served as it is; for another root (a viewer that
    reaches the server by another name) it is rewritten on the way. Raises ``ArchiveUnavailable``.
    """
    missing = ""
    for _ in range(_ATTEMPTS):
        row = _current(series, missing)
        try:
            stored = _stored(row)
        except ObjectMissing:
            # A newer version replaced the document between the look-up and the read, or it is lost.
            missing = row.object_key
            continue
        except ObjectStoreError as error:
            raise ArchiveUnavailable("the metadata can't be read now") from error
        if row.root == root:
            return Document(stored, row.etag)
        text = _moved(_unpacked(stored), row.root, root)
        return Document(igzip.compress(text, 1), _tag(row, root))
    raise ArchiveUnavailable("the metadata is changing too fast to be read")


def study_document(documents: Sequence[Document]) -> Document:
    """The documents of several series as one array."""
    if len(documents) == 1:
        return documents[0]
    bodies = [document.text()[1:-1].strip() for document in documents]
    body = b"[" + _SEPARATOR.join(b for b in bodies if b) + b"]"
    return Document(igzip.compress(body, 1), _tag_of([document.etag for document in documents]))


def objects_of(document: Document) -> list[bytes]:
    """The DICOM JSON object of each instance, as text."""
    return document.text()[1:-1].split(_SEPARATOR)


def instance_document(document: Document, sop_instance_uid: str) -> Document:
    """The one object of the instance, as an array of one. Raises ``NotFound``."""
    for line in _lines_with(sop_instance_uid.encode(), document.text()[1:-1]):
        # The UID may also stand in a reference inside another object: look before you trust.
        if _sop_instance_uid(line) == sop_instance_uid:
            return Document(igzip.compress(b"[" + line + b"]", 1), _digest(line))
    raise NotFound("no metadata of this instance")


def _lines_with(wanted: bytes, text: bytes) -> Iterator[bytes]:
    """Those lines of ``text`` in which ``wanted`` stands; the others are not even cut off."""
    at = text.find(wanted)
    while at >= 0:
        begin = text.rfind(_SEPARATOR, 0, at)
        end = text.find(_SEPARATOR, at)
        end = len(text) if end < 0 else end
        yield text[0 if begin < 0 else begin + len(_SEPARATOR) : end]
        at = text.find(wanted, end)


def instance_values(series: LocatedSeries, sop_instance_uid: str) -> Mapping[str, dict[str, object]]:
    """The metadata of one instance as a parsed DICOM JSON object."""
    text = instance_document(series_document(series, ""), sop_instance_uid).text()
    loaded: list[dict[str, dict[str, object]]] = orjson.loads(text)
    return loaded[0]


def public_dicomweb_root() -> str:
    """The DICOMweb root that stored documents carry."""
    return f"{settings.PACS.public_root}/dicom-web"


def _unpacked(gzipped: bytes) -> bytes:
    """The text of one gzip member."""
    # What it ends with is its size (RFC 1952 2.3.1): with it the text grows only once.
    size = int.from_bytes(gzipped[-4:], "little")
    return bytes(isal_zlib.decompress(gzipped, 31, max(1, size)))


def _moved(text: bytes, old: str, new: str) -> bytes:
    """``text`` with its BulkDataURIs under another root. Values are safe: within a string quotes are escaped."""
    return text.replace(_URI + old.encode() + b"/", _URI + new.encode() + b"/")


def _sop_instance_uid(line: bytes) -> str:
    value = orjson.loads(line).get("00080018", {}).get("Value") or [""]
    return str(value[0])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _tag(row: SeriesDocument | LocatedDocument, root: str) -> str:
    """That of the stored bytes, which carry one root; under another the bytes are others."""
    return row.etag if row.root == root else _digest(f"{row.etag} {root}".encode())


def _tag_of(tags: Sequence[str]) -> str:
    return tags[0] if len(tags) == 1 else _digest("".join(tags).encode())


def _current(series: Series | LocatedSeries, missing: str = "") -> SeriesDocument | LocatedDocument:
    """The row of a document that has at least what ``series`` had when it was looked up, built if there is none.

    ``missing`` is the key of a document that wasn't found: unless its row is replaced already, it is built anew.
    """
    known: SeriesDocument | LocatedDocument | None = None if missing else getattr(series, "document", None)
    if known is not None and known.version >= series.version:
        return known
    for _ in range(_ATTEMPTS):
        row = SeriesDocument.objects.filter(series=series.pk).first()
        if row is not None and row.version >= series.version and row.object_key != missing:
            return row
        built = _build(series.pk, row)
        if built is not None:
            return built
    raise ArchiveUnavailable("the metadata is changing too fast to be read")


def _stored(row: SeriesDocument | LocatedDocument) -> bytes:
    """The document of ``row``. Raises ``ObjectMissing``, also for one that is no longer what was put there."""
    try:
        stored = object_store().read_range(row.object_key, 0, row.object_size)
    except ObjectDamaged as error:
        raise ObjectMissing("a metadata document is damaged", row.object_key) from error
    if _digest(stored) != row.etag:
        raise ObjectMissing("a metadata document is damaged", row.object_key)
    return stored


def _lines_of(row: SeriesDocument | None) -> Iterator[tuple[int, bytes]]:
    if row is None or not row.instance_ids:
        return
    try:
        text = _unpacked(_stored(row))
    except ObjectMissing:
        if not SeriesDocument.objects.filter(series=row.series_id, object_key=row.object_key).exists():
            raise
        log.warning("a metadata document is lost and made again: %s", row.object_key)
        yield from _parsed_again(row.instance_ids)
        return
    lines = _moved(text, row.root, BULKDATA_ROOT)[1:-1].split(_SEPARATOR)
    for pk, line in zip(row.instance_ids, lines, strict=True):
        yield pk, as_stored(line, row.corrected)


def _parsed_again(instance_ids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """The metadata out of the stored objects themselves, which are what everything here derives from."""
    rows = Instance.objects.filter(pk__in=instance_ids).values_list("pk", "object_key", "object_size", "block_crcs")
    for pk, key, size, crcs in rows:
        try:
            yield pk, parse(StoredSource(key, size, crcs)).json_text
        except DicomError as error:
            raise ArchiveDamaged("a stored object is damaged") from error


def _build(series: int, old: SeriesDocument | None) -> SeriesDocument | None:
    """Merge the old document and the fragments into a new object; ``None`` when another builder was faster.

    The object is put before its row changes, and the row changes only if the old one is still there. The old object
    goes last: a reader who still holds its key looks the row up again.
    """
    found = _VERSION_AND_FRAGMENTS.rows([series])
    if not found:
        raise Series.DoesNotExist
    version, correction = found[0][0], correction_in(found[0][1])
    fragments = [(pk, ids, packed) for _, _, pk, ids, packed in found if pk is not None]
    try:
        lines = dict(_lines_of(old))
        for _, of_lines, packed in fragments:
            lines.update(zip(of_lines, _unpacked(packed).split(b"\n"), strict=True))
        in_order = _IN_ORDER.rows([series, list(lines)])
        ids = [pk for pk, _ in in_order]
        root = public_dicomweb_root()
        given = (lines[pk] if stranger else corrected_text(lines[pk], correction) for pk, stranger in in_order)
        text = b"[" + _SEPARATOR.join(given) + b"]"
        gzipped = igzip.compress(_moved(text, BULKDATA_ROOT, root), 2)
        key = new_key(f"derived/metadata/{datetime.now(UTC):%Y/%m/%d}/{uuid4().hex}.json.gz")
        object_store().put(key, gzipped)
    except ObjectMissing:
        return None
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the metadata can't be prepared now") from error
    row = SeriesDocument(
        series_id=series,
        version=version,
        instance_ids=ids,
        object_key=key,
        object_size=len(gzipped),
        root=root,
        etag=_digest(gzipped),
        corrected=correction.moment if correction else "",
    )
    with transaction.atomic():
        if _HELD.row([series]) is None:
            raise Series.DoesNotExist
        values = (version, ids, key, row.object_size, root, row.etag, row.corrected, series)
        won = bool(_IN_PLACE.run((*values, old.object_key)) if old else _FIRST.run(values))
        if won:
            if old is not None and old.corrected != row.corrected:
                tell([series])
            _MERGED.run([[pk for pk, _, _ in fragments]])
    stale = key if not won else (old.object_key if old else None)
    if stale:
        try:
            object_store().delete(stale)
        except ObjectStoreError:
            log.warning("a replaced metadata document could not be removed: %s", stale)
    return row if won else None

"""The rows of a batch: which column gets what, as one JSON text a table (``archive.index_statements`` takes them).

Columns follow ``dicom.attributes``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson
from django.db import connection

from archive import answers
from archive.names import name_key
from dicom.attributes import ATTRIBUTES, Attribute, Level
from dicom.part10 import ParsedInstance
from dicom.pixels import PixelDescription

PatientKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A Part 10 object that is durable in the object store, with what the scan of it found."""

    parsed: ParsedInstance
    key: str
    size: int
    sha256: bytes
    block_crcs: bytes

    @property
    def uid(self) -> str:
        return self.parsed.sop_instance_uid

    @property
    def series_key(self) -> tuple[str, str]:
        return self.parsed.study_instance_uid, self.parsed.series_instance_uid

    @property
    def patient_key(self) -> PatientKey:
        """Patient ID, its issuer, and the study's UID where there is no Patient ID (then nobody shares the row)."""
        patient_id = self.parsed.values["PatientID"].strip()
        if not patient_id:
            return "", "", self.parsed.study_instance_uid
        return patient_id, self.parsed.values["IssuerOfPatientID"].strip(), ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a bulk insert: its name, PostgreSQL type, and where its value comes from, as JSON has it."""

    name: str
    type: str
    value: Callable[[StoredObject], Any]


def integer(text: str, bits: int = 64) -> int | None:
    """The first value of an IS or US attribute, or ``None`` where it is no signed number of ``bits``."""
    try:
        value = int(text.split("\\")[0])
    except ValueError:
        return None
    return value if -(1 << bits - 1) <= value < 1 << bits - 1 else None


_BIGINT = ("SeriesNumber", "InstanceNumber")
# No VR of these columns allows half as much; what claims more must still fit into an index of PostgreSQL (2,704 bytes).
LONGEST_TEXT = 256


def _indexed(attribute: Attribute) -> list[Column]:
    keyword, name = attribute.keyword, attribute.column
    if attribute.matching == "number":
        bits, kind = (64, "bigint") if keyword in _BIGINT else (32, "int")
        return [Column(name, kind, lambda o: integer(o.parsed.values[keyword], bits))]
    if attribute.matching == "person_name":
        return [
            Column(name, "text", lambda o: o.parsed.values[keyword]),
            Column(f"{name}_key", "text", lambda o: name_key(o.parsed.values[keyword])),
        ]
    return [Column(name, "text", lambda o: o.parsed.values[keyword][:LONGEST_TEXT])]


def _of_level(level: Level, *but: str) -> list[Column]:
    return [c for a in ATTRIBUTES if a.level == level and a.keyword not in but for c in _indexed(a)]


def place(o: StoredObject, keyword: str) -> str:
    """The name of an institution or department as it is compared."""
    return trimmed(o.parsed.values[keyword])


def trimmed(text: str) -> str:
    """A name as it is compared, and as it fits into an index."""
    return text[:LONGEST_TEXT].strip()


_DESCRIBED = tuple(field.name for field in fields(PixelDescription))


def _described(o: StoredObject) -> dict[str, Any] | None:
    pixels = o.parsed.pixels
    return {name: getattr(pixels, name) for name in _DESCRIBED} if pixels else None


def _bulk(o: StoredObject) -> dict[str, Any] | None:
    return {path: [b.vr, b.offset, b.length] for path, b in o.parsed.bulk.items()} if o.parsed.bulk else None


def octets(value: bytes) -> str:
    """Bytes as PostgreSQL reads them."""
    return f"\\x{value.hex()}"


PATIENT = [
    Column("patient_id", "text", lambda o: o.patient_key[0]),
    Column("issuer_of_patient_id", "text", lambda o: o.patient_key[1]),
    Column("unidentified_study_uid", "text", lambda o: o.patient_key[2]),
    *_of_level("patient", "PatientID", "IssuerOfPatientID"),
]
STUDY = [
    *_of_level("study"),
    Column("institution_name", "text", lambda o: place(o, "InstitutionName")),
    Column("institutional_department_name", "text", lambda o: place(o, "InstitutionalDepartmentName")),
]
SERIES = [*_of_level("series"), Column("request_attributes", "text", lambda o: o.parsed.request_attributes)]
INSTANCE = [
    *_of_level("instance"),
    Column("transfer_syntax_uid", "text", lambda o: o.parsed.transfer_syntax_uid),
    Column("object_key", "text", lambda o: o.key),
    Column("object_size", "bigint", lambda o: o.size),
    Column("object_sha256", "bytea", lambda o: octets(o.sha256)),
    Column("block_crcs", "bytea", lambda o: octets(o.block_crcs) if o.block_crcs else None),
    Column("header_length", "bigint", lambda o: o.parsed.header_length),
    Column("pixels", "jsonb", _described),
    Column("frame_table", "bytea", lambda o: octets(o.parsed.frames.pack()) if o.parsed.frames else None),
    Column("bulk", "jsonb", _bulk),
    Column("answer", "text", lambda o: answers.instance_answer(o.parsed.values)),
]


def execute(sql: str, types: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Run ``sql`` once for all ``rows``; ``{rows}`` in it stands for them as a table of columns of ``types``."""
    table = f"unnest({', '.join(f'%s::{kind}[]' for kind in types)})"
    columns = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("{rows}", table), columns)
        return list(cursor.fetchall()) if cursor.description else []


def rows_of(
    columns: Sequence[Column], objects: Iterable[StoredObject], more: Callable[[StoredObject], dict[str, Any]]
) -> str:
    """A row for each of ``objects`` as JSON: its columns, and ``more`` by name."""
    return as_json([{c.name: c.value(o) for c in columns} | more(o) for o in objects])


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows by the names of their columns, as a statement takes them."""
    return orjson.dumps(rows).decode()


def select_values(alias: str, level: Level) -> tuple[str, list[str]]:
    """The SQL list of a level's indexed attributes as text, and their keywords."""
    own = [a for a in ATTRIBUTES if a.level == level]
    return ", ".join(f"COALESCE({alias}.\"{a.column}\"::text, '')" for a in own), [a.keyword for a in own]

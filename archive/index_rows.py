"""The rows of a batch: which column gets what, and the bulk statements that insert, lock and count.

Columns follow ``dicom.attributes``; every statement takes whole columns (``unnest``), so that its number does not grow
with the batch. Rows are inserted and locked in key order, the same for every writer: two batches about one study wait
for each other instead of deadlocking.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg.types.json import Jsonb

from archive import answers
from archive.names import name_key
from dicom.attributes import ATTRIBUTES, Attribute, Level
from dicom.part10 import ParsedInstance

PatientKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A Part 10 object that is durable in the object store, with what the scan of it found."""

    parsed: ParsedInstance
    key: str
    size: int
    sha256: bytes

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
    """One column of a bulk insert: its name, PostgreSQL type, and where its value comes from."""

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


def _described(o: StoredObject) -> Jsonb | None:
    pixels = o.parsed.pixels
    return Jsonb({name: getattr(pixels, name) for name in pixels.__dataclass_fields__}) if pixels else None


def _bulk(o: StoredObject) -> Jsonb | None:
    return Jsonb({path: [b.vr, b.offset, b.length] for path, b in o.parsed.bulk.items()}) if o.parsed.bulk else None


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
    Column("object_sha256", "bytea", lambda o: o.sha256),
    Column("header_length", "bigint", lambda o: o.parsed.header_length),
    Column("pixels", "jsonb", _described),
    Column("frame_table", "bytea", lambda o: o.parsed.frames.pack() if o.parsed.frames else None),
    Column("bulk", "jsonb", _bulk),
    Column("answer", "text", lambda o: answers.instance_answer(o.parsed.values)),
]


def first_of(objects: Iterable[StoredObject], key: Callable[[StoredObject], Any]) -> list[StoredObject]:
    """The first object to arrive of each key, in the order of the keys."""
    firsts: dict[Any, StoredObject] = {}
    for o in objects:
        firsts.setdefault(key(o), o)
    return [firsts[k] for k in sorted(firsts)]


def execute(sql: str, types: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Run ``sql`` once for all ``rows``; ``{rows}`` in it stands for them as a table of columns of ``types``."""
    table = f"unnest({', '.join(f'%s::{kind}[]' for kind in types)})"
    columns = [list(column) for column in zip(*rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("{rows}", table), columns)
        return list(cursor.fetchall()) if cursor.description else []


def insert(
    table: str,
    columns: Sequence[Column],
    objects: Sequence[StoredObject],
    *,
    extra: Sequence[tuple[str, str, Sequence[Any]]] = (),
    constants: Mapping[str, str] | None = None,
    unless: str,
    returning: str,
) -> list[tuple[Any, ...]]:
    """Insert one row for each of ``objects`` unless its key (``unless``) exists; nothing is ever overwritten.

    ``extra`` columns are (name, type, values); ``constants`` are SQL literals. Returns ``returning`` of the new rows.
    """
    constants = constants or {}
    names = [c.name for c in columns] + [name for name, _, _ in extra] + list(constants)
    types = [c.type for c in columns] + [kind for _, kind, _ in extra]
    rows = [
        [c.value(o) for c in columns] + [values[position] for _, _, values in extra]
        for position, o in enumerate(objects)
    ]
    quoted = ", ".join(f'"{name}"' for name in names)
    literals = "".join(f", {value}" for value in constants.values())
    sql = f"INSERT INTO {table} ({quoted}) SELECT *{literals} FROM {{rows}} ON CONFLICT ({unless}) DO NOTHING"
    return execute(f"{sql} RETURNING {returning}", types, rows)


def select_values(alias: str, level: Level) -> tuple[str, list[str]]:
    """The SQL list of a level's indexed attributes as text, and their keywords."""
    own = [a for a in ATTRIBUTES if a.level == level]
    return ", ".join(f"COALESCE({alias}.\"{a.column}\"::text, '')" for a in own), [a.keyword for a in own]

"""An archive of many generated studies straight in the index: realistic values, made by set-based SQL in seconds.

Nothing lies in the object store, so this is for searches only. Everything follows from the number of a row: the same
archive every time. ``load`` expects the tables to be empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson
from django.db import connection

from archive import answers
from archive.models import Series
from archive.request_attributes import write_items
from dicom.attributes import ATTRIBUTES, Level


def _listed(text: str, separator: str = " ") -> list[str]:
    return text.split(separator)


_SURNAMES = _listed(
    "Smith Garcia Mueller Tanaka Novak Rossi Silva Kowalski Andersson Nguyen Dubois Jansen Ivanova Yilmaz Haddad "
    "Cohen Okafor Mensah Patel Sharma Fernandez Moreau Schmidt Weber Fischer Wagner Becker Hoffmann Koch Richter "
    "Klein Wolf Neumann Schwarz Zimmermann Braun Krueger Hartmann Lange Werner Krause Lehmann Schmid Meier Maier "
    "Walter Berger Kaiser Fuchs Lang Scholz Keller Vogel Jung Hahn Schubert Vogt Friedrich Keil Guenther Frank "
    "Winkler Roth Beck"
)
_GIVEN = _listed(
    "John Maria Anna Peter Yuki Lena Ahmed Fatima Ivan Olga Carlos Lucia Pierre Sophie Marco Giulia Jan Eva Tomasz "
    "Ewa Lars Ingrid Minh Linh Mehmet Ayse David Sarah Chidi Amina Raj Priya Thomas Julia Felix Laura Paul Clara "
    "Max Ida"
)
_STUDIES = _listed(
    "CT Head|CT Thorax|CT Abdomen|CT Spine|MR Knee|MR Brain|MR Lumbar Spine|MR Prostate|XR Chest PA|XR Hand left|"
    "XR Hand right|XR Pelvis|US Abdomen|US Thyroid|MG Screening bilateral|NM Bone scan|PET-CT whole body|"
    "XA Coronary|CT Angiography|MR Cardiac|MR Shoulder|XR Ankle|XR Wrist|US Carotid|CT Sinus|MR Pituitary|XR Knee|"
    "US Kidneys",
    "|",
)
_SERIES = _listed(
    "Axial 1mm|Axial 5mm|Coronal|Sagittal|T1 TSE|T2 TSE|T2 FLAIR|DWI b1000|ADC|Localizer|Scout|Lung kernel|"
    "Bone kernel|Arterial|Venous|Delayed|PA|Lateral|Oblique|CC|MLO|Dose report|Key images|Reformat|MIP|Perfusion",
    "|",
)
_BODY_PARTS = _listed("HEAD CHEST ABDOMEN LSPINE KNEE BREAST HAND PELVIS NECK SHOULDER HEART ANKLE WRIST PROSTATE")
_MODALITIES = _listed("CT CT CT CT CT CT MR MR MR MR MR CR CR CR CR DX US US MG MG")
_CLASSES = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "SR": "1.2.840.10008.5.1.4.1.1.88.33",
    "NM": "1.2.840.10008.5.1.4.1.1.20",
}
STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
_ZONES = [*[""] * 7, "+0100", "+0200", "-0500"]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much there is in a loaded archive."""

    patients: int
    studies: int
    series: int
    instances: int


def load(studies: int, instances_a_series: int = 5) -> Scale:
    """Fill the empty tables with ``studies`` and what belongs to them, and gather statistics."""
    patients = max(studies * 6 // 10, 1)
    values: dict[str, int | str | list[str]] = {
        "patients": patients,
        "studies": studies,
        "each": instances_a_series,
        "surnames": _SURNAMES,
        "given": _GIVEN,
        "descriptions": _STUDIES,
        "series": _SERIES,
        "parts": _BODY_PARTS,
        "zones": _ZONES,
        "modalities": _MODALITIES,
        "classes": orjson.dumps(_CLASSES).decode(),
        "root": STUDY_UID,
        "study_answer": answers.study_answer(_places("patient", "study"), ["CT"], 1, instances_a_series),
        "series_answer": answers.series_answer(_places("study", "series"), "", instances_a_series),
        "instance_answer": answers.instance_answer(_places("study", "series", "instance")),
    }
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        # So that statistics come of every row, not of a sample that is another one each time.
        cursor.execute("SET default_statistics_target = 1000")
        # An index is built of many rows at once much faster than row by row.
        cursor.execute(_INDEXES)
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        for statement in (_FUNCTIONS, _PATIENTS, _RARE, _STUDY_ROWS, _SERIES_ROWS):
            cursor.execute(_filled(statement, values))
        write_items(list(Series.objects.values_list("pk", flat=True)))
        cursor.execute(_filled(_INSTANCES, values))
        for _, definition in indexes:
            cursor.execute(definition)
        for table in ("patient", "study"):
            following = f"SELECT setval(pg_get_serial_sequence('archive_{table}', 'id'), max(id)) FROM archive_{table}"  # noqa: S608
            cursor.execute(following)
        counts = []
        for table in ("patient", "study", "series", "instance"):
            cursor.execute(f"VACUUM ANALYZE archive_{table}")
            cursor.execute(f"SELECT count(*) FROM archive_{table}")  # noqa: S608
            counts += cursor.fetchone()
        cursor.execute("VACUUM ANALYZE archive_requestattributes")
        cursor.execute("RESET default_statistics_target")
        cursor.execute("RESET statement_timeout")
    return Scale(*counts)


def clear() -> None:
    """Empty the tables again, and the outbox of what was noted there of them."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE archive_patient, archive_outboxentry RESTART IDENTITY CASCADE")


def _filled(statement: str, values: dict[str, int | str | list[str]]) -> str:
    """``statement`` with a literal for each ``@name``."""
    return re.sub(r"@(\w+)", lambda name: _literal(values[name[1]]), statement)


def _literal(value: int | str | list[str]) -> str:
    if isinstance(value, list):
        return f"ARRAY[{', '.join(_literal(one) for one in value)}]"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def _places(*levels: Level) -> dict[str, str]:
    """A value of each attribute: the placeholder of format() of its column, and a number where only that may stand."""
    return {
        a.keyword: "1" if a.matching == "number" else f"%{_PLACES[a.keyword]}$s"
        for a in ATTRIBUTES
        if a.level in levels
    }


_PLACES = {
    "PatientName": 1, "PatientID": 2, "IssuerOfPatientID": 3, "PatientBirthDate": 4, "PatientSex": 5,
    "StudyInstanceUID": 6, "StudyDate": 7, "StudyTime": 8, "AccessionNumber": 9, "StudyID": 10,
    "StudyDescription": 11, "ReferringPhysicianName": 12, "TimezoneOffsetFromUTC": 13,
    "SeriesInstanceUID": 1, "Modality": 2, "SeriesDescription": 3, "PerformedProcedureStepStartDate": 4,
    "PerformedProcedureStepStartTime": 5, "BodyPartExamined": 7, "ProtocolName": 8, "StationName": 9,
    "SOPInstanceUID": 2, "SOPClassUID": 3, "ContentDate": 4, "ContentTime": 5,
}  # fmt: skip

_INDEXES = """
    SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
    WHERE NOT indisunique AND indrelid = ANY(ARRAY['archive_patient', 'archive_study', 'archive_series',
        'archive_requestattributes', 'archive_instance']::regclass[])
"""
# mixed: numbers without a pattern, other ones for each salt; one: an element of a list.
_FUNCTIONS = """
    CREATE OR REPLACE FUNCTION pg_temp.mixed(n bigint, salt int) RETURNS int LANGUAGE sql IMMUTABLE AS
    $$ SELECT hashint8extended(n, salt)::bit(64)::bit(24)::int $$;
    CREATE OR REPLACE FUNCTION pg_temp.one(list text[], n int) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT list[1 + n % cardinality(list)] $$
"""
_PATIENTS = """
    INSERT INTO archive_patient (id, patient_id, issuer_of_patient_id, unidentified_study_uid, patient_name,
        patient_name_key, patient_birth_date, patient_sex)
    SELECT i, 'P' || lpad(i::text, 7, '0'), pg_temp.one(ARRAY['HOSPITAL', 'HOSPITAL', 'CLINIC', ''], r), '', name,
        CASE name WHEN '' THEN '' ELSE '=' || lower(name) || '=' END,
        CASE r % 100 WHEN 0 THEN '' ELSE to_char(date '1930-01-01' + r % 32000, 'YYYYMMDD') END,
        pg_temp.one(ARRAY['F', 'M'], r >> 3)
    FROM generate_series(1, @patients) AS i, LATERAL (
        SELECT pg_temp.mixed(i, 1) AS r, pg_temp.mixed(i, 2) AS q OFFSET 0) AS x, LATERAL (
        SELECT CASE WHEN i % 2000 = 0 THEN '' ELSE
            pg_temp.one(@surnames, r) || '^' || pg_temp.one(@given, q) || ' ' || chr(65 + (q >> 8) % 26)
            || CASE WHEN i % 50 = 0 THEN '=山田^太郎' || chr(19968 + r % 900) ELSE '' END END AS name OFFSET 0) AS y
"""
_RARE = "UPDATE archive_patient SET patient_sex = CASE id % 2000 WHEN 1 THEN 'O' ELSE '' END WHERE id % 400 = 1"
_STUDY_ROWS = """
    INSERT INTO archive_study (id, patient_id, study_instance_uid, study_date, study_time, accession_number,
        study_id, study_description, referring_physician_name, referring_physician_name_key,
        timezone_offset_from_utc, modalities_in_study, number_of_study_related_series,
        number_of_study_related_instances, answer)
    SELECT i, p.id, uid, day, clock, accession, number, description, referrer,
        CASE referrer WHEN '' THEN '' ELSE '=' || lower(referrer) || '=' END, zone,
        CASE WHEN i % 8 = 0 THEN ARRAY[modality, 'SR'] WHEN i % 300 = 1 THEN ARRAY[modality, 'NM']
            ELSE ARRAY[modality] END,
        1 + i % 3, (1 + i % 3) * @each,
        format(@study_answer, p.patient_name, p.patient_id, p.issuer_of_patient_id, p.patient_birth_date,
            p.patient_sex, uid, day, clock, accession, number, description, referrer, zone)
    FROM generate_series(1, @studies) AS i
    JOIN archive_patient p ON p.id = 1 + pg_temp.mixed(i, 3) % @patients, LATERAL (
        SELECT pg_temp.mixed(i, 4) AS r, pg_temp.mixed(i, 5) AS q, @root || '.' || i AS uid OFFSET 0) AS x, LATERAL (
        SELECT
        CASE i % 200 WHEN 0 THEN '' ELSE
            to_char(date '2016-01-01' + (3650 * sqrt(r % 10000 / 10000.0))::int, 'YYYYMMDD') END AS day,
        to_char(interval '7 hours' + make_interval(secs => q % 46800), 'HH24MISS') AS clock,
        CASE i % 10 WHEN 3 THEN '' ELSE 'A' || lpad((i::bigint * 7919 % 100000007)::text, 9, '0') END AS accession,
        (1 + i % 9973)::text AS number,
        CASE i % 41 WHEN 0 THEN '' ELSE pg_temp.one(@descriptions, q % (1 + (r >> 4) % 28)) END AS description,
        CASE i % 12 WHEN 0 THEN '' ELSE
            pg_temp.one(@surnames, q) || '^' || pg_temp.one(@given, q >> 9) END AS referrer,
        pg_temp.one(@zones, q >> 3) AS zone, pg_temp.one(@modalities, r >> 2) AS modality OFFSET 0) AS y
"""
_SERIES_ROWS = """
    INSERT INTO archive_series (study_id, series_instance_uid, modality, series_number, series_description,
        performed_procedure_step_start_date, performed_procedure_step_start_time, body_part_examined,
        protocol_name, station_name, request_attributes, number_of_series_related_instances, version,
        answer)
    SELECT s.id, uid, modality, CASE s.id % 200 WHEN 5 THEN NULL ELSE j END, description, day, clock, part, protocol,
        station, CASE WHEN s.id % 10 < 3 THEN '' ELSE format(
            '{"vr":"SQ","Value":[{"00080050":{"vr":"SH","Value":["%s"]},'
            '"00400009":{"vr":"SH","Value":["SP%s"]},"00401001":{"vr":"SH","Value":["RP%s"]}}]}',
            s.accession_number, lpad((s.id * 3 + j)::text, 8, '0'), lpad(s.id::text, 8, '0')) END,
        @each, 1, format(@series_answer, uid, modality, description, day, clock, s.study_instance_uid, part,
            protocol, station)
    FROM archive_study s, generate_series(1, 1 + s.id % 3) AS j, LATERAL (
        SELECT s.study_instance_uid || '.' || j AS uid, pg_temp.mixed(s.id, 20 + j::int) AS r OFFSET 0) AS x, LATERAL (
        SELECT s.modalities_in_study[CASE WHEN j = 1 + s.id % 3 THEN cardinality(s.modalities_in_study) ELSE 1 END]
            AS modality,
        CASE WHEN r % 30 = 0 THEN '' ELSE pg_temp.one(@series, r) END AS description,
        CASE WHEN r % 3 = 0 THEN '' ELSE s.study_date END AS day,
        CASE WHEN r % 3 = 0 THEN '' ELSE s.study_time END AS clock,
        CASE WHEN r % 7 = 0 THEN '' ELSE pg_temp.one(@parts, r >> 6) END AS part,
        CASE WHEN r % 5 = 0 THEN '' ELSE 'Protocol ' || (r >> 4) % 80 END AS protocol,
        'STATION' || (r >> 8) % 60 AS station OFFSET 0) AS y
    ORDER BY s.id, j
"""
_INSTANCES = """
    INSERT INTO archive_instance (series_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid,
        instance_number, content_date, content_time, rows, columns, bits_allocated, number_of_frames,
        patient_mismatch, object_key, object_size, object_sha256, header_length, answer)
    SELECT e.id, uid, class, '1.2.840.10008.1.2.1', number, day, clock, size,
        size, bits, frames, false, 'k/' || uid, 526336, decode('00', 'hex'), 2048,
        format(@instance_answer, e.series_instance_uid, uid, class, day, clock, s.study_instance_uid)
    FROM archive_series e JOIN archive_study s ON s.id = e.study_id, generate_series(1, @each) AS j, LATERAL (
        SELECT e.series_instance_uid || '.' || j AS uid, e.performed_procedure_step_start_date AS day,
        e.performed_procedure_step_start_time AS clock,
        CASE (e.id + j) % 500 WHEN 0 THEN NULL ELSE j END AS number,
        COALESCE(@classes::jsonb ->> e.modality, '1.2.840.10008.5.1.4.1.1.7') AS class,
        CASE e.modality WHEN 'CT' THEN 512 WHEN 'MR' THEN 256 + 64 * (e.id % 4)::int WHEN 'SR' THEN NULL
            ELSE 2000 + (e.id % 48)::int END AS size,
        CASE e.modality WHEN 'US' THEN 8 WHEN 'SR' THEN NULL ELSE 16 END AS bits,
        CASE WHEN e.modality = 'US' THEN 20 + j ELSE NULL END AS frames OFFSET 0) AS x
    ORDER BY e.id, j
"""

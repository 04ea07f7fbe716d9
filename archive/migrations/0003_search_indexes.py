"""Indexes for every documented kind of search, the keys of Request Attributes Sequence as rows, and time zones."""

from typing import ClassVar

import django.db.models.deletion
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models import F, Index, Value
from django.db.models.expressions import OrderBy
from django.db.models.functions import NullIf

# One row for each item, one without values for a series that has none.
_FILL = r"""
    INSERT INTO archive_requestattributes
        (series_id, accession_number, requested_procedure_id, scheduled_procedure_step_id)
    SELECT e.id, value.a, value.b, value.c FROM archive_series AS e
    LEFT JOIN LATERAL jsonb_array_elements(NULLIF(e.request_attributes, '')::jsonb -> 'Value') AS item ON TRUE
    CROSS JOIN LATERAL (SELECT
        COALESCE((SELECT left(string_agg(v, '\' ORDER BY n), 256)
            FROM jsonb_array_elements_text(item -> '00080050' -> 'Value') WITH ORDINALITY AS one (v, n)), '') AS a,
        COALESCE((SELECT left(string_agg(v, '\' ORDER BY n), 256)
            FROM jsonb_array_elements_text(item -> '00401001' -> 'Value') WITH ORDINALITY AS one (v, n)), '') AS b,
        COALESCE((SELECT left(string_agg(v, '\' ORDER BY n), 256)
            FROM jsonb_array_elements_text(item -> '00400009' -> 'Value') WITH ORDINALITY AS one (v, n)), '') AS c
    ) AS value;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
"""

# Whether a stored date and time overlap a period. With an offset of their own they are compared in UTC (low, high),
# else by the clock of the site (low_here, high_here). A value covers what it leaves open: 10 is 10:00 to 11:00, no time
# the whole day. Nothing here fails whatever is stored: a 31st of February is the 3rd of March.
_OVERLAPS = r"""
    CREATE FUNCTION archive_overlaps(day text, clock text, zone text,
        low timestamp, high timestamp, low_here timestamp, high_here timestamp)
    RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    DECLARE
        first timestamp;
        past timestamp;
        ahead interval;
    BEGIN
        IF day !~ '^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$' OR day < '0001' THEN
            RETURN false;
        END IF;
        first := make_date(substr(day, 1, 4)::int, substr(day, 5, 2)::int, 1) + (substr(day, 7, 2)::int - 1);
        IF clock ~ '^([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?$' THEN
            first := first + make_interval(
                hours => substr(clock, 1, 2)::int,
                mins => COALESCE(NULLIF(substr(clock, 3, 2), ''), '0')::int,
                secs => COALESCE(NULLIF(substr(clock, 5), ''), '0')::double precision);
            past := first + CASE length(clock)
                WHEN 2 THEN interval '1 hour' WHEN 4 THEN interval '1 minute' WHEN 6 THEN interval '1 second'
                ELSE interval '1 microsecond' END;
        ELSE
            past := first + interval '1 day';
        END IF;
        IF zone ~ '^[+-](0[0-9]|1[0-4])[0-5][0-9]$' THEN
            ahead := make_interval(
                mins => (substr(zone, 1, 1) || '1')::int * (substr(zone, 2, 2)::int * 60 + substr(zone, 4, 2)::int));
            RETURN (high IS NULL OR first - ahead < high) AND (low IS NULL OR past - ahead > low);
        END IF;
        RETURN (high_here IS NULL OR first < high_here) AND (low_here IS NULL OR past > low_here);
    END $$
"""

# Ingest brings these rows up to date with every batch; in the room that is left a change touches no index.
_ROOM = """
    ALTER TABLE archive_study SET (fillfactor = 70);
    ALTER TABLE archive_series SET (fillfactor = 70);
"""
_NO_ROOM = """
    ALTER TABLE archive_study RESET (fillfactor);
    ALTER TABLE archive_series RESET (fillfactor);
"""
# Django's further indexes of unique texts, for LIKE in other collations than C. Nothing asks for a UID so.
_NEEDLESS = """
    DROP INDEX IF EXISTS archive_instance_sop_instance_uid_53550f2d_like;
    DROP INDEX IF EXISTS archive_study_study_instance_uid_87753790_like;
"""

# Few rows at either end of a range look like many to coarse statistics, and are then looked for in the wrong place.
_FINE = [
    ("patient", "patient_birth_date"),
    ("study", "study_date"),
    ("study", "study_time"),
    ("series", "performed_procedure_step_start_date"),
    ("series", "performed_procedure_step_start_time"),
    ("instance", "content_date"),
    ("instance", "content_time"),
]


def _statistics(number: int) -> str:
    return "; ".join(f"ALTER TABLE archive_{table} ALTER {column} SET STATISTICS {number}" for table, column in _FINE)


def _terms(ties: str) -> list[OrderBy]:
    return [F(tie[1:]).desc() if tie.startswith("-") else F(tie).asc() for tie in ties.split()]


def _text(model: str, column: str, name: str, ties: str) -> list[Operation]:
    up = Index(NullIf(F(column), Value("")).asc(nulls_last=True), *_terms(ties), name=f"{name}_up")
    down = Index(F(column).desc(), *_terms(ties), name=f"{name}_down")
    return [migrations.AddIndex(model, index) for index in (up, down)]


def _number(model: str, column: str, name: str, ties: str) -> list[Operation]:
    up = Index(F(column).asc(), *_terms(ties), name=f"{name}_up")
    down = Index(F(column).desc(nulls_last=True), *_terms(ties), name=f"{name}_down")
    return [migrations.AddIndex(model, index) for index in (up, down)]


def _part(model: str, column: str, name: str) -> Operation:
    return migrations.AddIndex(model, GinIndex(OpClass(column, name="gin_trgm_ops"), name=f"{name}_part"))


def _key() -> "models.TextField[str, str]":
    return models.TextField(blank=True, db_collation="C", default="")


_LIST = "-study_date -study_time -id"
_OF_STUDY = "study series_number id"


class Migration(migrations.Migration):
    """See ``archive.models`` and ``archive.search_indexes``."""

    dependencies: ClassVar = [("archive", "0002_delete_and_feed")]
    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="RequestAttributes",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("accession_number", _key()),
                ("requested_procedure_id", _key()),
                ("scheduled_procedure_step_id", _key()),
                (
                    "series",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="requests", to="archive.series"
                    ),
                ),
            ],
        ),
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
        migrations.RunSQL(_OVERLAPS, "DROP FUNCTION archive_overlaps"),
        migrations.RunSQL(_ROOM, _NO_ROOM),
        migrations.RunSQL(_statistics(1000), _statistics(-1)),
        migrations.RunSQL(_NEEDLESS, migrations.RunSQL.noop),
        migrations.AddIndex("requestattributes", Index(fields=["accession_number"], name="request_accession")),
        migrations.AddIndex("requestattributes", Index(fields=["requested_procedure_id"], name="request_procedure")),
        migrations.AddIndex("requestattributes", Index(fields=["scheduled_procedure_step_id"], name="request_step")),
        _part("requestattributes", "accession_number", "request_accession_number"),
        _part("requestattributes", "requested_procedure_id", "request_rp_id"),
        _part("requestattributes", "scheduled_procedure_step_id", "request_sps_id"),
        migrations.RemoveIndex("patient", "patient_birth_date"),
        *_text("patient", "patient_id", "patient_id", "id"),
        *_text("patient", "issuer_of_patient_id", "patient_iop_id", "id"),
        *_text("patient", "patient_name_key", "patient_name", "id"),
        *_text("patient", "patient_birth_date", "patient_birth_date", "id"),
        *_text("patient", "patient_sex", "patient_sex", "id"),
        _part("patient", "patient_id", "patient_id"),
        _part("patient", "issuer_of_patient_id", "patient_iop_id"),
        migrations.RemoveIndex("study", "study_accession"),
        migrations.RemoveIndex("study", "study_study_id"),
        _text("study", "study_date", "study_date", "-study_time -id")[0],
        *_text("study", "study_time", "study_time", _LIST),
        *_text("study", "accession_number", "study_accession_number", _LIST),
        *_text("study", "study_id", "study_id", _LIST),
        *_text("study", "study_description", "study_description", _LIST),
        *_text("study", "referring_physician_name_key", "study_rp_name", _LIST),
        *_text("study", "timezone_offset_from_utc", "study_tof_utc", _LIST),
        _part("study", "accession_number", "study_accession_number"),
        _part("study", "study_id", "study_id"),
        _part("study", "study_description", "study_description"),
        migrations.AlterField(
            "series",
            "study",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="series",
                to="archive.study",
            ),
        ),
        migrations.AddIndex("series", Index(fields=["study", "series_number", "id"], name="series_order")),
        *_text("series", "modality", "series_modality", _OF_STUDY),
        *_text("series", "series_description", "series_description", _OF_STUDY),
        *_text("series", "performed_procedure_step_start_date", "series_ppss_date", _OF_STUDY),
        *_text("series", "performed_procedure_step_start_time", "series_ppss_time", _OF_STUDY),
        *_text("series", "body_part_examined", "series_bp_examined", _OF_STUDY),
        *_text("series", "protocol_name", "series_protocol_name", _OF_STUDY),
        *_text("series", "station_name", "series_station_name", _OF_STUDY),
        *_number("series", "series_number", "series_number", "study id"),
        _part("series", "series_description", "series_description"),
        _part("series", "body_part_examined", "series_bp_examined"),
        _part("series", "protocol_name", "series_protocol_name"),
        _part("series", "station_name", "series_station_name"),
        migrations.AlterField(
            "instance",
            "series",
            models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="instances",
                to="archive.series",
            ),
        ),
        migrations.AddIndex("instance", Index(fields=["sop_class_uid", "id"], name="instance_sop_class")),
        *_text("instance", "content_date", "instance_content_date", "id"),
        *_text("instance", "content_time", "instance_content_time", "id"),
        *_number("instance", "instance_number", "instance_number", "id"),
        *_number("instance", "rows", "instance_rows", "id"),
        *_number("instance", "columns", "instance_columns", "id"),
        *_number("instance", "bits_allocated", "instance_bits_allocated", "id"),
        *_number("instance", "number_of_frames", "instance_no_frames", "id"),
    ]

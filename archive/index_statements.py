"""The statements that make a batch visible, each planned once a connection: their number does not grow with the batch.

Each takes the rows of a table as one JSON text. Rows are locked and inserted in the order of their keys, the same for
every writer, and the study before its series: two batches about one study wait for each other instead of deadlocking.
"""

from collections.abc import Sequence

from archive.index_rows import INSTANCE, PATIENT, SERIES, STUDY, Column, select_values
from archive.outbox import WISH
from archive.request_attributes import items_of
from audit.prepared import PreparedSql

PATIENT_VALUES, PATIENT_NAMES = select_values("p", "patient")
STUDY_VALUES, STUDY_NAMES = select_values("s", "study")
SERIES_VALUES, SERIES_NAMES = select_values("e", "series")


def _given(columns: Sequence[Column], *more: str) -> str:
    """A parameter as a table ``k``."""
    named = [f'"{c.name}" {c.type}' for c in columns]
    return f"json_to_recordset(%s) AS k ({', '.join([*named, *more])})"


def _names(columns: Sequence[Column], table: str = "") -> str:
    return ", ".join(f'{table}"{c.name}"' for c in columns)


_KEY = ("patient_id", "issuer_of_patient_id", "unidentified_study_uid")
_KEY_NAMES = ", ".join(_KEY)

# The parents of a batch, locked: parameters are the columns of keys of patients, UIDs of studies and of series. Before
# any of them the table of declared tags is locked as well (`archive.extended_values`); a FOR KEY SHARE without a row
# does that, and PostgreSQL takes the locks of tables before it looks at what is in them. Patients are held first, so
# that no merge overtakes what is stored under them: it waits, or is waited for. One row at least, with nulls where
# there is no study or series. `stale` tells that a study changed while its lock was waited for, and its patient may
# have: what stands beside the study is then as it was before. Parameters stand in queries of their own: of few values
# PostgreSQL would expect few rows, and plan anew each time.
PARENTS = PreparedSql(f"""
    WITH patient AS MATERIALIZED (
        SELECT *, xmin AS seen FROM archive_patient WHERE id = ANY(ARRAY(
            SELECT unnest(ARRAY[id, merged_into_id]) FROM archive_patient
            WHERE ({_KEY_NAMES}) IN (
                SELECT * FROM unnest((SELECT %s::text[]), (SELECT %s::text[]), (SELECT %s::text[])))
        )) ORDER BY {_KEY_NAMES} FOR KEY SHARE
    ), study AS MATERIALIZED (
        SELECT *, xmin AS seen FROM archive_study
        WHERE study_instance_uid = ANY((SELECT %s::text[])::text[]) AND (SELECT count(*) FROM patient) >= 0
        ORDER BY study_instance_uid FOR UPDATE
    ), series AS MATERIALIZED (
        SELECT e.* FROM archive_series e JOIN study s ON s.id = e.study_id
        WHERE e.series_instance_uid = ANY((SELECT %s::text[])::text[])
        ORDER BY e.study_id, e.series_instance_uid FOR UPDATE OF e
    )
    SELECT tags.declared, tags.persons, tags.stale, s.id, s.patient_id, s.number_of_study_related_series,
        s.number_of_study_related_instances, s.modalities_in_study, COALESCE(s.institution_name, ''), e.id,
        e.number_of_series_related_instances, e.request_attributes, {STUDY_VALUES}, {PATIENT_VALUES}, {SERIES_VALUES}
    FROM (
        SELECT (SELECT id FROM archive_extendedtag LIMIT 0 FOR KEY SHARE) AS locked, (
            SELECT json_agg(json_build_array(path, vr, level, private_creator, id) ORDER BY id)
            FROM archive_extendedtag WHERE status <> 'deleting') AS declared, (
            SELECT json_agg(json_build_array({_KEY_NAMES}, COALESCE(merged_into_id, id))) FROM patient) AS persons,
            EXISTS (
                SELECT FROM study n JOIN archive_study o ON o.id = n.id AND o.xmin <> n.seen
                WHERE n.patient_id NOT IN (
                    SELECT h.id FROM patient h JOIN archive_patient k ON k.id = h.id AND k.xmin = h.seen)) AS stale
        ) AS tags
    LEFT JOIN study s ON true LEFT JOIN archive_patient p ON p.id = s.patient_id LEFT JOIN series e ON e.study_id = s.id
""")
PARENT_COLUMNS = 12

# Parents that there were none of: rows of patients, of studies (with their patient's key) and of series (with their
# study's UID). A study is that patient's whom its identifier names since a merge. What somebody else inserted meanwhile
# is left as it is, and so is what belongs to it, as nobody adds to a study before it is locked, and what belongs to a
# patient who was merged away just now: whoever asks looks for it again. Gives the study of each new series.
NEW_PARENTS = PreparedSql(f"""
    WITH given_patient AS MATERIALIZED (SELECT * FROM {_given(PATIENT)}),
    given_study AS MATERIALIZED (SELECT * FROM {_given(STUDY, *(f"of_{name} text" for name in _KEY))}),
    given_series AS MATERIALIZED (SELECT * FROM {_given(SERIES, "of_study text")}),
    new_patient AS (
        INSERT INTO archive_patient ({_names(PATIENT)})
        SELECT {_names(PATIENT)} FROM given_patient ORDER BY {_KEY_NAMES}
        ON CONFLICT ({_KEY_NAMES}) DO NOTHING RETURNING id, {_KEY_NAMES}
    ), known AS MATERIALIZED (
        SELECT id, merged_into_id, {_KEY_NAMES} FROM archive_patient
        WHERE ({_KEY_NAMES}) IN (SELECT {_KEY_NAMES} FROM given_patient) ORDER BY {_KEY_NAMES} FOR KEY SHARE
    ), survivor AS MATERIALIZED (
        SELECT id, merged_into_id FROM archive_patient WHERE id = ANY(ARRAY(SELECT merged_into_id FROM known))
        ORDER BY {_KEY_NAMES} FOR KEY SHARE
    ), patient AS (
        SELECT id, NULL::bigint AS original, {_KEY_NAMES} FROM new_patient UNION ALL
        SELECT COALESCE(v.id, k.id), CASE WHEN v.id IS NOT NULL THEN k.id END, {_KEY_NAMES}
        FROM known k LEFT JOIN survivor v ON v.id = k.merged_into_id WHERE v.merged_into_id IS NULL
    ), new_study AS (
        INSERT INTO archive_study ({_names(STUDY)}, patient_id, original_patient_id, modalities_in_study,
            number_of_study_related_series, number_of_study_related_instances, answer)
        SELECT {_names(STUDY, "k.")}, p.id, p.original, '{{}}', 0, 0, ''
        FROM given_study k
        JOIN patient p ON ({", ".join(f"p.{name}" for name in _KEY)}) = ({", ".join(f"k.of_{name}" for name in _KEY)})
        ORDER BY k.study_instance_uid ON CONFLICT (study_instance_uid) DO NOTHING RETURNING id, study_instance_uid
    ), study AS (
        SELECT * FROM new_study UNION ALL
        SELECT id, study_instance_uid FROM archive_study WHERE study_instance_uid IN (
            SELECT of_study FROM given_series EXCEPT SELECT study_instance_uid FROM given_study)
    ), new_series AS (
        INSERT INTO archive_series ({_names(SERIES)}, study_id, number_of_series_related_instances, version, answer)
        SELECT {_names(SERIES, "k.")}, s.id, 0, 0, ''
        FROM given_series k JOIN study s ON s.study_instance_uid = k.of_study ORDER BY s.id, k.series_instance_uid
        ON CONFLICT (study_id, series_instance_uid) DO NOTHING RETURNING id, study_id, request_attributes
    ), items AS ({items_of("new_series")})
    SELECT study_id FROM new_series
""")

_OF_INSTANCE = ("series_id bigint", "patient_mismatch bool", "of_study text", "of_series text", "place int")
# All of a batch beside its parents: rows of instances, series, studies and fragments, then the parameters of `WISH`.
# Gives key and UID of each new instance: fewer than were given if somebody else was first with one of them.
MEMBERS = PreparedSql(f"""
    WITH given AS MATERIALIZED (
        SELECT * FROM {_given(INSTANCE, *_OF_INSTANCE)}
    ), made AS (
        INSERT INTO archive_instance ({_names(INSTANCE)}, series_id, patient_mismatch)
        SELECT {_names(INSTANCE)}, series_id, patient_mismatch FROM given ORDER BY sop_instance_uid COLLATE "C"
        ON CONFLICT (sop_instance_uid) DO NOTHING RETURNING id, series_id, sop_instance_uid
    ), of_series AS (
        UPDATE archive_series e SET number_of_series_related_instances = k.n, answer = k.answer,
            version = e.version + 1, updated_at = statement_timestamp()
        FROM json_to_recordset(%s) AS k (id bigint, n int, answer text) WHERE e.id = k.id
    ), of_study AS (
        UPDATE archive_study s SET modalities_in_study = k.modalities, number_of_study_related_series = k.series,
            number_of_study_related_instances = k.n, answer = k.answer,
            institution_name = COALESCE(k.institution, s.institution_name),
            institutional_department_name = COALESCE(k.department, s.institutional_department_name),
            updated_at = statement_timestamp()
        FROM json_to_recordset(%s) AS k (id bigint, modalities text[], series int, n int, answer text,
            institution text, department text) WHERE s.id = k.id
    ), fragments AS (
        INSERT INTO archive_metadatafragment (series_id, instance_ids, lines)
        SELECT series_id, m.ids, k.lines FROM json_to_recordset(%s) AS k (series_id bigint, lines bytea) JOIN (
            SELECT series_id, array_agg(id ORDER BY sop_instance_uid) AS ids FROM made GROUP BY series_id
        ) AS m USING (series_id) ORDER BY series_id
    ), news AS (
        INSERT INTO archive_changefeedentry (action, study_instance_uid, series_instance_uid, sop_instance_uid)
        SELECT 'create', of_study, of_series, sop_instance_uid FROM given ORDER BY place
    ), wishes AS ({WISH})
    SELECT id, sop_instance_uid FROM made
""")

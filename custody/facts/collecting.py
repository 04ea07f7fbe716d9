"""What the index knows of a study or a patient and the objects do not say, as one JSON value: one statement each.

Rows are given as they are, without what follows from the objects or is counted anew; columns of later releases come
along by themselves. Primary keys are kept, so that an index made anew has them again where it can.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from archive.models import Instance
from audit.prepared import PreparedSql
from custody.facts.documents import FORMAT

# Of each instance, if there are such columns; in a list rather than by name, as there are many.
_WANTED: Final = (
    "sop_instance_uid",
    "object_key",
    "object_size",
    "object_sha256",
    "block_crcs",
    "patient_mismatch",
    "created_at",
)
INSTANCE_COLUMNS: Final[Sequence[str]] = tuple(
    name for name in _WANTED if name in {field.column for field in Instance._meta.concrete_fields}
)
_OF_STUDY: Final = (
    "answer",
    "modalities_in_study",
    "number_of_study_related_series",
    "number_of_study_related_instances",
    "updated_at",
)
_OF_SERIES: Final = (
    "answer",
    "study_id",
    "number_of_series_related_instances",
    "version",
    "thumbnail_instance",
    "thumbnail_rank",
    "updated_at",
)
_OF_REPRESENTATION: Final = ("id", "instance_id", "header_length", "pixels", "frame_table")


def _but(alias: str, columns: Sequence[str]) -> str:
    return f"to_jsonb({alias}) - '{{{','.join(columns)}}}'::text[]"


_STUDY: Final = PreparedSql(f"""
    WITH study AS (SELECT * FROM archive_study WHERE study_instance_uid = %s), member AS (
        SELECT e.series_instance_uid, i.* FROM archive_instance i JOIN archive_series e ON e.id = i.series_id
        WHERE e.study_id = (SELECT id FROM study)
    ), gone AS (SELECT * FROM archive_deletedobject WHERE study_instance_uid = %s
    ), whose AS (SELECT patient_id FROM access_deletedstudy WHERE study_instance_uid = %s)
    SELECT jsonb_build_object(
        'format', {FORMAT},
        'study', (SELECT {_but("s", _OF_STUDY)} FROM study s),
        'patients', (SELECT jsonb_agg(to_jsonb(p) ORDER BY p.id) FROM archive_patient p WHERE p.id IN (
            SELECT unnest(ARRAY[patient_id, original_patient_id]) FROM study UNION SELECT patient_id FROM whose
            UNION SELECT patient_id FROM gone)),
        'series', (SELECT jsonb_agg({_but("e", _OF_SERIES)} ORDER BY e.id) FROM archive_series e
            WHERE e.study_id = (SELECT id FROM study)),
        'instances', (SELECT jsonb_agg(jsonb_build_array(
            m.series_instance_uid, {", ".join(f"m.{name}" for name in INSTANCE_COLUMNS)}) ORDER BY m.id) FROM member m),
        'representations', (SELECT jsonb_agg({_but("r", _OF_REPRESENTATION)}
            || jsonb_build_object('sop_instance_uid', m.sop_instance_uid) ORDER BY r.id)
            FROM archive_representation r JOIN member m ON m.id = r.instance_id),
        'dropped', (SELECT jsonb_agg({_but("d", ["id"])} ORDER BY d.id) FROM archive_droppedoriginal d
            WHERE d.study_instance_uid = %s),
        'deleted', (SELECT jsonb_agg({_but("g", ["id"])} ORDER BY g.id) FROM gone g),
        'deleted_of', (SELECT patient_id FROM whose),
        'corrections', (SELECT jsonb_agg({_but("o", ["id"])} ORDER BY o.id) FROM archive_attributeoverride o
            WHERE o.level = 'study' AND o.uid = %s))::text
""")  # noqa: S608 - columns of ours
_PATIENT: Final = PreparedSql("""
    SELECT jsonb_build_object(
        'format', %s::int,
        'patient', to_jsonb(p),
        'merged_into', (SELECT to_jsonb(l) FROM archive_patient l WHERE l.id = p.merged_into_id),
        'corrections', (SELECT jsonb_agg(to_jsonb(o) - 'id' ORDER BY o.id) FROM archive_attributeoverride o
            WHERE o.level = 'patient' AND o.uid = p.id::text),
        'links', (SELECT jsonb_agg((to_jsonb(k) - 'id') || jsonb_build_object('with', to_jsonb(q)) ORDER BY k.id)
            FROM archive_patientlink k JOIN archive_patient q ON q.id = k.other_id WHERE k.one_id = p.id))::text
    FROM archive_patient p WHERE p.id = %s
""")

Content = dict[str, Any]


def of_study(study_instance_uid: str) -> Content:
    """What is known of a study: ``study`` is null of one that is not stored (any more)."""
    [(text,)] = _STUDY.rows([study_instance_uid] * 5)
    content: Content = orjson.loads(text)
    content["study_instance_uid"] = study_instance_uid
    content["columns"] = ["series_instance_uid", *INSTANCE_COLUMNS]
    return content


def of_patient(pk: int) -> Content | None:
    """What is known of a patient beyond what objects said; None for one that is not there."""
    found = _PATIENT.rows([FORMAT, pk])
    return orjson.loads(found[0][0]) if found else None


def is_plain(content: Content) -> bool:
    """Whether nothing is known of a patient but what its objects say, which stands with its studies."""
    patient = content["patient"]
    told = patient["told"] or patient["event_at"] or patient["merged_into_id"] or patient["standing"]
    return not (told or content["corrections"] or content["links"] or content.get("more"))

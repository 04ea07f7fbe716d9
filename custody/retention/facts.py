"""What the rules ask of studies, read for many at once."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from django.db import connection

from custody.retention.decisions import StudyFacts
from custody.retention.obstacles import obstacles_of

_FACTS: Final = """
    SELECT s.id, s.study_instance_uid, s.study_date, p.patient_birth_date, s.updated_at, s.modalities_in_study,
        COALESCE(s.institution_name, ''), s.study_description,
        ARRAY(SELECT DISTINCT e.body_part_examined FROM archive_series e WHERE e.study_id = s.id
            AND e.body_part_examined <> ''),
        'MG' = ANY(s.modalities_in_study) AND EXISTS (
            SELECT FROM archive_study o WHERE o.patient_id = s.patient_id AND o.id <> s.id
                AND 'MG' = ANY(o.modalities_in_study) AND NOT o.quarantined AND o.study_date > s.study_date
                AND o.study_date ~ '^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$'
                AND o.study_date <= to_char(statement_timestamp(), 'YYYYMMDD')),
        s.number_of_study_related_instances,
        (SELECT COALESCE(sum(u.bytes), 0)::bigint FROM archive_studyusage u WHERE u.study_id = s.id)
    FROM archive_study s JOIN archive_patient p ON p.id = s.patient_id
    WHERE s.id = ANY(%s) ORDER BY s.id
"""


def facts_of(studies: Sequence[int]) -> list[StudyFacts]:
    """The facts of those of the studies (primary keys) that are there, by primary key."""
    with connection.cursor() as cursor:
        cursor.execute(_FACTS, [list(studies)])
        rows = cursor.fetchall()
    obstacles = obstacles_of([row[0] for row in rows])
    return [_facts(row, obstacles.get(row[0], [])) for row in rows]


def _facts(row: Sequence[Any], obstacles: Sequence[str]) -> StudyFacts:
    pk, uid, study_date, birth_date, changed, modalities, institution, description, parts, later, number, size = row
    studied, born = day_of(study_date), day_of(birth_date)
    if studied and born and born > studied:
        # One of the two is wrong, and nobody knows which.
        studied = born = None
    return StudyFacts(
        pk=pk,
        study_instance_uid=uid,
        study_date=studied,
        birth_date=born,
        changed_at=changed,
        modalities=modalities,
        institution=institution,
        description=description,
        body_parts=parts,
        later_mammography=later,
        instances=number,
        bytes=size,
        obstacles=obstacles,
    )


def day_of(text: str) -> date | None:
    """A DA value (PS3.5 6.2); None for what is no day, and for days to come."""
    try:
        day = datetime.strptime(text.strip(), "%Y%m%d").date()
    except ValueError:
        return None
    return day if day <= date.today() else None

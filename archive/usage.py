"""How much is kept, by site, modality and the month in which the study came."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection

_USAGE: Final = """
    SELECT COALESCE(s.institution_name, ''), u.modality, to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
        count(DISTINCT u.study_id), sum(u.instances)::bigint, sum(u.bytes)::bigint
    FROM archive_studyusage u JOIN archive_study s ON s.id = u.study_id
    GROUP BY 1, 2, 3 ORDER BY 3 DESC, 6 DESC, 1, 2
"""


@dataclass(frozen=True, slots=True)
class Usage:
    """What studies of one site that came in one month (UTC, as 2026-11) hold of one modality."""

    site: str
    modality: str
    month: str
    studies: int
    instances: int
    bytes: int


def usage() -> Sequence[Usage]:
    """All of it, the newest month first. Reads one row for each study and modality."""
    with connection.cursor() as cursor:
        cursor.execute(_USAGE)
        return [Usage(*row) for row in cursor.fetchall()]

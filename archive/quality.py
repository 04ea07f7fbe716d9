"""Findings about images as rows: written by the worker that draws the thumbnails, listed for those who look after them.

A finding goes with its instance. Writing is idempotent: what is known of an instance becomes what was found last.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet
from psycopg.types.json import Jsonb

from archive.index_rows import execute
from archive.locate import within
from archive.models import QualityFinding, Study
from dicom.quality_codes import CODES, Finding

# Rows that a worker writes stay as they are where nothing changed, and so does the time they were made.
_WRITE = """
    WITH found AS (SELECT * FROM {rows} AS k (instance_id, code, severity, frame, numbers)), written AS (
        INSERT INTO archive_qualityfinding AS f (instance_id, code, severity, frame, numbers)
        SELECT k.* FROM found k JOIN archive_instance i ON i.id = k.instance_id ORDER BY k.instance_id, k.code
        ON CONFLICT (instance_id, code) DO UPDATE SET
            severity = EXCLUDED.severity, frame = EXCLUDED.frame, numbers = EXCLUDED.numbers
        WHERE (f.severity, f.frame, f.numbers) <> (EXCLUDED.severity, EXCLUDED.frame, EXCLUDED.numbers)
    ) SELECT 1
"""


def write(found: Mapping[int, Iterable[Finding]]) -> None:
    """Make these the findings of the instances with these primary keys, in the current transaction.

    To be called while the series is locked, so that no instance is deleted meanwhile.
    """
    named = {pk: {finding.code: finding for finding in findings} for pk, findings in found.items()}
    old = QualityFinding.objects.filter(instance__in=list(named)).values_list("pk", "instance_id", "code")
    QualityFinding.objects.filter(pk__in=[row for row, pk, code in old if code not in named[pk]]).delete()
    rows = [
        (pk, code, CODES[code].severity, finding.frame, Jsonb(_finite(finding.numbers)))
        for pk, findings in named.items()
        for code, finding in findings.items()
    ]
    if rows:
        execute(_WRITE, ["bigint", "text", "text", "int", "jsonb"], rows)


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    """What JSON has words for."""
    return {name: number for name, number in numbers.items() if math.isfinite(number)}


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as it is listed: its row, what and how much, and where."""

    pk: int
    code: str
    severity: str
    frame: int
    numbers: Mapping[str, float]
    made_at: datetime
    modality: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


_COLUMNS = (
    "pk",
    "code",
    "severity",
    "frame",
    "numbers",
    "made_at",
    "instance__series__modality",
    "instance__series__study__study_instance_uid",
    "instance__series__series_instance_uid",
    "instance__sop_instance_uid",
)


def findings(
    scope: QuerySet[Study], *, code: str = "", study_instance_uid: str = "", before: int | None = None, limit: int
) -> list[Found]:
    """Findings about instances within ``scope``, the latest first, in one query; those below the row ``before``."""
    rows = within(QualityFinding.objects.all(), scope, "instance__series__study")
    if code:
        rows = rows.filter(code=code)
    if study_instance_uid:
        rows = rows.filter(instance__series__study__study_instance_uid=study_instance_uid)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [Found(*row) for row in rows.order_by("-pk").values_list(*_COLUMNS)[:limit]]

"""Where the studies were made that a release stored which did not keep it: read from their metadata, once."""

from collections.abc import Iterator
from typing import Final

from archive.extended_reindex import read_series
from archive.index_rows import trimmed
from archive.models import Series, Study
from dicom.attributes import PLACES

STEP: Final = 500


def unplaced() -> int:
    """How many studies there are of which nobody knows where they were made; a limit to a place hides them."""
    return Study.objects.filter(institution_name=None).count()


def place_studies() -> Iterator[int]:
    """Read and keep the places of all such studies; yields the number done, study after study.

    A study is placed by the first of its objects that names an institution, else a department. May be stopped and begun
    anew at any time. Raises ``ArchiveUnavailable`` if the object store does not answer.
    """
    last = done = 0
    while pks := list(
        Study.objects.filter(institution_name=None, pk__gt=last).order_by("pk").values_list("pk", flat=True)[:STEP]
    ):
        for pk in pks:
            institution, department = _found(pk)
            Study.objects.filter(pk=pk, institution_name=None).update(
                institution_name=institution, institutional_department_name=department
            )
            done += 1
            yield done
        last = pks[-1]


def _found(study: int) -> tuple[str, str]:
    """Institution and department, "" where nothing readable names one."""
    best = ("", "")
    for series in Series.objects.filter(study=study).select_related("study", "document").order_by("pk"):
        for data_set in read_series(series).values():
            if isinstance(data_set, str):
                continue
            institution, department = (_text(data_set.get(tag)) for tag in PLACES.values())
            if institution:
                return institution, department
            best = best if best[1] else ("", department)
    return best


def _text(attribute: object) -> str:
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return trimmed("\\".join(str(value) for value in values)) if isinstance(values, list) else ""

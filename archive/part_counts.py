"""What is said of a study that is reached in part: counts and modalities are those of the series that are reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import orjson
from django.db.models import Exists, OuterRef, QuerySet

from archive import answers
from archive.models import Series, Study
from archive.scope_sql import Piece, Pieces, Written, pieces_of, written
from audit.prepared import PreparedSql


@dataclass(frozen=True, slots=True)
class PartCounts:
    """How many series and instances of a study are reached, and their modalities."""

    modalities: tuple[str, ...]
    series: int
    instances: int


def part_counts(pieces: Pieces) -> Mapping[str, PartCounts]:
    """The counts of the studies that a scope of these ``pieces`` reaches in part, by Study Instance UID.

    One query, and none where no study can be reached in part.
    """
    if "series" not in pieces:
        return {}
    found: dict[str, list[tuple[str, int]]] = {}
    sql, parameters = _parts().filled((), pieces)
    for uid, modality, instances in PreparedSql(sql).rows(parameters):
        found.setdefault(uid, []).append((modality, instances))
    return {
        uid: PartCounts(
            tuple(sorted({modality for modality, _ in parts if modality})),
            len(parts),
            sum(instances for _, instances in parts),
        )
        for uid, parts in found.items()
    }


@lru_cache(maxsize=1)
def _parts() -> Written:
    """The series of studies that are reached in part, with the UID of their study."""
    whole = Study.objects.filter(pk=OuterRef("study"), pk__in=Piece("whole"))
    series = Series.objects.filter(pk__in=Piece("series")).exclude(Exists(whole))
    return written(series.values_list("study__study_instance_uid", "modality", "number_of_series_related_instances"))


def with_part_counts(texts: Sequence[str], pieces: Pieces) -> Sequence[str]:
    """Answers of a search within a scope, as far as they have counts and modalities of studies reached in part."""
    counts = part_counts(pieces) if texts else {}
    return [_text(text, counts) for text in texts] if counts else texts


def count_parts(studies: Sequence[Study], scope: QuerySet[Study]) -> None:
    """The same for rows that are at hand and not saved."""
    counts = part_counts(pieces_of(scope)) if studies else {}
    for study in studies:
        if (known := counts.get(study.study_instance_uid)) is not None:
            study.modalities_in_study = list(known.modalities)
            study.number_of_study_related_series = known.series
            study.number_of_study_related_instances = known.instances


def _text(text: str, counts: Mapping[str, PartCounts]) -> str:
    answer = orjson.loads(text)
    known = counts.get((answer.get(answers.STUDY_INSTANCE_UID, {}).get("Value") or [""])[0])
    if known is None:
        return text
    said = orjson.loads(answers.study_counts(known.modalities, known.series, known.instances))
    return orjson.dumps({tag: said.get(tag, value) for tag, value in answer.items()}).decode()

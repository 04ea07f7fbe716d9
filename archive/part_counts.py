"""What is said of a study that is reached in part: counts and modalities are those of the series that are reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from django.db.models import Exists, OuterRef, QuerySet

from archive import answers
from archive.models import Study
from archive.study_scope import StudyScope


@dataclass(frozen=True, slots=True)
class PartCounts:
    """How many series and instances of a study are reached, and their modalities."""

    modalities: tuple[str, ...]
    series: int
    instances: int


def part_counts(scope: QuerySet[Study]) -> Mapping[str, PartCounts]:
    """The counts of the studies that ``scope`` reaches in part, by Study Instance UID.

    One query, and none where no study can be reached in part.
    """
    if not isinstance(scope, StudyScope) or scope.parts is None:
        return {}
    _, series, whole = scope.parts
    rows = series.exclude(Exists(whole.filter(pk=OuterRef("study")))).values_list(
        "study__study_instance_uid", "modality", "number_of_series_related_instances"
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for uid, modality, instances in rows:
        found.setdefault(uid, []).append((modality, instances))
    return {
        uid: PartCounts(
            tuple(sorted({modality for modality, _ in parts if modality})),
            len(parts),
            sum(instances for _, instances in parts),
        )
        for uid, parts in found.items()
    }


def with_part_counts(texts: Sequence[str], scope: QuerySet[Study]) -> Sequence[str]:
    """Answers of a search within ``scope``, as far as they have counts and modalities of studies reached in part."""
    counts = part_counts(scope) if texts else {}
    return [_text(text, counts) for text in texts] if counts else texts


def count_parts(studies: Sequence[Study], scope: QuerySet[Study]) -> None:
    """The same for rows that are at hand and not saved."""
    counts = part_counts(scope) if studies else {}
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

"""Further attributes of found instances out of the prepared metadata of their series (PS3.18 8.3.4.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import QuerySet

from archive import answers
from archive.locate import within
from archive.metadata import objects_of, series_document
from archive.models import Series, Study

# One document is read for each series; a page of a list rarely has more than a few.
MOST_SERIES = 100

_UID = "00080018"
_Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Extended:
    """Answers as DICOM JSON texts, the studies that were read for them, and whether all series were."""

    answers: tuple[str, ...]
    study_instance_uids: tuple[str, ...]
    complete: bool


def with_stored(texts: Sequence[str], wanted: frozenset[str] | None, scope: QuerySet[Study], root: str) -> Extended:
    """Answers of instances with those of the ``wanted`` tags (``None``: all) that are stored in them.

    Nothing is added where the study is not in ``scope``, and beyond the first ``MOST_SERIES`` series. One query
    whatever the number of answers, and one document of each series; one that isn't prepared yet is prepared. Raises
    ``ArchiveUnavailable``.
    """
    found: list[_Answer] = [orjson.loads(text) for text in texts]
    of_series: dict[tuple[str, str], dict[str, _Answer]] = {}
    for answer in found:
        study, series, instance = (
            _value(answer, tag) for tag in (answers.STUDY_INSTANCE_UID, answers.SERIES_INSTANCE_UID, _UID)
        )
        of_series.setdefault((study, series), {})[instance] = answer
    asked = dict(list(of_series.items())[:MOST_SERIES])
    studies = set()
    for row in _series(list(asked), scope):
        key = (row.study.study_instance_uid, row.series_instance_uid)
        if key in asked:
            studies.add(key[0])
            _add(asked[key], objects_of(series_document(row, root)), wanted)
    merged = tuple(orjson.dumps(answer, option=orjson.OPT_SORT_KEYS).decode() for answer in found)
    return Extended(merged, tuple(sorted(studies)), complete=len(asked) == len(of_series))


def _series(keys: Sequence[tuple[str, str]], scope: QuerySet[Study]) -> list[Series]:
    rows = Series.objects.filter(
        study__study_instance_uid__in=[study for study, _ in keys],
        series_instance_uid__in=[series for _, series in keys],
    )
    return list(within(rows, scope, "study").select_related("study", "document"))


def _add(instances: Mapping[str, _Answer], lines: Sequence[bytes], wanted: frozenset[str] | None) -> None:
    for line in lines:
        stored: _Answer = orjson.loads(line)
        answer = instances.get(_value(stored, _UID))
        if answer is None:
            continue
        for tag, attribute in stored.items():
            # What the index says of it is there already, and is what was matched.
            if (wanted is None or tag in wanted) and tag not in answer:
                answer[tag] = attribute


def _value(answer: _Answer, tag: str) -> str:
    return str((answer.get(tag, {}).get("Value") or [""])[0])

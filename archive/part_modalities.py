"""Modalities in Study as a key, where a study may be reached in part: those of the series that are reached count.

The array of the study has the modalities of all its series; a match with it would tell of series that aren't reached.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db.models import F, Func, Model, OuterRef, Q, QuerySet, TextField

from archive.models import Study
from archive.study_scope import StudyScope

Row = TypeVar("Row", bound=Model)
_REACHED: Final = "reached_modalities"
# The way to the study -> the way to its array.
_ARRAYS: Final[Mapping[str, str]] = {
    "pk": "modalities_in_study",
    "study": "study__modalities_in_study",
    "series__study": "series__study__modalities_in_study",
}


class _Each(Func):
    """The values of a modality, which objects that keep no rules have several of."""

    template = r"unnest(string_to_array(%(expressions)s, '\'))"
    output_field = TextField()
    set_returning = True


def with_modalities(
    rows: QuerySet[Row], scope: QuerySet[Study], path: str, matching: Callable[[str], Q], *, empty: bool = False
) -> QuerySet[Row]:
    """Those of ``rows``, which are within ``scope``, whose study (reached by ``path``) has the modalities asked for.

    ``matching`` is the condition on an array at a path; with ``empty`` it is that there are none.
    """
    found = matching(_ARRAYS[path])
    if not isinstance(scope, StudyScope) or scope.parts is None:
        return rows.filter(found)
    partial, series, whole = scope.parts
    in_whole = ~Q(**{f"{path}__in": partial}) | Q(**{f"{path}__in": whole})
    own: Any = series.filter(study=OuterRef(path)).exclude(modality="").order_by().values(one=_Each(F("modality")))
    reached: QuerySet[Row] = rows.annotate(**{_REACHED: ArraySubquery(own, output_field=ArrayField(TextField()))})
    if empty:
        return reached.filter((found & in_whole) | (matching(_REACHED) & ~in_whole))
    # What some of the series have all of them have: the index finds the studies, and the parts are looked at after it.
    return reached.filter(found).filter(in_whole | matching(_REACHED))

"""The studies that somebody may use, as one queryset; of studies that are reached in part, which series those are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from archive.models import Series, Study


class StudyScope(models.QuerySet["Study"]):
    """Studies, with things more that a limit on studies can't say. Both stay when the queryset is refined.

    ``everything``: these are all studies but for exceptions, so that whoever has this scope is told of what was
    deleted, too, but for the UIDs that are ``untold``. ``parts``: None, or the keys of studies of which some series are
    reached one by one, these series, and the studies of which all are.
    """

    everything: bool = False
    untold: models.QuerySet[Any] | None = None
    parts: tuple[models.QuerySet[Any], models.QuerySet[Series], models.QuerySet[Study]] | None = None

    def of_everything(self, untold: models.QuerySet[Any] | None = None) -> StudyScope:
        """The same studies, as the scope of somebody who may know of all that are not among them for a reason, and of
        what was deleted but for what has these UIDs.
        """
        clone = self.all()
        clone.everything, clone.untold = True, untold
        return clone

    def in_parts(
        self, partial: models.QuerySet[Any], series: models.QuerySet[Series], whole: models.QuerySet[Study]
    ) -> StudyScope:
        """The same studies, but of ``partial`` ones that are not in ``whole`` only those of ``series``."""
        clone = self.all()
        clone.parts = (partial, series, whole)
        return clone

    def _clone(self) -> Any:
        clone = super()._clone()  # type: ignore[misc]
        clone.everything, clone.untold, clone.parts = self.everything, self.untold, self.parts
        return clone


class ReadyScope(StudyScope):
    """A limited scope whose queries are at hand as SQL, its ``pieces`` (``archive.scope_sql``).

    It becomes a queryset, which says the same, when it is used as one; what is refined has no pieces.
    """

    pieces: Mapping[str, tuple[str, tuple[Any, ...]]] | None = None
    _build: Callable[[], StudyScope] | None = None
    _parts: Any = None

    @classmethod
    def of(
        cls, model: type[Study], pieces: Mapping[str, tuple[str, tuple[Any, ...]]], build: Callable[[], StudyScope]
    ) -> ReadyScope:
        """The scope that ``build`` gives, and what its queries are."""
        scope = cls(model)
        scope.pieces, scope._build = pieces, build
        return scope

    @property
    def query(self) -> Any:  # type: ignore[override]
        """Django's query, built when somebody asks for it."""
        if self._build is not None:
            build, self._build = self._build, None
            built = build()
            self._query, self._parts = built.query, built.parts
        return super().query

    @property
    def parts(self) -> Any:
        """As of any scope."""
        return self._parts if self.query is not None else None

    @parts.setter
    def parts(self, parts: Any) -> None:
        self._parts = parts

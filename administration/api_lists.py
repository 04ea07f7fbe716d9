"""Parts of the lists of the API: counted rows leave some out when others come and go in between, ``after`` doesn't."""

from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from administration.api import UUID_PATTERN, BadInput

MOST: Final = 200
LIMIT: Final = OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 50})
OFFSET: Final = OpenApiParameter("offset", {"type": "integer", "minimum": 0, "maximum": 1_000_000, "default": 0})
_AFTER: Final = "go on behind the entry of this id, the last one of the part before"
PAGING: Final = (
    LIMIT,
    OFFSET,
    OpenApiParameter("after", {"type": "string", "pattern": UUID_PATTERN}, description=_AFTER),
)
PAGING_BY_NUMBER: Final = (
    LIMIT,
    OFFSET,
    OpenApiParameter("after", {"type": "integer", "minimum": 0}, description=_AFTER),
)
Row = TypeVar("Row", bound=Model)


class Paging(serializers.Serializer):  # type: ignore[type-arg]
    """Which part of a list."""

    limit = serializers.IntegerField(min_value=1, max_value=MOST, default=50)
    offset = serializers.IntegerField(min_value=0, max_value=1_000_000, default=0)
    after = serializers.UUIDField(required=False)


def part(found: QuerySet[Row], asked: dict[str, Any], name: str) -> QuerySet[Row]:
    """The part of ``found``, which are accounts in the order of ``name``, that is asked for.

    An account that is behind the last one of a part stays there, whatever is made or changed meanwhile. Raises BadInput
    for an id that no account has.
    """
    if "after" in asked:
        last = found.model._default_manager.filter(external_id=asked["after"]).values_list(name, flat=True).first()
        if last is None:
            raise BadInput("after: there is none of this id")
        found = found.filter(**{f"{name}__gt": last})
    return found[asked["offset"] : asked["offset"] + asked["limit"]]

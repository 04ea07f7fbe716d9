"""What machines do: how many of their tokens are good now, and when each was last heard of."""

from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast, Coalesce, Now
from oauth2_provider.models import get_access_token_model

from access.models import Client
from audit.models import AccessEvent


def with_activity(found: QuerySet[Client]) -> QuerySet[Any]:
    """These clients with ``tokens_now``, and ``heard_at``: when the trail last speaks of something that each did."""
    good = get_access_token_model().objects.filter(application=OuterRef("pk"), expires__gt=Now())
    counted = good.order_by().values("application").annotate(count=Count("pk")).values("count")
    own = AccessEvent.objects.filter(principal_id=Cast(OuterRef("external_id"), TextField()))
    return found.annotate(
        tokens_now=Coalesce(Subquery(counted, output_field=IntegerField()), 0),
        heard_at=Subquery(own.order_by("-sequence").values("recorded_at")[:1]),
    )

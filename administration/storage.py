"""How much is stored: by site against its quota, by modality and by month."""

from collections import Counter
from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from administration.door import looking, show
from archive.quota import stored_bytes
from archive.usage import Usage, usage


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The tables."""
    looking(request)
    rows = usage()
    quotas = settings.PACS.quota.sites
    sites = _added(rows, "site")
    context = {
        "total": stored_bytes(),
        "quota": settings.PACS.limits.archive_bytes,
        "sites": [(site, size, quotas.get(site)) for site, size in sites],
        "modalities": _added(rows, "modality"),
        "months": sorted(_added(rows, "month"), reverse=True),
    }
    return show(request, "storage.html", "how much is stored", context)


def _added(rows: Sequence[Usage], column: str) -> list[tuple[str, int]]:
    totals: Counter[str] = Counter()
    for row in rows:
        totals[getattr(row, column)] += row.bytes
    return totals.most_common()

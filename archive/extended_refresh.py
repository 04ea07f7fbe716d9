"""After a deletion of a part: what the rest of a study still says of the attributes declared for studies and series."""

from django.db import transaction
from django.db.models import Q

from archive import extended_values, outbox
from archive.errors import ArchiveUnavailable
from archive.extended_declaration import ExtendedAttribute
from archive.extended_models import ExtendedTag, ExtendedValue
from archive.extended_reindex import indexables, read_series
from archive.extended_values import Extracted
from archive.models import Series, Study
from archive.outbox import Wish

_ATTEMPTS = 10


def wishes(study: int) -> list[Wish]:
    """The task that a study needs of which a part was deleted; none while nothing is declared above instances."""
    needed = ExtendedTag.objects.exclude(level="instance").exists()
    return [Wish(outbox.EXTENDED_REFRESH, str(study))] if needed else []


def refresh(subject: str) -> None:
    """The task: bring the values of the study with this primary key, and of its series, up to date."""
    for _ in range(_ATTEMPTS):
        if _refreshed(int(subject)):
            return
    raise ArchiveUnavailable("the study is changing too fast")


def _refreshed(study: int) -> bool:
    """``False``, and nothing done, if the study or the tags changed while it was read."""
    with transaction.atomic():
        attributes = _above_instances()
    if not attributes:
        return True
    versions: dict[int, int] = {}
    found = Extracted(set(), [])
    for series in Series.objects.filter(study=study).select_related("study", "document"):
        versions[series.pk] = series.version
        part = extended_values.extracted(attributes, indexables(series, read_series(series)))
        found.values.update(part.values)
        found.errors.extend(part.errors)
    with transaction.atomic():
        if _above_instances() != attributes:
            return False
        if not Study.objects.select_for_update().filter(pk=study).exists():
            return True
        if dict(Series.objects.filter(study=study).values_list("pk", "version")) != versions:
            return False
        of_owners = Q(tag__level="study", owner_id=study) | Q(tag__level="series", owner_id__in=list(versions))
        rows = ExtendedValue.objects.filter(of_owners, tag__in=[attribute.id for attribute in attributes])
        said = {value[:4] for value in found.values}
        kept = rows.values_list("pk", "tag_id", "owner_id", "position", "value")
        ExtendedValue.objects.filter(pk__in=[pk for pk, *value in kept if tuple(value) not in said]).delete()
        extended_values.write(found)
    return True


def _above_instances() -> list[ExtendedAttribute]:
    return [attribute for attribute in extended_values.writable() if attribute.level != "instance"]

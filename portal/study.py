"""One study: its series, each with the picture that stands for it."""

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from access import policy
from access.authentication import principal_of
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from archive.locate import within
from archive.models import Series, Study
from audit.kinds import REFUSED, SEARCH, Outcome
from audit.record import record
from dicom.uids import is_uid
from portal.rows import mark_of, study_row
from reports.visible import statuses

SHOWN = 500


@dataclass(frozen=True, slots=True)
class SeriesCard:
    """A series as the page shows it; ``label`` names its picture and says nothing of the patient."""

    uid: str
    number: str
    modality: str
    description: str
    instances: int
    pictured: bool
    label: str


@require_safe
def study_page(request: HttpRequest, study: str) -> HttpResponse:
    """The series of a study that the principal may see, in their order; as many queries for one as for hundreds."""
    principal = principal_of(request)
    if not policy.may(principal, Permission.SEARCH):
        record([event(request, REFUSED, principal, decision="deny", rule="search", outcome=Outcome.MINOR_FAILURE)])
        raise PermissionDenied
    scope = policy.visible_studies(principal, Permission.SEARCH)
    found = scope.select_related("patient").filter(study_instance_uid=study).first() if is_uid(study) else None
    if found is None:
        raise Http404
    cards = series_cards(principal, scope, found)
    # no rule of its own: of a patient who is open for an emergency it is that of the emergency
    whose = [found.patient.patient_id] if found.patient.patient_id else []
    record([event(request, SEARCH, principal, query="study page", study_uids=[study], patient_ids=whose)])
    context = {
        "row": study_row(found, policy.withheld(principal, Permission.SEARCH)),
        "cards": cards[:SHOWN],
        "more": len(cards) > SHOWN,
        "opens": any(card.pictured for card in cards),
        "report": mark_of(statuses(principal, [found.pk]).get(found.pk)),
        "principal": principal,
    }
    return render(request, "portal/study.html", context)


def series_cards(principal: Principal, scope: QuerySet[Study], study: Study) -> list[SeriesCard]:
    """The series of a study within ``scope``, in their order; one more than ``SHOWN`` says that there are more."""
    series = Series.objects.filter(study=study)
    opened = set(within(series, _images(principal), "study").values_list("pk", flat=True))
    rows = within(series, scope, "study").order_by("series_number", "id")
    return [_card(each, opened=each.pk in opened) for each in rows[: SHOWN + 1]]


def _images(principal: Principal) -> QuerySet[Study]:
    """The studies whose images the principal may open."""
    if not policy.may(principal, Permission.RETRIEVE):
        return Study.objects.none()
    return policy.visible_studies(principal, Permission.RETRIEVE)


def _card(series: Series, *, opened: bool) -> SeriesCard:
    number = "" if series.series_number is None else str(series.series_number)
    count = series.number_of_series_related_instances
    return SeriesCard(
        uid=series.series_instance_uid,
        number=number,
        modality=series.modality,
        description=series.series_description,
        instances=count,
        # Of a series that no worker has seen yet the picture is tried: it may be drawn on the spot.
        pictured=opened,
        label=f"{series.modality or 'Picture'}, series {number or 'without a number'}",
    )

"""Today's worklist: the steps of a day, what is urgent first, with what the order says and what came of it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from access import policy
from access.principal import Principal
from access.roles import Permission
from archive.models import Study
from archive.time_zones import site_zone
from dicom import readable
from technologist import words
from technologist.door import for_readers, show, write_down
from worklist.day import SHOWN, DayStep, Wanted, choices, day
from worklist.reach import visible_orders

PAGE_SIZE: Final = 50
LAST_PAGE: Final = 200


class Asked(forms.Form):
    """What may be asked in an address: nothing of a patient."""

    day = forms.DateField(required=False)
    modality = forms.CharField(required=False, max_length=16)
    station = forms.CharField(required=False, max_length=64)
    room = forms.CharField(required=False, max_length=200)
    show = forms.ChoiceField(required=False, choices=[(key, title) for key, (title, _) in SHOWN.items()])
    page = forms.IntegerField(required=False, min_value=1, max_value=LAST_PAGE)


@dataclass(frozen=True, slots=True)
class Row:
    """A step as the page shows it."""

    time: str
    urgent: bool
    high: bool
    patient: str
    about: str
    what: str
    accession: str
    modality: str
    stations: str
    room: str
    status: str
    late: bool
    order_status: str
    notes: tuple[tuple[str, str], ...]
    images: tuple[Any, ...]


@require_safe
@for_readers
def page(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The steps of a day, of today by the site's clock where none is named."""
    form = Asked(request.GET)
    given = form.cleaned_data if form.is_valid() else {}
    now = timezone.now().astimezone(site_zone(settings.PACS.time_zone))
    wanted = Wanted(
        day=given.get("day") or now.date(),
        modality=given.get("modality", "").strip(),
        station=given.get("station", "").strip(),
        room=given.get("room", "").strip(),
        show=given.get("show") or "open",
    )
    number = given.get("page") or 1
    orders = visible_orders(principal)
    found = day(wanted, orders, _images(principal), limit=PAGE_SIZE, offset=(number - 1) * PAGE_SIZE)
    uids = [each.study_instance_uid for step in found.steps for each in step.images]
    patient_ids = [step.patient.patient_id for step in found.steps]
    write_down(request, principal, f"worklist of {wanted.day}", study_uids=uids, patient_ids=patient_ids)
    context = {
        "form": form,
        "wanted": wanted,
        "rows": [_row(step, now) for step in found.steps],
        "more": found.more,
        "number": number,
        "choices": choices(wanted.day, orders),
        "shown": [(key, title) for key, (title, _) in SHOWN.items()],
        "today": now.date(),
        "days": _days(wanted, now.date()),
        "filtered": bool(wanted.modality or wanted.station or wanted.room or wanted.show != "open"),
        "query": urlencode(_query(wanted)),
    }
    return show(request, principal, "today.html", context, status=200 if form.is_valid() else 400)


def _images(principal: Principal) -> Any:
    if not policy.may(principal, Permission.SEARCH):
        return Study.objects.none()
    return policy.visible_studies(principal, Permission.SEARCH)


def _query(wanted: Wanted) -> dict[str, str]:
    asked = {"modality": wanted.modality, "station": wanted.station, "room": wanted.room, "show": wanted.show}
    named = {name: value for name, value in asked.items() if value and (name, value) != ("show", "open")}
    return {"day": wanted.day.isoformat()} | named


def _days(wanted: Wanted, today: date) -> dict[str, str]:
    """The queries of the day before, the day after, and today, with the same filter."""
    rest = {name: value for name, value in _query(wanted).items() if name != "day"}
    days = {"today": today}
    if wanted.day > date.min:
        days["before"] = wanted.day - timedelta(days=1)
    if wanted.day < date.max:
        days["after"] = wanted.day + timedelta(days=1)
    return {name: urlencode({"day": each.isoformat()} | rest) for name, each in days.items()}


def _row(found: DayStep, now: datetime) -> Row:
    step, order = found.step, found.step.procedure.order
    begins = f"{step.start_date}{step.start_time.partition('.')[0]:0<6}"
    return Row(
        time=readable.time(step.start_time),
        urgent=found.urgent,
        high=order.priority == "HIGH",
        patient=readable.person_name(found.patient.patient_name),
        about=words.patient_line(found.patient),
        what=" · ".join(dict.fromkeys(each for each in (found.step.procedure.description, step.description) if each)),
        accession=order.accession_number,
        modality=step.modality,
        stations=", ".join(dict.fromkeys(each for each in (*step.station_ae_titles, step.station_name) if each)),
        room=step.location,
        status=step.status.lower(),
        late=bool(step.start_time) and step.status == "SCHEDULED" and begins < f"{now:%Y%m%d%H%M%S}",
        order_status=order.status.lower() if order.status in ("HELD", "CANCELED", "DISCONTINUED", "REPLACED") else "",
        notes=found.notes,
        images=found.images,
    )

"""The schedule of one day as a technologist reads it: what is urgent first, with what the order says and what came.

Nothing of it is decided here: ``orders`` and ``studies`` are what the reader reaches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from archive.locate import within
from archive.models import Patient, Study
from worklist.models import Order, OrderStatus, ScheduledProcedureStep, StepStatus, StudyOrderLink

# Attributes of an order that whoever stands at the modality has to read, by keyword.
NOTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MedicalAlerts": "Alerts",
        "Allergies": "Allergies",
        "PatientState": "State",
        "RequestedProcedureComments": "Comments",
        "PatientTransportArrangements": "Transport",
        "PatientWeight": "Weight (kg)",
        "PatientSize": "Height (m)",
    }
)
URGENT: Final = "STAT"
_OVER: Final = (StepStatus.CANCELED, StepStatus.DISCONTINUED)
_PAST: Final = (*_OVER, StepStatus.COMPLETED)
_NOT_DONE: Final = (OrderStatus.HELD, OrderStatus.REPLACED, OrderStatus.CANCELED, OrderStatus.DISCONTINUED)
# What is shown -> the condition.
SHOWN: Final[Mapping[str, tuple[str, Q]]] = MappingProxyType(
    {
        "open": ("To do", ~Q(status__in=_PAST) & ~Q(procedure__order__status__in=_NOT_DONE)),
        "done": ("Done", Q(status=StepStatus.COMPLETED)),
        "all": ("All, cancelled ones too", Q()),
    }
)
_ORDERED: Final = Case(
    When(status__in=_PAST, then=Value(3)),
    When(procedure__order__priority=URGENT, then=Value(0)),
    When(procedure__order__priority="HIGH", then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which steps: those of a day, and of these of a modality, a station (AE title or name) or a room; "" for any."""

    day: date
    modality: str = ""
    station: str = ""
    room: str = ""
    show: str = "open"


@dataclass(frozen=True, slots=True)
class Images:
    """A study that answers the step's procedure."""

    study_instance_uid: str
    instances: int


@dataclass(frozen=True, slots=True)
class DayStep:
    """One step with its order and the patient as it is known now; ``notes`` are titles with texts."""

    step: ScheduledProcedureStep
    patient: Patient
    urgent: bool
    notes: tuple[tuple[str, str], ...]
    images: tuple[Images, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """A page of a day; ``more`` if another follows."""

    steps: tuple[DayStep, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What the steps of a day can be narrowed down to."""

    modalities: tuple[str, ...]
    stations: tuple[str, ...]
    rooms: tuple[str, ...]


def day(wanted: Wanted, orders: QuerySet[Order], studies: QuerySet[Study], *, limit: int, offset: int = 0) -> Day:
    """The steps, urgent ones first, then by time; past ones at the end. Three queries, whatever their number."""
    rows = _of_day(wanted.day, orders).filter(SHOWN[wanted.show][1])
    if wanted.modality:
        rows = rows.filter(modality=wanted.modality)
    if wanted.station:
        rows = rows.filter(Q(station_ae_titles__contains=[wanted.station]) | Q(station_name=wanted.station))
    if wanted.room:
        rows = rows.filter(location=wanted.room)
    related = rows.select_related("procedure__order__visit", "procedure__order__patient")
    found = list(related.order_by(_ORDERED, "start_time", "pk")[offset : offset + limit + 1])
    shown = found[:limit]
    persons = Patient.objects.in_bulk({row.procedure.order.patient.person for row in shown})
    images = _images({row.procedure_id for row in shown}, studies)
    steps = tuple(
        _step(row, persons[row.procedure.order.patient.person], images.get(row.procedure_id, ())) for row in shown
    )
    return Day(steps, len(found) > limit)


def choices(of: date, orders: QuerySet[Order]) -> Choices:
    """The modalities, stations and rooms of a day. One query."""
    rows = _of_day(of, orders).order_by().values_list("modality", "station_ae_titles", "station_name", "location")
    modalities: set[str] = set()
    stations: set[str] = set()
    rooms: set[str] = set()
    for modality, titles, name, room in rows.distinct()[:5_000]:
        modalities.add(modality)
        stations.update((*titles, name))
        rooms.add(room)
    return Choices(*(tuple(sorted(values - {""})) for values in (modalities, stations, rooms)))


def _of_day(of: date, orders: QuerySet[Order]) -> QuerySet[ScheduledProcedureStep]:
    rows = ScheduledProcedureStep.objects.filter(start_date=f"{of:%Y%m%d}")
    return rows.filter(procedure__order__in=orders) if orders.query.where else rows


def _images(procedures: set[int], studies: QuerySet[Study]) -> Mapping[int, Sequence[Images]]:
    links = StudyOrderLink.objects.filter(procedure__in=procedures)
    seen = within(Study.objects.filter(pk__in=links.values("study")), studies, "pk")
    found: dict[int, list[Images]] = {}
    for link in links.filter(study__in=seen.values("pk")).select_related("study").order_by("pk"):
        images = Images(link.study.study_instance_uid, link.study.number_of_study_related_instances)
        found.setdefault(link.procedure_id, []).append(images)
    return found


def _step(row: ScheduledProcedureStep, patient: Patient, images: Sequence[Images]) -> DayStep:
    order = row.procedure.order
    visit = order.visit
    notes = [("Reason", order.reason), ("Clinical", order.clinical_info)]
    notes += [(title, str(order.attributes.get(keyword, ""))) for keyword, title in NOTES.items()]
    if visit is not None and visit.pregnant:
        notes.insert(0, ("Pregnant", "yes"))
    told = {text: title for title, text in reversed(notes) if text}
    return DayStep(
        step=row,
        patient=patient,
        urgent=order.priority == URGENT,
        notes=tuple((title, text) for text, title in reversed(told.items())),
        images=tuple(images),
    )

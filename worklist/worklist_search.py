"""The modality worklist as data sets: what PS3.18 14 and C-FIND of PS3.4 K.6 ask for, over the rows of the schedule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db.models import Lookup, Q, QuerySet

from archive.errors import InvalidQuery
from archive.matching import combined, condition, has_wildcard, is_universal, pattern
from archive.models import Patient
from dicom.attributes import Attribute, Matching
from worklist.models import Order, OrderStatus, ScheduledProcedureStep, StepStatus
from worklist.worklist_item import item

# Nobody has to do anything about these any more, so that they are answered only to who asks for their status.
_PAST: Final = (StepStatus.CANCELED, StepStatus.DISCONTINUED, StepStatus.COMPLETED)
_SHOWN_ORDERS: Final = (
    OrderStatus.SCHEDULED,
    OrderStatus.ARRIVED,
    OrderStatus.STARTED,
    OrderStatus.COMPLETED,
    OrderStatus.REPORTED,
)
_ORDER, _PATIENT = "procedure__order__", "person__"


@ArrayField.register_lookup
class ElementLike(Lookup):
    """Some element of an array is ``LIKE`` the pattern."""

    lookup_name = "element_like"
    prepare_rhs = False

    def as_sql(self, compiler, connection):  # type: ignore[no-untyped-def]
        """The SQL of the comparison."""
        left, params = self.process_lhs(compiler, connection)
        return f"EXISTS (SELECT FROM unnest({left}) AS one WHERE one LIKE %s)", [*params, self.rhs]


def _key(keyword: str, tag: str, vr: str, matching: Matching, column: str) -> Attribute:
    return Attribute(keyword, tag, vr, "instance", matching, column, True)


# Of which sequence a key is, where it is not of the top level.
SEQUENCE: Final = "ScheduledProcedureStepSequence"
OF_STEPS: Final = frozenset(
    {
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepStartTime",
        "Modality",
        "ScheduledPerformingPhysicianName",
        "ScheduledProcedureStepID",
        "ScheduledProcedureStepStatus",
    }
)
# Matching keys (PS3.4 table K.6-1) by keyword, with the way to their columns; those of the Scheduled Procedure Step
# Sequence and of the top level have different names.
KEYS: Final[Mapping[str, Attribute]] = MappingProxyType(
    {
        key.keyword: key
        for key in (
            _key("ScheduledStationAETitle", "00400001", "AE", "wildcard", "station_ae_titles"),
            _key("ScheduledProcedureStepStartDate", "00400002", "DA", "date", "start_date"),
            _key("ScheduledProcedureStepStartTime", "00400003", "TM", "time", "start_time"),
            _key("Modality", "00080060", "CS", "single", "modality"),
            _key("ScheduledPerformingPhysicianName", "00400006", "PN", "person_name", "performing_physician_name"),
            _key("ScheduledProcedureStepID", "00400009", "SH", "wildcard", "step_id"),
            _key("ScheduledProcedureStepStatus", "00400020", "CS", "single", "status"),
            _key("PatientName", "00100010", "PN", "person_name", "person__patient_name"),
            _key("PatientID", "00100020", "LO", "wildcard", "person__patient_id"),
            _key("IssuerOfPatientID", "00100021", "LO", "wildcard", "person__issuer_of_patient_id"),
            _key("PatientBirthDate", "00100030", "DA", "date", "person__patient_birth_date"),
            _key("PatientSex", "00100040", "CS", "wildcard", "person__patient_sex"),
            _key("AccessionNumber", "00080050", "SH", "wildcard", "procedure__order__accession_number"),
            _key("RequestedProcedureID", "00401001", "SH", "wildcard", "procedure__procedure_id"),
            _key("StudyInstanceUID", "0020000D", "UI", "uid", "procedure__study_instance_uid"),
            _key("AdmissionID", "00380010", "LO", "wildcard", "procedure__order__visit__number"),
        )
    }
)


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """What is looked for: keywords of ``KEYS`` with texts to match, and which part of the list to answer."""

    matches: Mapping[str, str] = field(default_factory=dict)
    fuzzy: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class WorklistFound:
    """Answers as DICOM JSON objects (PS3.18 F.2) in the order of their start, and whether the limit cut the list."""

    items: tuple[dict[str, Any], ...]
    truncated: bool


def search(query: WorklistQuery, orders: QuerySet[Order]) -> WorklistFound:
    """The scheduled procedure steps of ``orders`` that match. Raises ``InvalidQuery``.

    Steps that came to an end are left out unless their status is asked for; so are orders on hold. A date and a time
    that are both ranges are one period (PS3.4 K.4.1.1.3.1). The queries are two, whatever the number of answers.
    """
    rows = _matching(query, orders).order_by("start_date", "start_time", "pk")
    related = rows.select_related("procedure__order__visit", "procedure__order__patient")
    found = list(related[query.offset : query.offset + query.limit + 1])
    persons = Patient.objects.in_bulk({row.procedure.order.patient.person for row in found})
    items = tuple(item(row, persons[row.procedure.order.patient.person]) for row in found[: query.limit])
    return WorklistFound(items, truncated=len(found) > query.limit)


def _matching(query: WorklistQuery, orders: QuerySet[Order]) -> QuerySet[ScheduledProcedureStep]:
    unknown = query.matches.keys() - KEYS.keys()
    if unknown:
        raise InvalidQuery(f"{min(unknown)} is no key of the worklist")
    asked = {keyword: text.strip() for keyword, text in query.matches.items() if not is_universal(text.strip())}
    rows = ScheduledProcedureStep.objects.filter(procedure__order__status__in=_SHOWN_ORDERS)
    if orders.query.where:
        rows = rows.filter(procedure__order__in=orders)
    if "ScheduledProcedureStepStatus" not in asked:
        rows = rows.exclude(status__in=_PAST)
    for keyword, special in _SPECIAL.items():
        if keyword in asked:
            rows = rows.filter(special(asked.pop(keyword)))
    dated = (KEYS[name] for name in ("ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"))
    date, time = ((key, key.column, asked.get(key.keyword, "")) for key in dated)
    if date[2] and time[2] and (period := combined(date, time)) is not None:
        rows = rows.filter(period)
        del asked[date[0].keyword], asked[time[0].keyword]
    for keyword, text in asked.items():
        rows = rows.filter(_condition(KEYS[keyword], text, fuzzy=query.fuzzy))
    return rows


def _condition(key: Attribute, text: str, *, fuzzy: bool) -> Q:
    if not key.column.startswith(_PATIENT):
        return condition(key, key.column, text, fuzzy=fuzzy) or Q()
    # Under whichever identifier the order came: the patient that it names now.
    of_person = condition(key, key.column.removeprefix(_PATIENT), text, fuzzy=fuzzy) or Q()
    persons = Patient.objects.filter(of_person, merged_into=None).values("pk")
    return Q(procedure__order__patient__in=persons) | Q(procedure__order__patient__merged_into__in=persons)


def _station(text: str) -> Q:
    """Any of the step's stations; AE titles are compared as they are."""
    if has_wildcard(text):
        return Q(station_ae_titles__element_like=pattern(text))
    return Q(station_ae_titles__contains=[text])


_SPECIAL: Final[Mapping[str, Callable[[str], Q]]] = MappingProxyType({"ScheduledStationAETitle": _station})

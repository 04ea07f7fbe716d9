"""Orders as locked rows: found by their numbers, written from what a message says, with at least one step each."""

import hashlib
from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4, uuid5

from archive.names import name_key
from archive.patient_facts import Moment
from archive.prepared_rows import PreparedRows, insert, update
from audit.prepared import PreparedSql
from dicom.uids import is_uid
from worklist.models import Order, RequestedProcedure, ScheduledProcedureStep
from worklist.order_messages import (
    Code,
    EntityIdentifier,
    OrderFacts,
    OrderRefusal,
    OrderRefused,
    ProcedureFacts,
    StepFacts,
)
from worklist.states import born

# SH (PS3.5 6.2): what is longer is refused, a part of it would be another number.
_LONGEST_ACCESSION = 16
_LONGEST_NUMBER = 64
# The name space of Study Instance UIDs that are derived from accession numbers.
_STUDIES = UUID("6a1d4d0e-7d0f-5a57-8a5b-6f2c1f2f9a10")
_LOCK = PreparedSql("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key")
_NUMBERED = PreparedRows(
    Order,
    "WHERE (filler_number = %s AND filler_issuer = %s AND filler_number <> '') "
    "OR (placer_number = %s AND placer_issuer = %s) ORDER BY id FOR UPDATE",
)
_PROCEDURES = PreparedRows(RequestedProcedure, "WHERE order_id = %s ORDER BY id FOR UPDATE")
# The visit of this number, if it is one of the order's patient.
_VISIT = PreparedSql(
    "SELECT v.id FROM worklist_visit v JOIN archive_patient p ON p.id = v.patient_id"
    " WHERE v.number = %s AND v.number <> '' AND v.issuer = %s AND COALESCE(p.merged_into_id, p.id)"
    " = (SELECT COALESCE(merged_into_id, id) FROM archive_patient WHERE id = %s)"
)
_STEPS = PreparedRows(ScheduledProcedureStep, "WHERE procedure_id = %s ORDER BY id FOR UPDATE")
_TOLD_OF_STEP = (
    "modality",
    "station_name",
    "location",
    "start_date",
    "start_time",
    "description",
)


_WRITTEN_OF_STEP = (
    *_TOLD_OF_STEP,
    *("performing_physician_name", "performing_physician_name_key", "station_ae_titles", "protocol_codes"),
)


def lock_numbers(facts: OrderFacts) -> None:
    """Wait until no other message about these order numbers is at work; the patient's lock is held already."""
    named = {f"{kind}\0{number.value}\0{number.issuer}" for kind, number in _numbers(facts)}
    keys = sorted(
        int.from_bytes(hashlib.blake2b(f"order\0{name}".encode(), digest_size=8).digest(), signed=True)
        for name in named
    )
    _LOCK.rows([keys])


def _numbers(facts: OrderFacts) -> list[tuple[str, EntityIdentifier]]:
    pairs = (("placer", facts.placer), ("filler", facts.filler))
    return [(kind, number) for kind, number in pairs if number is not None and number.value]


def _ids(facts: OrderFacts) -> Iterator[str | None]:
    """Whatever becomes part of a key."""
    for _, number in _numbers(facts):
        yield from (number.value, number.issuer)
    for procedure in facts.procedures:
        yield from (procedure.procedure_id, *(step.step_id for step in procedure.steps))


def find(facts: OrderFacts) -> Order | None:
    """The order that the numbers of a message name, locked. Raises ``OrderRefused``.

    The filler's number names one order; of the orders of one placer's number, which the filler may have split, it is
    the one with that filler's number or still without any.
    """
    numbers = dict(_numbers(facts))
    if any(len(part or "") > _LONGEST_NUMBER for part in _ids(facts)):
        text = f"an order number, or the id of a procedure or step, has more than {_LONGEST_NUMBER} characters"
        raise OrderRefused(OrderRefusal.TOO_LONG, text)
    if not numbers:
        raise OrderRefused(OrderRefusal.NO_ORDER_NUMBER, "neither the placer's nor the filler's order number is there")
    filler, placer = numbers.get("filler"), numbers.get("placer")
    keys = [(each.value, each.issuer) if each else (None, None) for each in (filler, placer)]
    known = _NUMBERED(*keys[0], *keys[1])
    by_filler = next((order for order in known if (order.filler_number, order.filler_issuer) == keys[0]), None)
    by_placer = [order for order in known if (order.placer_number, order.placer_issuer) == keys[1]]
    if by_filler is not None:
        if placer and by_filler.placer_number and by_filler not in by_placer and by_placer:
            raise OrderRefused(OrderRefusal.AMBIGUOUS_ORDER, "ORC-2 and ORC-3 name different orders")
        return by_filler
    open_ones = [order for order in by_placer if not (filler and order.filler_number)]
    if len(open_ones) > 1:
        raise OrderRefused(OrderRefusal.AMBIGUOUS_ORDER, "several orders have this ORC-2")
    return open_ones[0] if open_ones else None


def named(number: EntityIdentifier) -> Order | None:
    """The order that another one names, by either number."""
    for kind in ("filler", "placer"):
        found = Order.objects.filter(**{f"{kind}_number": number.value, f"{kind}_issuer": number.issuer})
        if (order := found.order_by("-pk").first()) is not None:
            return order
    return None


def write(order: Order, facts: OrderFacts) -> None:
    """Write what is told of the order itself."""
    for kind, number in _numbers(facts):
        setattr(order, f"{kind}_number", number.value)
        setattr(order, f"{kind}_issuer", number.issuer)
    if facts.accession is not None:
        if len(facts.accession.value) > _LONGEST_ACCESSION:
            text = f"an accession number has at most {_LONGEST_ACCESSION} characters"
            raise OrderRefused(OrderRefusal.ACCESSION_TOO_LONG, text)
        order.accession_number, order.accession_issuer = facts.accession.value, facts.accession.issuer
    for told, column in (
        ("priority", "priority"),
        ("reason", "reason"),
        ("clinical_info", "clinical_info"),
        ("referring", "referring_physician_name"),
    ):
        if (value := getattr(facts, told)) is not None:
            setattr(order, column, value)
    if facts.visit is not None and facts.visit.value:
        known = _VISIT.row([facts.visit.value, facts.visit.issuer, order.patient_id])
        order.visit_id = known[0] if known else order.visit_id
    further = order.attributes | dict(facts.attributes)
    order.attributes = {keyword: value for keyword, value in further.items() if value}


def write_procedures(order: Order, facts: OrderFacts, moment: Moment) -> None:
    """Write the procedures and steps that a message names; what it does not name stays. Raises ``OrderRefused``.

    An order that asks for nothing in particular asks for one procedure of one step.
    """
    uids: dict[str, str] = {}
    for procedure in facts.procedures:
        uid = procedure.study_instance_uid
        if procedure.procedure_id and uid and uids.setdefault(procedure.procedure_id, uid) != uid:
            text = "the Study Instance UIDs (0020,000D) of one requested procedure differ"
            raise OrderRefused(OrderRefusal.STUDY_UIDS_DIFFER, text)
    for procedure in facts.procedures or (() if order.procedures.exists() else (ProcedureFacts(),)):
        _write_procedure(order, procedure, facts, moment)


def _write_procedure(order: Order, facts: ProcedureFacts, of: OrderFacts, moment: Moment) -> None:
    uid = facts.study_instance_uid
    if uid is not None and not is_uid(uid):
        raise OrderRefused(OrderRefusal.INVALID_UID, "StudyInstanceUID (0020,000D) is no UID")
    row = _procedure(order, facts.procedure_id or "", uid)
    if row is None:
        if not (uid or facts.procedure_id or order.accession_number):
            text = "accession number, Requested Procedure ID and Study Instance UID are all missing"
            raise OrderRefused(OrderRefusal.NO_PROCEDURE_IDENTIFIER, text)
        uid = uid or _derived_uid(order, facts, of.missing_study_uid)
        # A short hash: Requested Procedure ID (0040,1001) has at most 16 characters.
        short = f"P{hashlib.sha256(uid.encode()).hexdigest()[:12].upper()}"
        row = RequestedProcedure(order=order, procedure_id=facts.procedure_id or short, study_instance_uid=uid)
    row.study_instance_uid = uid or row.study_instance_uid
    row.code = _coded([facts.code])[0] if facts.code is not None else row.code
    row.description = row.description if facts.description is None else facts.description
    new = row.pk is None
    if new:
        insert(row)
    else:
        update(row, "study_instance_uid", "code", "description")
    known = {} if new else {step.step_id: step for step in _STEPS(row.pk)}
    for place, step in enumerate(facts.steps or (() if known else (StepFacts(),))):
        _write_step(row, known, step, place, moment)


def _procedure(order: Order, procedure_id: str, uid: str | None) -> RequestedProcedure | None:
    """The procedure meant: by its id, else by its study, else the only one there is."""
    rows = _PROCEDURES(order.pk)
    if procedure_id:
        return next((row for row in rows if row.procedure_id == procedure_id), None)
    if uid:
        return next((row for row in rows if row.study_instance_uid == uid), None)
    return rows[0] if len(rows) == 1 else None


def _derived_uid(order: Order, facts: ProcedureFacts, policy: str) -> str:
    """A Study Instance UID for an order that came without one (PS3.5 B.2): the same for all orders of one accession."""
    if policy == "reject":
        raise OrderRefused(OrderRefusal.NO_STUDY_UID, "the order has no Study Instance UID")
    if policy == "generate":
        return f"2.25.{uuid4().int}"
    of = (
        ("accession", order.accession_issuer, order.accession_number)
        if order.accession_number
        else ("procedure", order.filler_issuer, order.filler_number, order.placer_number, facts.procedure_id or "")
    )
    return f"2.25.{uuid5(_STUDIES, '|'.join(of)).int}"


def _write_step(
    row: RequestedProcedure, known: dict[str, ScheduledProcedureStep], facts: StepFacts, place: int, moment: Moment
) -> None:
    alone = next(iter(known.values())) if len(known) == 1 and not facts.step_id else None
    step_id = facts.step_id or (alone.step_id if alone else f"{row.procedure_id[:13]}{f'-{place}' if place else ''}")
    step = known.get(step_id)
    new = step is None
    if step is None:
        step = known[step_id] = ScheduledProcedureStep(procedure=row, step_id=step_id)
    for name in _TOLD_OF_STEP:
        if (value := getattr(facts, name)) is not None:
            setattr(step, name, value)
    if facts.performing_physician is not None:
        step.performing_physician_name = facts.performing_physician
        step.performing_physician_name_key = name_key(facts.performing_physician)
    step.station_ae_titles = list(facts.station_ae_titles) or step.station_ae_titles
    step.protocol_codes = _coded(facts.protocol_codes) or step.protocol_codes
    if new:
        insert(step)
        born(step, moment)
    else:
        update(step, *_WRITTEN_OF_STEP)


def _coded(codes: Sequence[Code | None]) -> list[list[str]]:
    return [[code.value, code.scheme, code.meaning] for code in codes if code is not None]

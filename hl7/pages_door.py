"""The door of everything that shows messages: who comes in, whose messages are closed, and the event of each answer.

All of a message is about a patient. Whoever has the right to interfaces reads all messages but those about somebody
whose record a mark closes to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, Final, ParamSpec

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from access import policy
from access.authentication import principal_of
from access.closed_patients import closed_patients
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from archive.models import Patient
from audit.kinds import REFUSED, SEARCH, EventKind, Outcome
from audit.record import record
from hl7.message_search import Asked
from hl7.models import Hl7Message
from hl7.shown_message import identifiers_in

RULE: Final = f"right:{Permission.INTERFACES.value}"
CLOSED: Final = "the record of the patient is closed"
Rest = ParamSpec("Rest")
View = Callable[Concatenate[HttpRequest, Principal, Rest], HttpResponseBase]


def may_look(principal: Principal) -> bool:
    """True for whoever has the right to interfaces; a token of one patient has none."""
    return policy.may(principal, Permission.INTERFACES)


def for_interfaces(view: View[Rest]) -> Callable[Concatenate[HttpRequest, Rest], HttpResponseBase]:
    """A page that gets the person, who may look. Raises PermissionDenied for others, with its event."""

    def guarded(request: HttpRequest, /, *args: Rest.args, **kwargs: Rest.kwargs) -> HttpResponseBase:
        principal = principal_of(request)
        if principal.kind != "person" or not may_look(principal):
            refuse(request, principal)
        return view(request, principal, *args, **kwargs)

    update_wrapper(guarded, view)
    return guarded


def refuse(request: HttpRequest, principal: Principal, why: str = "", *, patient_ids: Iterable[str] = ()) -> None:
    """Raises PermissionDenied, with its event."""
    told = {"decision": "deny", "rule": RULE, "outcome": Outcome.MINOR_FAILURE, "outcome_description": why}
    record([event(request, REFUSED, principal, **told, patient_ids=tuple(patient_ids))])
    raise PermissionDenied(why)


def write_down(
    request: HttpRequest, principal: Principal, what: str, *, kind: EventKind = SEARCH, **fields: Any
) -> None:
    """The event of an answer, before it: ``what`` was looked at or done. Raises AuditUnavailable."""
    record([event(request, kind, principal, rule=RULE, query=what, **fields)])


def show(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """The page, of which the event is written already."""
    return render(request, f"hl7/{template}", dict(context), status=status)


def about(message: Hl7Message) -> tuple[list[str], set[int]]:
    """The Patient IDs that a message names, and the persons whom they and its effect are about."""
    named = identifiers_in(message)
    rows = Patient.objects.filter(patient_id__in=named, unidentified_study_uid="").only("pk", "merged_into_id")
    persons = {row.person for row in rows}
    if message.patient:
        persons |= {row.person for row in Patient.objects.filter(pk=message.patient).only("pk", "merged_into_id")}
    return named, persons


def open_ones(principal: Principal, asked: Asked, rows: Sequence[Hl7Message]) -> list[Hl7Message]:
    """The messages found without those about somebody who is closed, where a patient or an order was asked for.

    That there are any would say what was asked. Four queries, whatever their number; none where nothing is marked.
    """
    closed = closed_patients(principal) if rows and (asked.patient or asked.order) else None
    if closed is None:
        return list(rows)
    # One at a time, so that the bytes of many messages are never in memory together.
    read = Hl7Message.objects.filter(pk__in=[row.pk for row in rows]).select_related("interface")
    named = {each.pk: set(identifiers_in(each)) for each in read.iterator(chunk_size=1)}
    of_name = Q(patient_id__in=set().union(*named.values()), unidentified_study_uid="")
    patients = list(
        Patient.objects.filter(of_name | Q(pk__in={row.patient for row in rows if row.patient})).only(
            "pk", "patient_id", "merged_into_id"
        )
    )
    hidden = set(closed.filter(pk__in={each.person for each in patients}).values_list("pk", flat=True))
    hiding = [each for each in patients if each.person in hidden]
    names, keys = {each.patient_id for each in hiding}, {each.pk for each in hiding}
    return [row for row in rows if row.patient not in keys and named.get(row.pk, set()).isdisjoint(names)]


def is_closed(principal: Principal, persons: set[int]) -> bool:
    """Whether a mark closes any of these persons to the principal."""
    closed = closed_patients(principal)
    return closed is not None and closed.filter(pk__in=persons).exists()

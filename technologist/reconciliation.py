"""The queue: studies that found no order, too many, or that of another patient; one of them; and what is decided."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.principal import Principal
from archive.errors import Conflict, NotFound
from audit.kinds import ORDER_RECORD
from dicom import readable
from dicom.uids import is_uid
from technologist import words
from technologist.door import corrected, for_judges, show, write_down
from worklist.models import Order, Outcome, RequestedProcedure
from worklist.queue import Waiting, waiting
from worklist.queue_view import DECISIONS, Case, Decision, Line, case, decide
from worklist.reach import visible_orders

PAGE_SIZE: Final = 50
LAST_PAGE: Final = 200


class Asked(forms.Form):
    """Which part of the queue."""

    outcome = forms.ChoiceField(required=False, choices=Outcome.choices)
    page = forms.IntegerField(required=False, min_value=1, max_value=LAST_PAGE)


class Judgement(forms.Form):
    """What somebody decided, why, and what they saw."""

    decision = forms.ChoiceField(choices=DECISIONS)
    procedure = forms.TypedMultipleChoiceField(coerce=int, required=False)
    reason = forms.CharField(max_length=500)
    state = forms.RegexField(r"^[0-9a-f]{32}$")
    confirmed = forms.BooleanField(required=False)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        ticked = [each for each in data.getlist("procedure") if each.isascii() and each.isdigit() and len(each) < 19]
        self.fields["procedure"].choices = [(each, each) for each in ticked]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Linking needs something to link to."""
        given: dict[str, Any] = self.cleaned_data
        if given.get("decision") == Decision.LINK and not given.get("procedure"):
            raise forms.ValidationError("Tick the order that the study answers.")
        return given


@dataclass(frozen=True, slots=True)
class Row:
    """A study of the queue as the list shows it."""

    uid: str
    patient: str
    about: str
    description: str
    accession: str
    date: str
    modalities: tuple[str, ...]
    outcome: str
    wrong: bool
    hidden: bool
    strangers: int
    proposals: int
    opened_at: datetime


@require_safe
@for_judges
def queue(request: HttpRequest, principal: Principal) -> HttpResponse:
    """What waits, the newest first."""
    form = Asked(request.GET)
    given = form.cleaned_data if form.is_valid() else {}
    number = given.get("page") or 1
    outcome = Outcome(given["outcome"]) if given.get("outcome") else None
    start = (number - 1) * PAGE_SIZE
    found = waiting(corrected(principal), outcome, limit=PAGE_SIZE + 1, offset=start)
    shown = found[:PAGE_SIZE]
    uids = [each.study.study_instance_uid for each in shown]
    whose = [each.study.patient.patient_id for each in shown]
    write_down(request, principal, "reconciliation queue", study_uids=uids, patient_ids=whose)
    context = {
        "rows": [_row(each) for each in shown],
        "outcomes": [each for each in Outcome.choices if each[0] != Outcome.LINKED],
        "outcome": outcome,
        "number": number,
        "more": len(found) > PAGE_SIZE,
    }
    return show(request, principal, "queue.html", context, status=200 if form.is_valid() else 400)


@require_http_methods(["GET", "HEAD", "POST"])
@for_judges
def one(request: HttpRequest, principal: Principal, study: str) -> HttpResponse:
    """One study beside the orders that could be meant. A number of an order is posted, and never part of an address."""
    sought = request.POST.get("sought", "").strip()[:64].replace("\0", "")
    return _page(request, principal, judged(principal, study, visible_orders(principal), sought=sought), sought=sought)


@require_POST
@for_judges
def judge(request: HttpRequest, principal: Principal, study: str) -> HttpResponse:
    """Decide. What is not confirmed yet is asked once more; what has changed meanwhile is shown anew."""
    orders = visible_orders(principal)
    found = judged(principal, study, orders)
    form = Judgement(request.POST)
    if not form.is_valid():
        return _page(request, principal, found, error=_words(form), status=400)
    given = form.cleaned_data
    decision = Decision(given["decision"])
    if not given["confirmed"]:
        named = RequestedProcedure.objects.filter(pk__in=given["procedure"], order__in=orders)
        context = {
            "case": found,
            "row": _heading(found),
            "given": given,
            "chosen": named.select_related("order__patient").order_by("pk"),
            "words": words.DECISIONS[decision],
        }
        write_down(request, principal, "reconciliation of a study", study_uids=[study], patient_ids=_whose(found))
        return show(request, principal, "confirm.html", context)
    try:
        carry_out(request, principal, found, decision, given["procedure"], given["reason"], given["state"])
    except (Conflict, NotFound) as error:
        return _page(request, principal, judged(principal, study, orders), error=f"{error}.".capitalize(), status=409)
    messages.success(request, f"{words.DECISIONS[decision][0]}: done.")
    return HttpResponseRedirect(reverse("reconciliation"))


def judged(principal: Principal, study: str, orders: QuerySet[Order], *, sought: str = "") -> Case:
    """The case of a study that the principal may correct. Raises Http404 for others."""
    scope = corrected(principal).select_related("patient", "original_patient")
    found = scope.filter(study_instance_uid=study).first() if is_uid(study) else None
    if found is None:
        raise Http404
    try:
        return case(found, orders, sought=sought)
    except NotFound:
        raise Http404 from None


def carry_out(
    request: HttpRequest,
    principal: Principal,
    found: Case,
    decision: Decision,
    procedures: list[int],
    reason: str,
    seen: str,
) -> tuple[int, ...]:
    """Decide, with its event; the procedures that the study answers now. Raises ``NotFound``, ``Conflict``."""
    reached = set(visible_orders(principal).filter(procedures__in=procedures).values_list("procedures", flat=True))
    if not reached.issuperset(procedures):
        raise NotFound("a requested procedure of these is not there")
    uid = found.study.study_instance_uid
    linked = decide(uid, decision, procedures, principal.name, seen)
    told = f"{decision.value}, linked to {list(linked)}: {reason}"
    write_down(
        request, principal, "reconciliation", kind=ORDER_RECORD, study_uids=[uid], patient_ids=_whose(found), text=told
    )
    return linked


def _whose(found: Case) -> list[str]:
    return [found.study.patient.patient_id, *(each.patient.patient_id for each in found.proposals)]


def _page(
    request: HttpRequest, principal: Principal, found: Case, *, sought: str = "", error: str = "", status: int = 200
) -> HttpResponse:
    uid = found.study.study_instance_uid
    write_down(request, principal, "reconciliation of a study", study_uids=[uid], patient_ids=_whose(found))
    context = {
        "case": found,
        "row": _heading(found),
        "lines": [_readable(line) for line in found.lines],
        "decisions": [
            (each, *words.DECISIONS[each])
            for each in found.decisions
            if each is not Decision.LINK or any(proposal.possible for proposal in found.proposals)
        ],
        "sought": sought,
        "error": error,
    }
    return show(request, principal, "one.html", context, status=status)


def _readable(line: Line) -> Line:
    """Names and dates as people write them."""
    say = _SAID.get(line.title)
    if say is None:
        return line
    orders = tuple((say(text), differs) for text, differs in line.orders)
    return Line(line.title, say(line.came), say(line.now), orders)


_SAID: Final[Mapping[str, Callable[[str], str]]] = {
    "Patient's name": readable.person_name,
    "Birth date": readable.date,
    "Date": readable.date,
}


def _heading(found: Case) -> dict[str, Any]:
    study = found.study
    return {
        "uid": study.study_instance_uid,
        "patient": readable.person_name(study.patient.patient_name),
        "about": words.patient_line(study.patient),
        "description": study.study_description,
        "date": readable.date(study.study_date),
        "accession": study.accession_number,
        "images": study.number_of_study_related_instances,
    }


def _row(found: Waiting) -> Row:
    study = found.study
    return Row(
        uid=study.study_instance_uid,
        patient=readable.person_name(study.patient.patient_name),
        about=words.patient_line(study.patient),
        description=study.study_description,
        accession=study.accession_number,
        date=readable.date(study.study_date),
        modalities=tuple(study.modalities_in_study),
        outcome=found.outcome.label,
        wrong=found.outcome in (Outcome.CONFLICT, Outcome.WRONG_ENTRY),
        hidden=study.quarantined,
        strangers=found.strangers,
        proposals=len(found.candidates),
        opened_at=found.opened_at,
    )


def _words(form: Judgement) -> str:
    errors = form.errors.as_data()
    if "reason" in errors:
        return "Say why."
    return str(next(iter(errors.values()))[0].message)

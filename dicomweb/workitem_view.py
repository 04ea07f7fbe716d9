"""What the resources of the Worklist Service share (PS3.18 11): its statuses, its warnings, the record of it."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.exceptions import PermissionDenied

from access.authentication import principal_of
from access.policy import scope
from archive.errors import Conflict
from audit import kinds
from audit.kinds import Action
from dicomweb.data_set_body import DataSet, data_set_of
from dicomweb.errors import BadRequest
from dicomweb.query_string import warning
from dicomweb.view import DicomwebView, dicomweb_root
from workitems.errors import Already, NotPermitted, Refusal, WorkItemRefused
from workitems.models import WorkItem
from workitems.reach import visible_workitems

_INCONSISTENT: Final = "The submitted request is inconsistent with the current state of the Workitem."
_UNCLAIMED: Final = "The target URI did not reference a claimed Workitem."
# Of PS3.18 11.6.3.2, 11.7.3.2 and 11.8.3.2; what isn't here says it with its own text.
WARNINGS: Final[Mapping[Refusal | Already, str]] = {
    Refusal.NO_LONGER_UPDATED: _INCONSISTENT,
    Refusal.ALREADY_IN_PROGRESS: _INCONSISTENT,
    Refusal.ONLY_BY_CREATE: _INCONSISTENT,
    Refusal.FINAL_STATE_NOT_MET: _INCONSISTENT,
    Refusal.NOT_IN_PROGRESS: _UNCLAIMED,
    Refusal.ALREADY_COMPLETED: "The UPS is already COMPLETED.",
    Refusal.NOT_REACHED: "The performer cannot be contacted.",
    Already.CANCELED: "The UPS is already in the requested state of CANCELED.",
    Already.COMPLETED: "The UPS is already in the requested state of COMPLETED.",
}
# What is wrong with the request itself (400); everything else contradicts what there is (409).
_BAD_REQUESTS: Final = frozenset(
    {
        Refusal.INVALID_DATA_SET,
        Refusal.NOT_SCHEDULED_AT_FIRST,
        Refusal.TRANSACTION_UID,
        Refusal.ONLY_BY_CREATE,
    }
)
# PS3.5 6.2: no control characters and no backslash; spaces at the ends don't count.
_AE_TITLE: Final = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
TRANSACTION_UID: Final = "00081195"
TRANSACTION_NAMES: Final = frozenset({"transaction-uid", "transaction_uid", "transactionuid", "transaction"})


class WorkItemView(DicomwebView):
    """A resource of the Worklist Service."""

    event = kinds.PROCEDURE_RECORD
    # Refusals that are bad requests of this transaction, besides those of all.
    bad_requests: ClassVar[frozenset[Refusal]] = frozenset()

    def reach(self, request: HttpRequest) -> QuerySet[WorkItem]:
        """The workitems on which the principal may use this resource, by the right that reaches furthest."""
        principal = principal_of(request)
        return visible_workitems(principal, max((self.permission, *self.partly), key=lambda p: scope(principal, p)))

    def note(self, request: HttpRequest, item: WorkItem, action: Action, what: str) -> None:
        """The event of what was done with a workitem; inside the transaction that did it."""
        self.record(
            request,
            action=action,
            outcome_description=f"workitem {item.uid}: {what}",
            study_uids=item.study_instance_uids,
            patient_ids=[item.patient_id] if item.patient_id else [],
        )

    def location(self, request: HttpRequest, uid: str) -> str:
        """The URL of a workitem."""
        return f"{dicomweb_root(request)}/workitems/{uid}"

    def _refusal(self, error: Exception) -> HttpResponseBase:
        if isinstance(error, NotPermitted):
            return super()._refusal(PermissionDenied(str(error)))
        if not isinstance(error, WorkItemRefused):
            return super()._refusal(error)
        is_bad = error.refusal in _BAD_REQUESTS | self.bad_requests
        response = super()._refusal((BadRequest if is_bad else Conflict)(str(error)))
        response["Warning"] = warning([WARNINGS.get(error.refusal, str(error))])
        return response


class ByMethod(WorkItemView):
    """A resource that is read with one right and written with another."""

    reads: type[WorkItemView]
    writes: type[WorkItemView]

    def initial(self, request: HttpRequest) -> None:
        """Ask for the right of the transaction that the method names."""
        named = self.writes if request.method == "POST" else self.reads
        self.permission, self.event = named.permission, named.event  # type: ignore[misc]
        self.partly, self.bad_requests = named.partly, named.bad_requests  # type: ignore[misc]
        super().initial(request)


def body_of(request: HttpRequest) -> DataSet:
    """The data set of the body; one without any body is empty."""
    if not request.META.get("CONTENT_TYPE") and request.META.get("CONTENT_LENGTH") in ("", "0", None):
        return {}
    return data_set_of(request)


def uid_in(data_set: Mapping[str, Any], tag: str) -> str:
    """A UID out of a body, "" if there is none. Raises ``BadRequest`` for what is no text."""
    values = (data_set.get(tag) or {}).get("Value") or [""]
    if len(values) != 1 or not isinstance(values[0] or "", str):
        raise BadRequest(f"({tag[:4]},{tag[4:]}): expected one UID")
    return (values[0] or "").strip()


def ae_title_in(text: str) -> str:
    """An AE title out of an address. Raises ``BadRequest`` for what is none."""
    stripped = text.strip(" ")
    if not _AE_TITLE.fullmatch(stripped):
        raise BadRequest("an AE title has 1 to 16 printable characters and no backslash")
    return stripped


def empty(status: int, *warnings: str) -> HttpResponse:
    """An answer without a body."""
    answer = HttpResponse(status=status)
    del answer["Content-Type"]
    if warnings:
        answer["Warning"] = warning(warnings)
    return answer

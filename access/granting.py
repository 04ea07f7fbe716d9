"""Grants made and ended one by one, for what is found already: a study, a series, or a patient with all studies."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from access.acting import Acting
from access.models import Client, Grant, User
from access.people import described
from access.refused_change import RefusedChange
from access.rights import Right
from archive.models import Patient, Series, Study
from audit.kinds import USER_CHANGED
from audit.record import record

RELATED: Final = ("user", "client", "study__patient", "series__study__patient", "patient", "granted_by")
OWN_GRANT: Final = "nobody grants something to themselves: ask another administrator"


def grant(
    account: User | Client,
    what: Study | Series | Patient,
    rights: Collection[Right],
    until: datetime | None,
    by: Acting,
) -> Grant:
    """Open a study, a series, or all of a patient, to a person or a machine, until then or without end.

    Role and grant must both allow what is done: ``rights`` narrow, and never widen, what the role may. Raises
    RefusedChange for a grant to oneself.
    """
    if by.is_account(account.external_id):
        raise RefusedChange(OWN_GRANT)
    named = sorted(right.value for right in rights)
    scope = {type(what).__name__.lower(): what}
    holder = {"user" if isinstance(account, User) else "client": account}
    with transaction.atomic():
        made: Grant = Grant.objects.create(rights=named, valid_until=until, granted_by=by.user, **scope, **holder)
        end = f"until {until.isoformat(timespec='minutes')}" if until else "without end"
        text = f"{described(account)} granted {_named(what)} {end}: {', '.join(named)}"
        record([by.event(USER_CHANGED, text, **_about(what))])
    return made


def end_grant(found: Grant, by: Acting) -> bool:
    """End the grant of a person or a machine, from the next request on; False if it had ended."""
    account, what = found.user or found.client, found.study or found.series or found.patient
    if account is None or what is None:
        raise RefusedChange("this belongs to a share link: end the link")
    with transaction.atomic():
        if not Grant.objects.filter(pk=found.pk).exclude(valid_until__lte=Now()).update(valid_until=Now()):
            return False
        record([by.event(USER_CHANGED, f"{described(account)}: the grant of {_named(what)} ended", **_about(what))])
    return True


def of_accounts() -> QuerySet[Grant]:
    """The grants of people and machines, newest first. Those of links and emergencies are their own."""
    found = Grant.objects.filter(Q(user__isnull=False) | Q(client__isnull=False), emergency__isnull=True)
    return found.select_related(*RELATED).order_by("-pk")


def _named(what: Study | Series | Patient) -> str:
    return {Study: "the study", Series: "the series", Patient: "all studies of the patient"}[type(what)]


def _about(what: Study | Series | Patient) -> dict[str, object]:
    if isinstance(what, Study):
        return {"study_uids": [what.study_instance_uid]}
    if isinstance(what, Series):
        return {"study_uids": [what.study.study_instance_uid], "series_uid": what.series_instance_uid}
    return {"patient_ids": [what.patient_id] if what.patient_id else []}

"""Grants as the lists of pages show them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from access import policy
from access.authentication import principal_of
from access.models import Client, Grant, User
from access.principal import Principal
from access.rights import Right
from access.roles import Permission
from administration.words import RIGHT_WORDS
from archive.models import Patient


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as a list shows it; ``what`` names a patient only to those who may find the study."""

    id: int
    holder: str
    holder_address: str
    what: str
    reach: str
    study_uid: str
    rights: list[str]
    names: list[str]
    given_by: str
    since: datetime
    until: datetime | None
    open: bool


def grant_rows(request: HttpRequest, grants: Iterable[Grant]) -> list[GrantRow]:
    """Grants as rows, for whoever asks."""
    found, now = list(grants), timezone.now()
    visible = _visible(principal_of(request), found)
    return [_row(each, visible, now) for each in found]


def _visible(principal: Principal, grants: list[Grant]) -> set[int]:
    """The keys of the patients of these grants of whom the principal may find a study."""
    patients = {patient.pk for each in grants if (patient := _patient(each))}
    studies = policy.visible_studies(principal, Permission.SEARCH).filter(patient__in=patients)
    return {study.patient_id for study in studies.only("patient")}


def _row(found: Grant, visible: set[int], now: datetime) -> GrantRow:
    account = found.user or found.client
    patient, study = _patient(found), found.study or (found.series.study if found.series else None)
    if patient is not None and patient.pk in visible:
        parts = [part for part in (patient.patient_id, patient.issuer_of_patient_id) if part]
        named = f"patient {' · '.join(parts)}" if parts else "a patient without ID"
    else:
        named = "a patient"
    return GrantRow(
        id=found.pk,
        holder=str(account.username if isinstance(account, User) else account.name) if account else "",
        holder_address=_address(account),
        what=named,
        reach="patient" if study is None else "series" if found.series else "study",
        study_uid=study.study_instance_uid if study else "",
        rights=["everything the role allows"] if len(found.rights) == len(Right) else [_word(r) for r in found.rights],
        names=found.rights,
        given_by=found.granted_by.username if found.granted_by else "command line",
        since=found.valid_from,
        until=found.valid_until,
        open=found.valid_from <= now and (found.valid_until is None or found.valid_until > now),
    )


def _patient(found: Grant) -> Patient | None:
    study = found.study or (found.series.study if found.series else None)
    return study.patient if study else found.patient


def _word(right: str) -> str:
    return RIGHT_WORDS.get(right, right)


def _address(account: User | Client | None) -> str:
    if account is None:
        return ""
    kind = "person" if isinstance(account, User) else "client"
    return reverse(f"administration-{kind}", args=[account.external_id])


def uids(rows: list[GrantRow]) -> list[str]:
    """The studies that the rows name."""
    return sorted({row.study_uid for row in rows if row.study_uid})

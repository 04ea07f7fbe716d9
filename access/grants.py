"""Studies, single series, or all studies of a patient, granted to people and machines; each change with its event."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from access.acting import COMMAND_LINE
from access.granting import grant
from access.models import Client, Grant, User
from access.people import Unknown, described, holder
from access.rights import Right
from access.trail import system_event
from archive.models import Patient, Series, Study
from audit.kinds import USER_CHANGED
from audit.record import record


def grant_study(
    name: str,
    study_instance_uid: str,
    until: datetime | None,
    *,
    rights: Sequence[Right] = tuple(Right),
    whole_patient: bool = False,
    series_instance_uid: str = "",
) -> None:
    """Open one study, one of its series, or all of its patient, to a person or a machine, until then or without end.
    Raises Unknown.

    Role and grant must both allow what is done: ``rights`` narrow, and never widen, what the role may.
    """
    with transaction.atomic():
        account, study = holder(name), study_of(study_instance_uid)
        what: Study | Series | Patient = series_of(study, series_instance_uid) if series_instance_uid else study
        grant(account, study.patient if whole_patient else what, rights, until, COMMAND_LINE)


def revoke_study(name: str, study_instance_uid: str) -> int:
    """End the grants to a person or a machine that reach the study; how many there were. Raises Unknown."""
    with transaction.atomic():
        account, study = holder(name), study_of(study_instance_uid)
        reaching = Grant.objects.filter(
            Q(study=study) | Q(series__study=study) | Q(patient=study.patient) | Q(patient__merged_into=study.patient),
            **_held_by(account),
        )
        ended = reaching.exclude(valid_until__lte=Now()).update(valid_until=Now())
        text = f"{described(account)}: {ended} grants of the study ended"
        record([system_event(USER_CHANGED, text, study_uids=[study_instance_uid])])
    return ended


def study_of(study_instance_uid: str) -> Study:
    """The study, with its patient. Raises Unknown."""
    study = Study.objects.select_related("patient").filter(study_instance_uid=study_instance_uid).first()
    if study is None:
        raise Unknown(f"there is no study {study_instance_uid}")
    return study


def series_of(study: Study, series_instance_uid: str) -> Series:
    """The series of this study. Raises Unknown."""
    series = Series.objects.filter(study=study, series_instance_uid=series_instance_uid).first()
    if series is None:
        raise Unknown(f"there is no series {series_instance_uid} in this study")
    return series


def _held_by(account: User | Client) -> dict[str, User | Client]:
    return {"user" if isinstance(account, User) else "client": account}

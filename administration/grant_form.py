"""The form for a new grant, and the grant that it asks for."""

from collections.abc import Iterable
from typing import Any, Final, TypeVar

from django import forms
from django.utils import timezone

from access.acting import Acting
from access.granting import grant
from access.models import Client, Grant, User
from access.people import Unknown, holder
from access.refused_change import RefusedChange
from access.rights import Right
from administration.days import end_of
from administration.words import RIGHT_WORDS
from archive.models import Patient, Series, Study

Found = TypeVar("Found", Study, Series, Patient)
# How far a grant may reach, and the field that names what.
FIELDS: Final = {"study": "study", "series": "series", "patient": "patient_id"}


class NewGrant(forms.Form):
    """What the form for a new grant asks for. Field names are those of the page and of the API."""

    holder = forms.CharField(max_length=255)
    reach = forms.ChoiceField(
        choices=[("study", "One study"), ("series", "One series"), ("patient", "All studies of a patient")]
    )
    study = forms.RegexField(r"^[0-9.]{1,64}$", max_length=64, required=False)
    series = forms.RegexField(r"^[0-9.]{1,64}$", max_length=64, required=False)
    patient_id = forms.CharField(max_length=64, required=False)
    issuer = forms.CharField(max_length=64, required=False)
    rights = forms.MultipleChoiceField(choices=[(right.value, RIGHT_WORDS[right]) for right in Right])
    until = forms.DateField(required=False)

    def clean(self) -> dict[str, Any]:
        """What is to be opened is named, and the last day isn't over."""
        given: dict[str, Any] = super().clean() or {}
        needed = FIELDS.get(given.get("reach", ""))
        if needed and not given.get(needed) and needed not in self.errors:
            self.add_error(needed, "Say which one.")
        until = given.get("until")
        if until and end_of(until) <= timezone.now():
            self.add_error("until", "This day is over.")
        return given


def account_called(name: str) -> User | Client:
    """The person or client of this name. Raises RefusedChange."""
    try:
        return holder(name)
    except Unknown as error:
        raise RefusedChange("no person or client has this name") from error


def made(given: dict[str, Any], account: User | Client, by: Acting) -> Grant:
    """The grant that a valid form asks for. Raises RefusedChange."""
    until = end_of(given["until"]) if given["until"] else None
    return grant(account, wanted(given), [Right(name) for name in given["rights"]], until, by)


def wanted(given: dict[str, Any]) -> Study | Series | Patient:
    """What a valid form names, letter for letter. Raises RefusedChange.

    Whoever manages grants what they may not see themselves, the studies of marked patients too, and learns of it only
    that it is there.
    """
    match given["reach"]:
        case "study":
            return _the(Study.objects.filter(study_instance_uid=given["study"])[:2], "study of this UID")
        case "series":
            named = Series.objects.select_related("study").filter(series_instance_uid=given["series"])
            return _the(named[:2], "series of this UID", "several studies have this series: grant the study")
        case _:
            patients = Patient.objects.filter(patient_id=given["patient_id"])
            if given["issuer"]:
                patients = patients.filter(issuer_of_patient_id=given["issuer"])
            return _the(patients[:2], "patient of this ID", "several patients have this ID: say who issued it")


def _the(found: Iterable[Found], words: str, several: str = "") -> Found:
    """The only one. Raises RefusedChange for none and for several."""
    those = list(found)
    if not those:
        raise RefusedChange(f"there is no {words}")
    if len(those) > 1:
        raise RefusedChange(several)
    return those[0]

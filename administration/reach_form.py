"""What the forms for legal holds and for marks have in common: what they are about, and until when."""

from typing import Any

from django import forms
from django.utils import timezone

from administration.days import end_of


class ReachForm(forms.Form):
    """One study, or all of a patient, for good or until the end of a day. Field names are those of the pages."""

    reach = forms.ChoiceField(choices=[("study", "One study"), ("patient", "All studies of a patient")])
    study = forms.RegexField(r"^[0-9.]{1,64}$", max_length=64, required=False)
    patient_id = forms.CharField(max_length=64, required=False)
    issuer = forms.CharField(max_length=64, required=False)
    until = forms.DateField(required=False)

    def clean(self) -> dict[str, Any]:
        """What is meant is named, and the last day isn't over."""
        given: dict[str, Any] = super().clean() or {}
        needed = {"study": "study", "patient": "patient_id"}.get(given.get("reach", ""))
        if needed and not given.get(needed) and needed not in self.errors:
            self.add_error(needed, "Say which one.")
        until = given.get("until")
        if until and end_of(until) <= timezone.now():
            self.add_error("until", "This day is over.")
        return given

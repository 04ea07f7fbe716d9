"""The form of the message search: what is typed becomes a question, and never an address.

What is posted is kept in the session, so that no identifier of a patient stands in an address.
"""

from __future__ import annotations

import secrets
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest

from hl7.message_search import ACKS, Asked
from hl7.models import MessageState

KEPT: Final = 20
_SESSION: Final = "hl7_asked"
_MOMENTS: Final = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
# These say nothing of a patient and may stand in an address.
IN_ADDRESSES: Final = ("interface", "state", "type", "ack", "condition")


class Criteria(forms.Form):
    """What can be asked. Field names are those of ``Asked``."""

    control_id = forms.CharField(required=False, max_length=200)
    type = forms.RegexField(r"^[A-Za-z0-9]{1,4}(\^[A-Za-z0-9]{1,4})?$", required=False, max_length=9)
    interface = forms.CharField(required=False, max_length=200)
    state = forms.ChoiceField(required=False, choices=[("", ""), *MessageState.choices])
    ack = forms.ChoiceField(required=False, choices=[("", ""), *((each, each) for each in ACKS)])
    condition = forms.IntegerField(required=False, min_value=100, max_value=299)
    patient = forms.CharField(required=False, max_length=64)
    order = forms.CharField(required=False, max_length=64)
    since = forms.DateTimeField(required=False, input_formats=_MOMENTS)
    until = forms.DateTimeField(required=False, input_formats=_MOMENTS)

    def clean_type(self) -> str:
        """As messages say it."""
        return str(self.cleaned_data["type"]).upper()

    def clean(self) -> dict[str, Any]:
        """A time that runs forwards."""
        given: dict[str, Any] = self.cleaned_data
        if given.get("since") and given.get("until") and given["since"] > given["until"]:
            raise forms.ValidationError("The time ends before it begins.")
        return given

    def asked(self) -> Asked:
        """The question of a valid form."""
        return Asked(**{name: value for name, value in self.cleaned_data.items() if value})


def kept_question(request: HttpRequest) -> dict[str, str]:
    """What is asked by this request: what was posted and kept, and what stands in the address."""
    found: dict[str, str] = dict(request.session.get(_SESSION, {}).get(request.GET.get("asked", ""), {}))
    return found | question_in_address(request)


def question_in_address(request: HttpRequest) -> dict[str, str]:
    """What is asked by the address alone: nothing that a session could have forgotten, so that it would be asked of
    all messages instead."""
    return {name: request.GET[name] for name in IN_ADDRESSES if request.GET.get(name)}


def keep(request: HttpRequest) -> str:
    """Keep what was posted in the session; the query of the address that asks for it, "" where nothing was."""
    given = {name: request.POST[name][:200] for name in Criteria.base_fields if request.POST.get(name)}
    if not given:
        return ""
    kept = request.session.get(_SESSION, {})
    key = secrets.token_urlsafe(8)
    request.session[_SESSION] = dict([*kept.items(), (key, given)][-KEPT:])
    return urlencode({"asked": key})


def address_query(request: HttpRequest) -> str:
    """The query of this address without its page, for the links on it."""
    names = ("asked", *IN_ADDRESSES)
    return urlencode({name: request.GET[name] for name in names if request.GET.get(name)})


def page_start(request: HttpRequest) -> int | None:
    """The number below which the page begins; None for the newest, and for what is no number."""
    text = request.GET.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

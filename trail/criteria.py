"""The form of the trail's pages: what is typed becomes a filter, and never an address.

What is posted is kept in the session, so that no identifier of a patient stands in an address; study UIDs and the
identities of those who acted may.
"""

import secrets
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest

from trail.filters import Filter
from trail.groups import GROUPS

KEPT: Final = 20
_SESSION: Final = "trail_asked"
_MOMENTS: Final = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
# Parameters of an address, and the field that each is.
_IN_ADDRESSES: Final = {
    "study": "subject", "who": "who", "group": "group", "since": "since", "until": "until", "refused": "refused",
    "request": "request_id",
}  # fmt: skip


class Criteria(forms.Form):
    """What can be asked on the pages. Field names are those of ``Filter``."""

    subject = forms.CharField(required=False, max_length=200)
    who = forms.CharField(required=False, max_length=200)
    group = forms.ChoiceField(required=False, choices=[("", ""), *((key, each.title) for key, each in GROUPS.items())])
    request_id = forms.CharField(required=False, max_length=64)
    since = forms.DateTimeField(required=False, input_formats=_MOMENTS)
    until = forms.DateTimeField(required=False, input_formats=_MOMENTS)
    refused = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        """No NUL, which no column can hold, and a time that runs forwards."""
        given: dict[str, Any] = self.cleaned_data
        if any("\0" in str(self.data.get(name, "")) for name in self.base_fields):
            raise forms.ValidationError("There is a character in it that no text has.")
        if given.get("since") and given.get("until") and given["since"] > given["until"]:
            raise forms.ValidationError("The time ends before it begins.")
        return given

    def filter(self, **more: Any) -> Filter:
        """The filter of a valid form."""
        return Filter(**{name: value for name, value in self.cleaned_data.items() if value}, **more)


def asked(request: HttpRequest) -> dict[str, str]:
    """What is asked by this request: what was posted and kept, and what stands in the address."""
    found: dict[str, str] = dict(request.session.get(_SESSION, {}).get(request.GET.get("asked", ""), {}))
    found |= {field: request.GET[name] for name, field in _IN_ADDRESSES.items() if request.GET.get(name)}
    return found


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
    names = ("asked", *_IN_ADDRESSES)
    return urlencode({name: request.GET[name] for name in names if request.GET.get(name)})


def page_start(request: HttpRequest, name: str = "before") -> int | None:
    """The sequence before which the page begins; None for the newest, and for what is no number."""
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

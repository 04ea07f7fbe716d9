"""The forms about clients: a machine, an app that acts for people, or a device with an AE title."""

from typing import Any, Final

from django import forms

from access.acting import Acting
from access.clients import create_app, create_device
from access.models import Client
from access.people import create_client
from access.principal import Limit
from access.smart import DEFAULT_OF_APPS, NAMED, in_words, permissions_of
from administration.role_fields import BadLimit, limit_of
from administration.words import LIMIT_WORDS, role_choices

KINDS: Final = (
    ("machine", "A machine", "signs in by id and secret, and has a role: an AI service, a gateway, a script"),
    ("device", "A device", "stores images with a key that doesn't change: a modality with an AE title"),
    ("app", "An app", "acts for people who sign in and consent: a viewer, a reporting tool"),
)
NEEDED: Final = {"machine": ("role",), "device": ("ae_title",), "app": ("redirect_uris",)}


class RoleOfClient(forms.Form):
    """The role of a machine with its limit, and why."""

    role = forms.ChoiceField(choices=lambda: [(role.name, role.title) for role in role_choices()])
    limit_kind = forms.ChoiceField(choices=[("", "No limit"), *LIMIT_WORDS.items()], required=False)
    limit_values = forms.CharField(max_length=3_500, required=False)
    reason = forms.CharField(max_length=300)

    limit: Limit | None = None

    def clean(self) -> dict[str, Any]:
        """``limit`` is the one typed."""
        given: dict[str, Any] = super().clean() or {}
        try:
            self.limit = limit_of(given.get("limit_kind", ""), given.get("limit_values", ""), "Limit")
        except BadLimit as error:
            self.add_error("limit_values", str(error))
        return given


class NewClient(forms.Form):
    """What the form for a new client asks for; what belongs to another kind is left aside."""

    name = forms.CharField(max_length=200)
    kind = forms.ChoiceField(choices=[(kind, title) for kind, title, _ in KINDS], initial="machine")
    role = forms.ChoiceField(choices=lambda: [(role.name, role.title) for role in role_choices()], required=False)
    ae_title = forms.CharField(max_length=16, required=False, label="AE title")
    redirect_uris = forms.CharField(max_length=8_000, required=False, label="Redirect addresses")
    scopes = forms.MultipleChoiceField(choices=[(scope, scope) for scope in NAMED], required=False)
    public = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        """What this kind of client needs is there."""
        given: dict[str, Any] = super().clean() or {}
        for field in NEEDED.get(given.get("kind", ""), ()):
            if not given.get(field) and field not in self.errors:
                self.add_error(field, "This is needed.")
        return given

    def make(self, by: Acting) -> tuple[Client, dict[str, str]]:
        """The client that a valid form asks for, and what is shown of it once, by its words.

        Raises RefusedChange; ValueError for addresses, scopes and AE titles that can't be.
        """
        given = self.cleaned_data
        match given["kind"]:
            case "machine":
                client, secret = create_client(given["name"], given["role"], by=by)
                return client, {"Client id": client.client_id, "Secret": secret}
            case "device":
                client, _, secret = create_device(given["name"], given["ae_title"], by=by)
                return client, {"Key": secret}
            case _:
                addresses = given["redirect_uris"].split()
                scopes = given["scopes"] or list(DEFAULT_OF_APPS)
                client, secret = create_app(given["name"], addresses, scopes, public=given["public"], by=by)
                return client, {"Client id": client.client_id, **({"Secret": secret} if secret else {})}


def scope_lines(chosen: list[str]) -> list[tuple[str, str, bool]]:
    """The scopes that an app may be given: name, words, and whether it is chosen."""
    of_apps = [scope for scope in NAMED if not scope.startswith("system/")]
    return [(scope, _words(scope), scope in chosen) for scope in of_apps]


def _words(scope: str) -> str:
    permissions = permissions_of([scope])
    if permissions is None:
        return "all that the person may"
    what = ", ".join(in_words(permissions)) or "choose a patient at the start"
    whose = "of one patient" if scope.startswith("patient/") else ""
    return f"{what} {whose}".strip()

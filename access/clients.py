"""Apps that act for people, modalities with a key, and what the tokens of a client may have; each with its event."""

import re
from collections.abc import Sequence
from typing import Final

from django.db import transaction
from oauth2_provider.generators import generate_client_secret

from access.acting import COMMAND_LINE, Acting
from access.api_keys import Wish, make_key
from access.given_roles import hold
from access.models import ApiKey, Client
from access.names import clients_called, once_only
from access.people import described
from access.redirects import checked
from access.smart import SCOPES
from audit.kinds import USER_CHANGED
from audit.record import record

DEVICE: Final = "device"
MOST_REDIRECTS: Final = 20
# 1 to 16 characters without backslash and control characters; spaces at the ends mean nothing (PS3.5 6.2, VR AE).
_AE_TITLE: Final = re.compile(r"[ -\[\]-~]{1,16}")


def create_app(
    name: str, redirect_uris: Sequence[str], scopes: Sequence[str], *, public: bool, by: Acting = COMMAND_LINE
) -> tuple[Client, str]:
    """A new app and its secret, of which only the hash is kept; a ``public`` one has none ("").

    Raises NameTaken; ValueError for addresses and scopes that can't be.
    """
    if not 1 <= len(redirect_uris) <= MOST_REDIRECTS:
        raise ValueError(f"an app has 1 to {MOST_REDIRECTS} redirect addresses")
    addresses = [checked(uri) for uri in redirect_uris]
    _check(scopes)
    secret: str = generate_client_secret()
    _check_name(name)
    with transaction.atomic():
        with once_only(clients_called(name)):
            client: Client = Client.objects.create(
                name=name,
                role="",
                client_type=Client.CLIENT_PUBLIC if public else Client.CLIENT_CONFIDENTIAL,
                authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
                client_secret=secret,
                redirect_uris=" ".join(addresses),
                scopes=list(scopes),
            )
        text = f"{described(client)} created as an app ({client.client_type}) with scopes {' '.join(scopes)}"
        record([by.event(USER_CHANGED, text)])
    return client, "" if public else secret


def create_device(
    name: str,
    ae_title: str,
    *,
    days: int | None = None,
    addresses: Sequence[str] = (),
    role: str = DEVICE,
    by: Acting = COMMAND_LINE,
) -> tuple[Client, ApiKey, str]:
    """A new modality, its key, and the key's secret, which is kept nowhere else.

    Raises NameTaken, also for an AE title; RefusedChange; ValueError for what can't be.
    """
    title = ae_title.strip(" ")
    if not _AE_TITLE.fullmatch(title):
        raise ValueError("an AE title has 1 to 16 characters and no backslash")
    _check_name(name)
    with transaction.atomic():
        hold([role])
        of_title = Client.objects.filter(ae_title=title)
        with once_only(clients_called(name)), once_only(of_title, "this AE title is taken, or was once"):
            # Nobody is told its secret: a modality has a key and gets no tokens.
            client: Client = Client.objects.create(
                name=name, role=role, ae_title=title, scopes=[], client_secret=generate_client_secret()
            )
        record([by.event(USER_CHANGED, f"{described(client)} created with role {role} and AE title {title}")])
        wish = Wish(name=f"modality {title}", days=days, addresses=addresses)
        key, secret = make_key(client, wish, by)
    return client, key, secret


def set_scopes(client: Client, scopes: Sequence[str], *, may_introspect: bool, by: Acting = COMMAND_LINE) -> None:
    """What the client's next tokens may have, and whether it may ask about tokens of others. Raises ValueError."""
    _check(scopes)
    with transaction.atomic():
        client.scopes, client.may_introspect = list(scopes), may_introspect
        client.save(update_fields=["scopes", "may_introspect"])
        asking = "may introspect tokens" if may_introspect else "may not introspect tokens"
        record([by.event(USER_CHANGED, f"{described(client)} has scopes {' '.join(scopes)} and {asking}")])


def _check(scopes: Sequence[str]) -> None:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise ValueError(f"unknown scopes: {' '.join(unknown)}" if unknown else "a client has at least one scope")


def _check_name(name: str) -> None:
    if not name.strip() or "\0" in name or len(name) > 200:
        raise ValueError("a client has a name, of 200 characters at the most")

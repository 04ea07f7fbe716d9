"""Who a bearer token of ``/oauth/token/`` stands for: a machine, or a person through an app. One query."""

import hashlib
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from oauth2_provider.models import get_access_token_model

from access.held_roles import held, row_of_client, rows_of_people
from access.models import AppSession, Client
from access.principal import Principal
from access.smart import permissions_of
from access.token_models import since_switched_on
from archive.ready_query import ReadyQuery


def _of_token(checksum: str) -> QuerySet[Any, Any]:
    session = AppSession.objects.open().filter(external_id=OuterRef("refresh_token__token_family"))
    of_machine = Q(user=None, application__authorization_grant_type=Client.GRANT_CLIENT_CREDENTIALS)
    found: QuerySet[Any, Any] = (
        get_access_token_model()
        .objects.filter(since_switched_on("application", "created"), token_checksum=checksum)
        .filter(expires__gt=Now(), application__is_active=True)
        .annotate(
            session=Subquery(session.filter(user=OuterRef("user"), client=OuterRef("application")).values("pk")),
            patient=Subquery(session.values("patient")),
            of_person=rows_of_people("user"),
            of_client=row_of_client("application"),
        )
        .filter(of_machine | Q(session__isnull=False))
        .order_by("pk")
        .values(
            "scope",
            "patient",
            "of_person",
            "of_client",
            "user__external_id",
            "user__username",
            "application__external_id",
            "application__name",
        )
    )
    return found


_OF_TOKEN = ReadyQuery(_of_token)


def token_principal(token: str) -> Principal | None:
    """The principal of ``token``; None if it is unknown, expired or revoked, or whoever it stands for is switched off.

    Roles are those of this moment; the scopes narrow them. A person's token counts while the session of the app is
    open.
    """
    checksum = hashlib.sha256(token.encode()).hexdigest()
    found = _OF_TOKEN.first(checksum)
    if found is None:
        return None
    is_person = found["user__external_id"] is not None
    roles = held(found["of_person" if is_person else "of_client"])
    return Principal(
        "person" if is_person else "client",
        str(found["user__external_id" if is_person else "application__external_id"]),
        found["user__username" if is_person else "application__name"],
        tuple(role.name for role in roles),
        "oauth2",
        checksum[:32],
        permissions=permissions_of(found["scope"].split()),
        patient=found["patient"],
        held=roles,
    )

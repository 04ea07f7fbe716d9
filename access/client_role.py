"""The role of a machine, and where it reaches; each change with its event."""

from django.db import transaction

from access.acting import COMMAND_LINE, Acting
from access.given_roles import hold
from access.models import Client
from access.people import described
from access.principal import Limit
from access.refused_change import RefusedChange
from audit.kinds import ROLES_CHANGED
from audit.record import record

OWN_ROLE = "no client changes its own role: ask an administrator"
APPS_HAVE_NONE = "an app has no role of its own: it may do what the person may who uses it"


def set_client_role(
    client: Client, role: str, limit: Limit | None = None, *, reason: str = "", by: Acting = COMMAND_LINE
) -> bool:
    """Give a machine this role, with or without a limit, from the next request on; False if it is the same.

    Raises RefusedChange for oneself, and for apps.
    """
    if by.is_account(client.external_id):
        raise RefusedChange(OWN_ROLE)
    if client.is_app:
        raise RefusedChange(APPS_HAVE_NONE)
    kind, values = (limit.kind.value, sorted(limit.values)) if limit else ("", [])
    with transaction.atomic():
        hold([role])
        row = Client.objects.select_for_update().get(pk=client.pk)
        before = told(row)
        row.role, row.limit_kind, row.limit_values = role, kind, values
        if before == told(row):
            return False
        row.save(update_fields=["role", "limit_kind", "limit_values"])
        text = f"{described(row)} has now {told(row)}; had {before}"
        record([by.event(ROLES_CHANGED, text, purpose=reason)])
    client.refresh_from_db()
    return True


def told(client: Client) -> str:
    """The role with its limit in words."""
    limit = f" ({client.limit_kind}: {'; '.join(client.limit_values)})" if client.limit_kind else ""
    return f"{client.role}{limit}" if client.role else "no role"

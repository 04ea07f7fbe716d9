"""New people and new machines, each with its event in the same transaction."""

from collections.abc import Sequence

from django.db import connection, transaction
from oauth2_provider.generators import generate_client_secret

from access.models import Client, User, UserRole
from access.passwords import generate_password
from access.trail import system_event
from audit.kinds import ROLES_CHANGED, USER_CHANGED
from audit.record import record

FIRST_USER = "admin"
FIRST_ROLES = ("administrator", "radiologist")
_FIRST_START_LOCK = 0x11684B0C


def create_user(username: str, roles: Sequence[str]) -> tuple[User, str]:
    """A new person with a generated password, which is kept nowhere else. The name must be free."""
    password = generate_password()
    with transaction.atomic():
        user = User.objects.create_user(username, password=password)
        UserRole.objects.bulk_create(UserRole(user=user, role=role) for role in roles)
        record(
            [
                system_event(USER_CHANGED, f"person {user.external_id} created"),
                system_event(ROLES_CHANGED, f"person {user.external_id} given {', '.join(roles)}"),
            ]
        )
    return user, password


def create_client(name: str, role: str) -> tuple[Client, str]:
    """A new machine and its secret, of which only the hash is kept. The name must be free."""
    secret: str = generate_client_secret()
    with transaction.atomic():
        client = Client.objects.create(name=name, role=role, client_secret=secret)
        record([system_event(USER_CHANGED, f"client {client.external_id} created with role {role}")])
    return client, secret


def create_first_user() -> tuple[User, str] | None:
    """The first administrator, or None if there is anybody yet. Two starts at once make one."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_START_LOCK])
        if User.objects.exists():
            return None
        return create_user(FIRST_USER, FIRST_ROLES)

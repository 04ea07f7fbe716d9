"""People and machines, their roles and passwords; each change with its event in the same transaction."""

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


class Unknown(Exception):
    """Nobody, or more than one, has this name; no study or share link has this identifier."""


def holder(name: str) -> User | Client:
    """The person or the machine of that name; a machine also by its client id. Raises Unknown."""
    found: list[User | Client] = [
        *User.objects.filter(username=name),
        *Client.objects.filter(name=name),
        *Client.objects.filter(client_id=name),
    ]
    if len(found) != 1:
        raise Unknown(f"{len(found)} people and machines are called {name}")
    return found[0]


def set_roles(username: str, roles: Sequence[str]) -> None:
    """Give a person these roles and no others, from the next request on. Raises Unknown."""
    with transaction.atomic():
        user = _person(username)
        UserRole.objects.filter(user=user).exclude(role__in=roles).delete()
        UserRole.objects.bulk_create([UserRole(user=user, role=role) for role in roles], ignore_conflicts=True)
        record([system_event(ROLES_CHANGED, f"person {user.external_id} has now {', '.join(roles)}")])


def set_active(name: str, *, active: bool) -> None:
    """Switch an account on or off; what is off can't do anything from the next request on. Raises Unknown."""
    with transaction.atomic():
        account = holder(name)
        account.is_active = active
        account.save(update_fields=["is_active"])
        record([system_event(USER_CHANGED, f"{described(account)} switched {'on' if active else 'off'}")])


def reset_password(username: str) -> str:
    """A new generated password, which is kept nowhere else; it ends the person's sessions. Raises Unknown."""
    password = generate_password()
    with transaction.atomic():
        user = _person(username)
        user.set_password(password)
        user.save(update_fields=["password"])
        record([system_event(USER_CHANGED, f"{described(user)} given a new password")])
    return password


def _person(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Unknown(f"nobody is called {username}")
    return user


def described(account: User | Client) -> str:
    """What an event calls an account."""
    return f"{'person' if isinstance(account, User) else 'client'} {account.external_id}"


def create_first_user() -> tuple[User, str] | None:
    """The first administrator, or None if there is anybody yet. Two starts at once make one."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_FIRST_START_LOCK])
        if User.objects.exists():
            return None
        return create_user(FIRST_USER, FIRST_ROLES)

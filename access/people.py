"""People and machines, their roles and passwords; each change with its event in the same transaction."""

from collections.abc import Collection, Mapping, Sequence

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_access_token_model

from access import app_sessions
from access.acting import COMMAND_LINE, Acting
from access.administration_models import RoleChange
from access.given_roles import hold
from access.managers import keep_a_manager
from access.models import Client, User, UserRole
from access.names import clients_called, once_only, people_called
from access.passwords import generate_password
from access.principal import Limit
from access.refused_change import RefusedChange
from audit.kinds import ROLES_CHANGED, USER_CHANGED
from audit.record import record

FIRST_USER = "admin"
FIRST_ROLES = ("administrator", "radiologist")
OWN_ROLES = "nobody changes their own roles: ask another administrator"
OWN_SIGN_IN = "your own password is changed on the page of your own account"
_FIRST_START_LOCK = 0x11684B0C


def create_user(
    username: str,
    roles: Sequence[str],
    *,
    given_name: str = "",
    family_name: str = "",
    email: str = "",
    reason: str = "",
    limits: Mapping[str, Limit] | None = None,
    by: Acting = COMMAND_LINE,
) -> tuple[User, str]:
    """A new person with a generated password, which is kept nowhere else. Raises NameTaken, and RefusedChange for a
    name that is none.

    Names count as equal whatever their case and the form of their letters (NFKC), and are never free again.
    """
    username = _plain(username)
    password = generate_password()
    with transaction.atomic():
        with once_only(people_called(username)):
            user = User.objects.create_user(
                username, password=password, first_name=given_name, last_name=family_name, email=email
            )
        record([by.event(USER_CHANGED, f"{described(user)} created")])
        _give(user, roles, limits, reason, by)
    return user, password


def create_client(name: str, role: str, *, by: Acting = COMMAND_LINE) -> tuple[Client, str]:
    """A new machine and its secret, of which only the hash is kept. Raises NameTaken, RefusedChange."""
    secret: str = generate_client_secret()
    with transaction.atomic():
        hold([role])
        with once_only(clients_called(name)):
            client = Client.objects.create(name=name, role=role, client_secret=secret)
        record([by.event(USER_CHANGED, f"{described(client)} created with role {role}")])
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


def person_called(username: str) -> User:
    """The person of that name. Raises Unknown."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Unknown(f"nobody is called {username}")
    return user


def set_roles(
    user: User,
    roles: Collection[str],
    *,
    limits: Mapping[str, Limit] | None = None,
    reason: str = "",
    by: Acting = COMMAND_LINE,
) -> bool:
    """Give a person these roles and no others, from the next request on; False if they are the same.

    ``limits`` are those of roles, by name, and the others have none; None leaves the limits as they are. Raises
    RefusedChange: nobody changes their own roles, and somebody must be left who may manage.
    """
    if by.is_account(user.external_id):
        raise RefusedChange(OWN_ROLES)
    with transaction.atomic():
        keep_a_manager(user, roles)
        return _give(user, roles, limits, reason, by)


def change_person(user: User, fields: dict[str, str], *, by: Acting = COMMAND_LINE) -> bool:
    """Change ``first_name``, ``last_name`` and ``email``; anything else is ignored. False if nothing is new."""
    changed = [
        name for name in ("first_name", "last_name", "email") if name in fields and getattr(user, name) != fields[name]
    ]
    if not changed:
        return False
    with transaction.atomic():
        for name in changed:
            setattr(user, name, fields[name])
        user.save(update_fields=changed)
        record([by.event(USER_CHANGED, f"{described(user)} changed: {', '.join(changed)}")])
    return True


def reset_password(user: User, *, by: Acting = COMMAND_LINE) -> str:
    """A new generated password, which is kept nowhere else; it ends the person's sessions. Raises RefusedChange."""
    if by.is_account(user.external_id):
        raise RefusedChange(OWN_SIGN_IN)
    password = generate_password()
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        app_sessions.end_of(user)
        record([by.event(USER_CHANGED, f"{described(user)} given a new password")])
    return password


def rotate_secret(client: Client, *, by: Acting = COMMAND_LINE) -> str:
    """A new secret, of which only the hash is kept; the old one and the tokens it got end at once."""
    secret: str = generate_client_secret()
    with transaction.atomic():
        client.client_secret = secret
        client.save(update_fields=["client_secret"])
        get_access_token_model().objects.filter(application=client).delete()
        record([by.event(USER_CHANGED, f"{described(client)} given a new secret")])
    return secret


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


def _plain(username: str) -> str:
    """The name as it is kept. Raises RefusedChange where plain letters make another kind of name of it."""
    plain: str = User.normalize_username(username)
    if plain != username:
        try:
            User._meta.get_field("username").run_validators(plain)
        except ValidationError as error:
            raise RefusedChange("this name can't be written in plain letters") from error
    return plain


def _give(user: User, roles: Collection[str], limits: Mapping[str, Limit] | None, reason: str, by: Acting) -> bool:
    """These roles instead of those until now, with the change and its event."""
    held = {row.role: row for row in UserRole.objects.select_for_update().filter(user=user)}
    hold(set(roles) - held.keys())
    before = sorted(told(row) for row in held.values())
    actor = by.user
    for name in held.keys() - set(roles):
        held.pop(name).delete()
    for name in set(roles) - held.keys():
        held[name] = UserRole(user=user, role=name, given_by=actor)
    for row in held.values():
        limit = limits.get(row.role) if limits is not None else None
        wanted = (limit.kind.value, sorted(limit.values)) if limit else ("", [])
        has_limit = limits is not None and wanted != (row.limit_kind, sorted(row.limit_values))
        if has_limit:
            row.limit_kind, row.limit_values, row.given_by = wanted[0], wanted[1], actor
        if has_limit or row.pk is None:
            row.save()
    after = sorted(told(row) for row in held.values())
    if before == after:
        return False
    RoleChange.objects.create(user=user, before=before, after=after, reason=reason, by=actor, by_name=by.name)
    text = f"{described(user)} has now {', '.join(after) or 'no role'}; had {', '.join(before) or 'no role'}"
    record([by.event(ROLES_CHANGED, text, purpose=reason)])
    return True


def told(row: UserRole) -> str:
    """A role with its limit in words."""
    return f"{row.role} ({row.limit_kind}: {'; '.join(row.limit_values)})" if row.limit_kind else row.role

"""Second factors of a person: which there are, who must have one, showing one, and each change with its event."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from access import passkeys, recovery_codes, totp
from access.acting import COMMAND_LINE, Acting
from access.authentication import authenticate
from access.models import RecoveryCode, SecondFactor, User
from access.second_factor_models import APP
from access.sessions_of import end_all
from access.trail import event
from audit.kinds import USER_CHANGED
from audit.record import record

MOST_FACTORS: Final = 10
LONGEST_NAME: Final = 60


class WrongFactor(Exception):
    """What was shown proves nothing; the text is for the trail."""


class LastFactor(Exception):
    """The person's roles ask for a second factor, and this is the only one."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What somebody shows: the code of an app, a passkey's answer (JSON), or a recovery code; the first one counts."""

    code: str = ""
    passkey: str = ""
    recovery_code: str = ""


@dataclass(frozen=True, slots=True)
class Factor:
    """A second factor as pages list it; ``kind`` is "app" or "passkey"."""

    id: uuid.UUID
    kind: str
    name: str
    created_at: datetime
    used_at: datetime | None


def factors(user: User) -> list[Factor]:
    """The person's second factors, the oldest first."""
    rows = SecondFactor.objects.filter(user=user).order_by("created_at", "pk")
    return [Factor(row.id, row.kind, row.name, row.created_at, row.used_at) for row in rows]


def must_have(user: User) -> bool:
    """Whether ``PACS_SECOND_FACTOR`` asks this person for a second factor: everybody, or some roles."""
    wanted = settings.PACS.second_factor
    if isinstance(wanted, str):
        return bool(wanted == "required")
    return user.roles.filter(role__in=wanted).exists()


def show(request: HttpRequest, user: User, shown: Shown) -> str:
    """Check and use up what is shown: "totp", "passkey" or "recovery code". Raises WrongFactor."""
    if shown.code:
        if totp.use_code(user, shown.code) is None:
            raise WrongFactor("wrong code, or one that was used already")
        return "totp"
    if shown.passkey:
        try:
            passkeys.use_passkey(request, user, shown.passkey)
        except passkeys.PasskeyRefused as error:
            raise WrongFactor(str(error)) from error
        return "passkey"
    if not recovery_codes.use_recovery_code(user, shown.recovery_code):
        raise WrongFactor("wrong recovery code, or one that was used already")
    return "recovery code"


def add_app(request: HttpRequest, user: User, new: totp.NewApp, name: str, code: str) -> bool:
    """Add an authenticator app; False if the code isn't one of it."""
    with transaction.atomic():
        added = totp.add_app(user, new, name, code)
        if added is not None:
            _record(request, user, f"authenticator app {added.id} added")
    return added is not None


def add_passkey(request: HttpRequest, user: User, name: str, answer: str) -> None:
    """Add a passkey. Raises passkeys.PasskeyRefused."""
    with transaction.atomic():
        added = passkeys.add_passkey(request, user, name, answer)
        _record(request, user, f"passkey {added.id} added")


def rename(request: HttpRequest, user: User, factor_id: uuid.UUID, name: str) -> bool:
    """Call it something else; False if the person has no such factor."""
    with transaction.atomic():
        renamed = SecondFactor.objects.filter(user=user, pk=factor_id).update(name=name)
        if renamed:
            _record(request, user, f"second factor {factor_id} renamed")
    return bool(renamed)


def remove(request: HttpRequest, user: User, factor_id: uuid.UUID) -> bool:
    """Take it away, with the last one the recovery codes; False if the person has no such factor. Raises LastFactor."""
    with transaction.atomic():
        # The row of the person is the lock: two at once must not take away the last two.
        User.objects.select_for_update().get(pk=user.pk)
        theirs = {factor.pk: factor for factor in SecondFactor.objects.filter(user=user)}
        if factor_id not in theirs:
            return False
        if len(theirs) == 1:
            if must_have(user):
                raise LastFactor
            RecoveryCode.objects.filter(user=user).delete()
        kind = "authenticator app" if theirs[factor_id].kind == APP else "passkey"
        theirs[factor_id].delete()
        _record(request, user, f"{kind} {factor_id} removed")
    return True


def new_recovery_codes(request: HttpRequest, user: User) -> list[str]:
    """Ten new recovery codes; those until now end."""
    with transaction.atomic():
        codes = recovery_codes.new_codes(user)
        _record(request, user, "new recovery codes made")
    return codes


def reset(user: User, *, by: Acting = COMMAND_LINE) -> int:
    """Take away all second factors and recovery codes of a person and end their sessions; how many factors it were."""
    with transaction.atomic():
        count, _ = SecondFactor.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        ended = end_all(user)
        text = f"person {user.external_id}: {count} second factors taken away, {ended} sessions ended"
        record([by.event(USER_CHANGED, text)])
    return count


def _record(request: HttpRequest, user: User, what: str) -> None:
    """A change that a person makes to themselves, signed in or on the way in."""
    principal = authenticate(request)
    described = {} if principal else {"principal_kind": "person", "principal_id": str(user.external_id)}
    if not principal:
        described["principal_name"] = user.username
    text = f"person {user.external_id}: {what}"
    record([event(request, USER_CHANGED, principal, outcome_description=text, **described)])

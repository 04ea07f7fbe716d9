"""Linking subjects of other systems to people and machines here; each change with its event."""

from django.conf import settings
from django.db import IntegrityError, transaction

from access.acting import COMMAND_LINE, Acting
from access.federation_models import FederatedIdentity
from access.jwt_checks import is_name
from access.models import Client, User
from access.people import Unknown, described, holder
from audit.kinds import USER_CHANGED
from audit.record import record


class NotLinked(Exception):
    """The subject can't be linked; the message says why."""


def issuers() -> tuple[str, ...]:
    """The issuers that the settings know."""
    return tuple(
        dict.fromkeys(
            [*filter(None, [settings.PACS.oidc.issuer]), *(each.issuer for each in settings.PACS.trusted_issuers)]
        )
    )


def link(name: str, issuer: str, subject: str, *, by: Acting = COMMAND_LINE) -> User | Client:
    """From now on ``subject`` of ``issuer`` is the person or machine of this name. Raises NotLinked, Unknown."""
    if issuer not in issuers():
        raise NotLinked(f"the settings don't know this issuer; they know {', '.join(issuers()) or 'none'}")
    if not is_name(subject):
        raise NotLinked("a subject has 1 to 255 characters that can be printed")
    account = holder(name)
    of = {"user": account} if isinstance(account, User) else {"client": account}
    try:
        with transaction.atomic():
            FederatedIdentity.objects.create(issuer=issuer, subject=subject, **of)
            record([by.event(USER_CHANGED, f"{described(account)} linked to a subject of {issuer}")])
    except IntegrityError as error:
        raise NotLinked("this subject is linked already") from error
    return account


def unlink(name: str, issuer: str, subject: str, *, by: Acting = COMMAND_LINE) -> None:
    """End a link, from the next request on. Raises Unknown if there is none."""
    account = holder(name)
    of = {"user": account} if isinstance(account, User) else {"client": account}
    with transaction.atomic():
        gone, _ = FederatedIdentity.objects.filter(issuer=issuer, subject=subject, **of).delete()
        if not gone:
            raise Unknown(f"{name} is not linked to this subject")
        record([by.event(USER_CHANGED, f"{described(account)} no longer linked to a subject of {issuer}")])

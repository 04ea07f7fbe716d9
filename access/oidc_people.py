"""Which person of ours the provider speaks of, and the roles it gives."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from access.acting import Acting
from access.federation_models import FederatedIdentity
from access.federation_settings import OidcConfig
from access.jwt_checks import claim, roles_from
from access.models import CustomRole, User
from access.names import once_only, people_called
from access.people import described, set_roles
from access.refused_change import NameTaken, RefusedChange
from access.roles import ROLES
from access.trail import event
from audit.kinds import USER_CHANGED, EventKind
from audit.record import NewAccessEvent, record

MOST_NAME = 150
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ByProvider(Acting):
    """The provider changes something here; its events name it, not the person it speaks of."""

    def event(self, kind: EventKind, description: str, **fields: Any) -> NewAccessEvent:
        """An event of such a change."""
        return event(
            self.request or HttpRequest(),
            kind,
            None,
            principal_kind="system",
            principal_name=self.name,
            rule="oidc",
            outcome_description=description,
            **fields,
        )

    @property
    def name(self) -> str:
        """What people call it."""
        return "single sign-on"


class NotOurs(Exception):
    """The provider knows the person, but they may not come in; the message says why, in words for them."""


def person_of(request: HttpRequest, oidc: OidcConfig, claims: Mapping[str, Any]) -> User:
    """The person with this issuer and subject, made now if that is set, with the roles that the claims give.

    Roles are changed with their event in one transaction, also if none are left. Raises NotOurs.
    """
    roles = known_roles(roles_from(claims, oidc.roles_claim, oidc.roles))
    user = User.objects.filter(identities__issuer=oidc.issuer, identities__subject=claims["sub"]).first()
    if user is None:
        if not oidc.create:
            raise NotOurs("Your account is not known here yet. An administrator has to link it.")
        if oidc.roles and not roles:
            raise NotOurs("Your account has no role here.")
        user = _made(request, oidc, claims)
    if not user.is_active:
        raise NotOurs("Your account here is switched off.")
    if oidc.roles:
        try:
            set_roles(user, roles, reason="as the sign-in service says", by=ByProvider(request))
        except RefusedChange as error:
            raise NotOurs(f"Your roles have changed, but that can't be done here: {error}.") from error
        if not roles:
            raise NotOurs("Your account has no role here any more.")
    return user


def known_roles(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those that exist. A name in the settings that doesn't is logged, and gives nothing."""
    own = set(names) - set(ROLES)
    existing = set(CustomRole.objects.filter(name__in=own).values_list("name", flat=True)) if own else set()
    if missing := own - existing:
        _log.warning("the settings map to roles that don't exist: %s", ", ".join(sorted(missing)))
    return tuple(name for name in names if name in ROLES or name in existing)


def _made(request: HttpRequest, oidc: OidcConfig, claims: Mapping[str, Any]) -> User:
    """A new person without a password. A name that somebody has, in large or small letters, is never taken over."""
    name = claim(claims, oidc.username_claim)
    if isinstance(name, str):
        # As it will be kept: wide letters are plain ones then.
        name = User.normalize_username(name)
    try:
        UnicodeUsernameValidator()(name)
    except ValidationError as error:
        raise NotOurs("Your account has no name that can be used here.") from error
    if not isinstance(name, str) or len(name) > MOST_NAME:
        raise NotOurs("Your account has no name that can be used here.")
    taken = NotOurs("Your name is taken by an account here. An administrator has to link the two.")
    try:
        with transaction.atomic():
            with once_only(people_called(name)):
                user = User.objects.create_user(name, password=None)
            FederatedIdentity.objects.create(issuer=oidc.issuer, subject=claims["sub"], user=user)
            text = f"{described(user)} created for a subject of {oidc.issuer}"
            record([ByProvider(request).event(USER_CHANGED, text)])
    except (IntegrityError, NameTaken) as error:
        raise taken from error
    return user

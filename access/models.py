"""People, machines, share links, roles, and what is granted one by one."""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now, Upper
from oauth2_provider.models import AbstractApplication

from access.administration_models import RoleChange as RoleChange
from access.emergency_models import EmergencyAccess as EmergencyAccess
from access.federation_models import ClientKeys as ClientKeys
from access.federation_models import FederatedIdentity as FederatedIdentity
from access.federation_models import UsedAssertion as UsedAssertion
from access.redirects import is_same
from access.restriction_models import DeletedStudy as DeletedStudy
from access.restriction_models import Restriction as Restriction
from access.review_models import ReviewCampaign as ReviewCampaign
from access.review_models import ReviewRow as ReviewRow
from access.rights import Right, every_right
from access.scope_models import WHOLE_LIMIT, Limited
from access.scope_models import CustomRole as CustomRole
from access.scope_models import PhysicianName as PhysicianName
from access.second_factor_models import RecoveryCode as RecoveryCode
from access.second_factor_models import SecondFactor as SecondFactor
from access.session_models import PersonSession as PersonSession
from access.smart import everything
from access.token_models import ApiKey as ApiKey
from access.token_models import AppSession as AppSession
from archive.models import Patient, Series, Study


class User(AbstractUser):
    """A person. ``external_id`` names them in the trail for ever; a trigger refuses to change it.

    Rights come from ``roles`` alone: Django's groups, permissions and superuser flag grant nothing. What was proved or
    issued before ``switched_on_at``, when the account was switched on again, counts no more.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    switched_on_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(AbstractUser.Meta):
        abstract = False
        constraints = [models.UniqueConstraint(Upper("username"), name="user_name_once_in_any_case")]


class UserRole(Limited):
    """A role that a person has: one of ``access.roles``, or a CustomRole, by its name; and where it reaches."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="roles")
    role = models.TextField()
    given_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    given_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "role"], name="user_role_once"),
            models.CheckConstraint(condition=WHOLE_LIMIT, name="user_role_whole_limit"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"


class Client(AbstractApplication, Limited):  # type: ignore[misc]
    """A machine with one role (client credentials, RFC 6749 4.4), or an app that acts for people (4.1) and has none.

    Its secret is stored as a hash. ``scopes`` are those that its tokens may have (``access.smart``); ``may_introspect``
    lets it ask about tokens of others (RFC 7662); ``ae_title`` is that of a modality.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    role = models.TextField()
    is_active = models.BooleanField(default=True)
    scopes = ArrayField(models.TextField(), default=everything, blank=True)
    may_introspect = models.BooleanField(default=False)
    ae_title = models.TextField(blank=True, default="")
    switched_on_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta(AbstractApplication.Meta):  # type: ignore[misc]
        abstract = False
        constraints = [
            models.UniqueConstraint(fields=["name"], name="client_name_once"),
            models.UniqueConstraint(Upper("name"), name="client_name_once_in_any_case"),
            models.UniqueConstraint(fields=["ae_title"], condition=~Q(ae_title=""), name="client_ae_title_once"),
            models.CheckConstraint(condition=WHOLE_LIMIT, name="client_whole_limit"),
        ]

    def is_usable(self, request: object) -> bool:
        """False for a disabled client: the token endpoint then refuses it."""
        return self.is_active

    @property
    def is_app(self) -> bool:
        """True for an app that acts for people; its tokens have the roles of the person."""
        return bool(self.authorization_grant_type == self.GRANT_AUTHORIZATION_CODE)

    def redirect_uri_allowed(self, uri: str) -> bool:
        """Whether answers to the app may be sent there."""
        return any(is_same(uri, registered) for registered in self.redirect_uris.split())

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; what is no app is a confidential client with client credentials, and no other grant can be made."""
        if not self.is_app:
            self.client_type = self.CLIENT_CONFIDENTIAL
            self.authorization_grant_type = self.GRANT_CLIENT_CREDENTIALS
        super().save(*args, **kwargs)


class ShareLink(models.Model):
    """A secret address that opens what its grants name to somebody without an account.

    Of the secret and the PIN only hashes are kept. ``external_id`` names the link in addresses and in the trail; it
    opens nothing. A link ends with the person who made it. ``most_uses`` None is without limit.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    secret_digest = models.TextField(unique=True)
    pin_hash = models.TextField(blank=True, default="")
    wrong_pins = models.PositiveIntegerField(default=0)
    recipient = models.TextField()
    purpose = models.TextField()
    most_uses = models.PositiveIntegerField(null=True, blank=True)
    uses = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="share_links")
    created_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"ShareLink {self.external_id}"


class LinkToken(models.Model):
    """What a share link was exchanged for: the cookie of a browser or a bearer token. Only its digest is kept."""

    link = models.ForeignKey(ShareLink, on_delete=models.CASCADE, related_name="tokens")
    digest = models.TextField(unique=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"LinkToken {self.pk}"


class GrantQuery(models.QuerySet["Grant"]):
    """Grants as they are asked for."""

    def active(self) -> "GrantQuery":
        """Those whose time it is."""
        return self.filter(Q(valid_until__isnull=True) | Q(valid_until__gt=Now()), valid_from__lte=Now())

    def of_open_links(self) -> "GrantQuery":
        """Those of share links that are neither revoked nor made by somebody switched off since."""
        by_nobody_gone = Q(link__created_by__isnull=True) | Q(link__created_by__is_active=True)
        return self.filter(by_nobody_gone, link__isnull=False, link__revoked_at__isnull=True)


def _one_of(*names: str) -> Q:
    """Exactly one of these columns has a value."""
    found = Q()
    for name in names:
        found |= Q(**{f"{other}__isnull": other != name for other in names})
    return found


class Grant(models.Model):
    """Leave for one person, machine or share link to reach a study, a series, or all of one patient, for a time.

    ``rights`` narrow what a role allows, and are all that a link has. ``valid_until`` None is without end.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    series = models.ForeignKey(Series, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    link = models.ForeignKey(ShareLink, on_delete=models.CASCADE, null=True, blank=True, related_name="grants")
    rights = ArrayField(models.TextField(choices=[(right.value, right.value) for right in Right]), default=every_right)
    granted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    emergency = models.ForeignKey(
        EmergencyAccess, on_delete=models.CASCADE, null=True, blank=True, related_name="grants"
    )
    valid_from = models.DateTimeField(db_default=Now())
    valid_until = models.DateTimeField(null=True, blank=True)

    objects = GrantQuery.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=_one_of("user", "client", "link"), name="grant_one_holder"),
            models.CheckConstraint(condition=_one_of("study", "series", "patient"), name="grant_one_scope"),
            models.CheckConstraint(
                condition=Q(link__isnull=True) | Q(valid_until__isnull=False), name="grant_of_link_ends"
            ),
        ]

    def __str__(self) -> str:
        return f"Grant {self.pk}"


class SignInAttempt(models.Model):
    """A sign-in that failed or is being decided. ``key`` is a keyed digest of name and address, or of the address."""

    key = models.TextField(db_index=True)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return f"SignInAttempt {self.pk}"

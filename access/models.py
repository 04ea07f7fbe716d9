"""People, machines, their roles, and the studies granted to them one by one."""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Now
from oauth2_provider.models import AbstractApplication

from access.roles import ROLES
from archive.models import Study

ROLE_CHOICES = [(role.name, role.title) for role in ROLES.values()]


class User(AbstractUser):  # type: ignore[django-manager-missing]
    """A person. ``external_id`` names them in the trail for ever; a trigger refuses to change it.

    Rights come from ``roles`` alone: Django's groups, permissions and superuser flag grant nothing.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)


class UserRole(models.Model):
    """A role that a person has."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="roles")
    role = models.TextField(choices=ROLE_CHOICES)
    given_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    given_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "role"], name="user_role_once")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role}"


class Client(AbstractApplication):  # type: ignore[misc]
    """A machine: OAuth2 client credentials (RFC 6749 4.4) and one role. Its secret is stored as a hash."""

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    role = models.TextField(choices=ROLE_CHOICES)
    is_active = models.BooleanField(default=True)

    class Meta(AbstractApplication.Meta):  # type: ignore[misc]
        abstract = False
        constraints = [models.UniqueConstraint(fields=["name"], name="client_name_once")]

    def is_usable(self, request: object) -> bool:
        """False for a disabled client: the token endpoint then refuses it."""
        return self.is_active

    def allows_grant_type(self, *grant_types: str) -> bool:
        """Client credentials only, whatever the row says."""
        return self.GRANT_CLIENT_CREDENTIALS in grant_types

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save as a confidential client; neither a public one nor another grant can be made."""
        self.client_type = self.CLIENT_CONFIDENTIAL
        self.authorization_grant_type = self.GRANT_CLIENT_CREDENTIALS
        super().save(*args, **kwargs)


class StudyGrant(models.Model):
    """Leave for one person or one machine to reach one study for a time; ``valid_until`` None is without end."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="grants")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, blank=True, related_name="study_grants")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, null=True, blank=True, related_name="study_grants")
    granted_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    valid_from = models.DateTimeField(db_default=Now())
    valid_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=False, client__isnull=True)
                | models.Q(user__isnull=True, client__isnull=False),
                name="study_grant_one_holder",
            )
        ]

    def __str__(self) -> str:
        return f"StudyGrant {self.pk}"


class SignInAttempt(models.Model):
    """A sign-in that failed or is being decided. ``key`` is a keyed digest of name and address, or of the address."""

    key = models.TextField(db_index=True)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return f"SignInAttempt {self.pk}"

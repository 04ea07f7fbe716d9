"""What apps and programs hold: the session of an app that acts for a person, and API keys. Only hashes of secrets."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


def since_switched_on(holder: str, moment: str) -> Q:
    """What is younger than the last time its holder was switched on again: what they had before counts no more."""
    return Q(**{f"{holder}__switched_on_at__isnull": True}) | Q(**{f"{moment}__gt": F(f"{holder}__switched_on_at")})


class AppSessionQuery(models.QuerySet["AppSession"]):
    """App sessions as they are asked for."""

    def open(self) -> "AppSessionQuery":
        """Those whose tokens count: the code was exchanged, and nothing has ended them."""
        held = since_switched_on("user", "created_at") & since_switched_on("client", "created_at")
        running = self.filter(started_at__isnull=False, ended_at__isnull=True, expires_at__gt=Now())
        return running.filter(held, user__is_active=True)


class AppSession(models.Model):
    """One app acts for one person, from the consent on (RFC 6749 4.1) until it ends.

    The authorization code is part of it: ``code_digest`` stays after the exchange, so that a code used twice is known.
    Its refresh tokens carry ``external_id`` as their family. ``patient`` is the only one its tokens reach.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey("access.User", on_delete=models.CASCADE, related_name="app_sessions")
    client = models.ForeignKey("access.Client", on_delete=models.CASCADE, related_name="app_sessions")
    scope = models.TextField()
    patient = models.ForeignKey("archive.Patient", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    redirect_uri = models.TextField()
    code_digest = models.TextField(unique=True)
    code_challenge = models.TextField()
    code_expires_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    objects = AppSessionQuery.as_manager()

    def __str__(self) -> str:
        return f"AppSession {self.external_id}"


class ApiKeyQuery(models.QuerySet["ApiKey"]):
    """Keys as they are asked for."""

    def open(self) -> "ApiKeyQuery":
        """Those that still open something: not revoked, not past their day, and their holder is switched on."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
            Q(user__is_active=True) | Q(client__is_active=True),
            since_switched_on("user", "created_at") & since_switched_on("client", "created_at"),
            revoked_at__isnull=True,
        )


class ApiKey(models.Model):
    """A secret that stands for a person or a machine (a modality, for example) in programs that can't sign in.

    ``permissions`` None is all that the holder may. ``addresses`` are networks that it may be used from, none for any.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    digest = models.TextField(unique=True)
    name = models.TextField()
    user = models.ForeignKey("access.User", on_delete=models.CASCADE, null=True, blank=True, related_name="api_keys")
    client = models.ForeignKey(
        "access.Client", on_delete=models.CASCADE, null=True, blank=True, related_name="api_keys"
    )
    permissions = ArrayField(models.TextField(), null=True, blank=True)
    addresses = ArrayField(models.TextField(), default=list, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuery.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True, client__isnull=False) | Q(user__isnull=False, client__isnull=True),
                name="api_key_one_holder",
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(expires_at__isnull=False), name="api_key_of_person_ends"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("created_at")), name="api_key_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return f"ApiKey {self.external_id}"

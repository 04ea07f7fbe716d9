"""What people prove themselves with beside the password."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

APP = "app"
PASSKEY = "passkey"


class SecondFactor(models.Model):
    """An authenticator app (TOTP, RFC 6238) or a passkey (WebAuthn) of a person.

    An app's ``secret`` is sealed (``access.second_factor_secret``); ``last_step`` is the time step of the last code
    that was accepted. A passkey has the identifier of its credential, its COSE public key, and the last counter seen.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factors")
    kind = models.TextField(choices=[(APP, "Authenticator app"), (PASSKEY, "Passkey")])
    name = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True, blank=True)
    secret = models.BinaryField(default=b"")
    last_step = models.BigIntegerField(default=0)
    credential_id = models.BinaryField(null=True, blank=True, unique=True)
    credential = models.BinaryField(default=b"")
    sign_count = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=APP, credential_id__isnull=True) | Q(kind=PASSKEY, credential_id__isnull=False),
                name="second_factor_is_one_kind",
            )
        ]

    def __str__(self) -> str:
        return f"SecondFactor {self.id}"


class RecoveryCode(models.Model):
    """One of the codes for the day on which every factor is lost. Only a keyed digest is kept; each is used once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.TextField(unique=True)
    made_at = models.DateTimeField(db_default=Now())
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"RecoveryCode {self.pk}"

"""Who somebody is elsewhere, and the keys with which machines prove who they are."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class FederatedIdentity(models.Model):
    """A subject of an issuer is this person or this machine (OpenID Connect Core 5.7: issuer and subject, never mail).

    People and machines of one issuer are looked up apart, so that a machine's subject can't stand for a person.
    """

    issuer = models.TextField()
    subject = models.TextField()
    user = models.ForeignKey("access.User", models.CASCADE, null=True, blank=True, related_name="identities")
    client = models.ForeignKey("access.Client", models.CASCADE, null=True, blank=True, related_name="identities")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "federated identities"
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True, client__isnull=False) | Q(user__isnull=False, client__isnull=True),
                name="identity_one_holder",
            ),
            models.UniqueConstraint(
                fields=["issuer", "subject"], condition=Q(client__isnull=True), name="identity_one_person"
            ),
            models.UniqueConstraint(
                fields=["issuer", "subject"], condition=Q(user__isnull=True), name="identity_one_client"
            ),
        ]

    def __str__(self) -> str:
        return f"FederatedIdentity {self.pk}"


class ClientKeys(models.Model):
    """The public keys of a machine that signs its requests for tokens (RFC 7523 2.2): here, or at an address of its.

    Exactly one of ``jwks`` and ``jwks_uri`` is there.
    """

    client = models.OneToOneField("access.Client", models.CASCADE, related_name="keys")
    jwks = models.JSONField(null=True, blank=True)
    jwks_uri = models.TextField(blank=True, default="")

    class Meta:
        verbose_name_plural = "client keys"
        constraints = [
            models.CheckConstraint(
                condition=Q(jwks__isnull=True) ^ Q(jwks_uri=""),
                name="client_keys_in_one_place",
            )
        ]

    def __str__(self) -> str:
        return f"ClientKeys {self.pk}"


class UsedAssertion(models.Model):
    """An assertion that was taken, and is not taken again. Only a digest of its ``jti`` is kept, until it ends."""

    client = models.ForeignKey("access.Client", models.CASCADE, related_name="+")
    digest = models.TextField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "digest"], name="assertion_used_once")]

    def __str__(self) -> str:
        return f"UsedAssertion {self.pk}"

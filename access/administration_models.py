"""How somebody's roles became what they are, for the pages of administration; the trail has the proof."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class RoleChange(models.Model):
    """A change of a person's roles: who made it, when and why. ``by_name`` outlives the account."""

    user = models.ForeignKey("access.User", on_delete=models.CASCADE, related_name="role_changes")
    before = ArrayField(models.TextField(), default=list, blank=True)
    after = ArrayField(models.TextField(), default=list, blank=True)
    reason = models.TextField(blank=True, default="")
    by = models.ForeignKey("access.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    by_name = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["user", "-at"], name="role_change_newest")]

    def __str__(self) -> str:
        return f"RoleChange {self.pk}"

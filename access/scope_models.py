"""Where a role reaches: the limits given with it, the names of referring physicians, and roles of a house's own."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from access.principal import LimitKind

# A kind and at least one value, or neither.
WHOLE_LIMIT = Q(limit_kind="", limit_values=[]) | (~Q(limit_kind="") & ~Q(limit_values=[]))


class Limited(models.Model):
    """A role is given with or without a limit: a kind, and the values of which a study must have one."""

    limit_kind = models.TextField(blank=True, default="", choices=[(kind.value, kind.value) for kind in LimitKind])
    limit_values = ArrayField(models.TextField(), default=list, blank=True)

    class Meta:
        abstract = True


class CustomRole(models.Model):
    """A role of the house's own: ``rights`` maps permissions to the names of scopes, as ``access.roles`` has them."""

    name = models.TextField(unique=True)
    title = models.TextField()
    rights = models.JSONField()
    withheld = ArrayField(models.TextField(), default=list, blank=True)
    made_by = models.ForeignKey("access.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    changed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class PhysicianName(models.Model):
    """A name under which a person refers patients; ``name_key`` is its key in the index (``archive.names``)."""

    user = models.ForeignKey("access.User", on_delete=models.CASCADE, related_name="physician_names")
    name = models.TextField()
    name_key = models.TextField(db_collation="C")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name_key"], name="physician_name_once")]

    def __str__(self) -> str:
        return f"PhysicianName {self.pk}"

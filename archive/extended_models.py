"""Extended query tags: attributes declared to be searched, their values, and the walk that finds these."""

from uuid import uuid4

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Now


class Reindex(models.Model):
    """One walk through what was stored before its tags were declared, in the order of the series' primary keys.

    ``last_series`` is the last one done, ``until_series`` the last to do: later ones came in with their values.
    ``done`` and ``total`` count instances.
    """

    id = models.UUIDField(primary_key=True, default=uuid4)
    last_series = models.BigIntegerField(default=0)
    until_series = models.BigIntegerField()
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField()
    finished = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())


class ExtendedTag(models.Model):
    """One declared attribute: eight hex digits, or several with dots between them for a path into sequences.

    ``level`` says of what it is an attribute (study, series, instance). A row that is ``deleting`` goes when its
    values are gone; the path may be declared anew meanwhile.
    """

    path = models.TextField(db_collation="C")
    vr = models.TextField()
    level = models.TextField()
    private_creator = models.TextField(blank=True, default="")
    status = models.TextField(default="adding")
    enabled = models.BooleanField(default=True)
    reindex = models.ForeignKey(Reindex, on_delete=models.PROTECT, related_name="tags")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["path"], name="extended_tag_path", condition=~models.Q(status="deleting"))
        ]

    def __str__(self) -> str:
        return self.path


class ExtendedValue(models.Model):
    """One value of a tag: ``owner_id`` is the primary key of the study, series or instance by the tag's level.

    ``position`` is its place among the values of an instance. Instances of one owner that agree share their rows.
    """

    tag = models.ForeignKey(ExtendedTag, on_delete=models.CASCADE, related_name="values", db_index=False)
    owner_id = models.BigIntegerField()
    position = models.IntegerField()
    value = models.TextField(db_collation="C")
    value_key = models.TextField(db_collation="C", blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tag", "owner_id", "position", "value"], name="extended_value_identity")
        ]
        indexes = [
            models.Index(fields=["tag", "value", "owner_id"], name="extended_value"),
            models.Index(
                fields=["tag", "value_key", "owner_id"],
                name="extended_value_key",
                condition=~models.Q(value_key=""),
            ),
            GinIndex(OpClass("value", name="gin_trgm_ops"), name="extended_value_trigram"),
            GinIndex(OpClass("value_key", name="gin_trgm_ops"), name="extended_key_trigram"),
        ]


class ExtendedTagError(models.Model):
    """An instance whose value of a tag could not be indexed, and why; never the value."""

    tag = models.ForeignKey(ExtendedTag, on_delete=models.CASCADE, related_name="problems")
    study_instance_uid = models.TextField(db_collation="C")
    series_instance_uid = models.TextField(db_collation="C")
    sop_instance_uid = models.TextField(db_collation="C")
    reason = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sop_instance_uid", "tag"], name="extended_error_identity")]

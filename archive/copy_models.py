"""Which objects lie in the second store as well."""

from django.db import models
from django.db.models.functions import Now


class SecondCopy(models.Model):
    """That the object of an instance is in the second store, its bytes compared by SHA-256 when it was written.

    A row counts only while its key is that of the instance; one whose instance is gone says nothing.
    """

    instance = models.BigIntegerField(primary_key=True)
    object_key = models.TextField()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "second copies"

"""Where the prepared thumbnails of a series lie."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class ThumbnailPack(models.Model):
    """One object with the thumbnails of some instances of a series, JPEG after JPEG, in the order of ``instance_ids``.

    These are sorted primary keys; the picture of the one at index n lies from ``offsets[n]`` up to ``offsets[n + 1]``,
    and is empty for an instance that has none. The newest pack that names an instance counts. ``checked`` is the
    ``dicom.quality.VERSION`` whose findings about them are written.
    """

    series = models.ForeignKey("archive.Series", on_delete=models.CASCADE, related_name="thumbnail_packs")
    object_key = models.TextField(unique=True)
    instance_ids = ArrayField(models.BigIntegerField())
    offsets = ArrayField(models.IntegerField())
    # CRC-32 of each picture, four bytes each; None for packs from before there were any.
    crcs = models.BinaryField(null=True)
    first_instance = models.BigIntegerField()
    last_instance = models.BigIntegerField()
    checked = models.SmallIntegerField()
    created_at = models.DateTimeField(db_default=Now())

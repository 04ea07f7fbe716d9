"""Thumbnails of every instance, and findings about images.

The objects of earlier thumbnails have no row any more and are swept: they are noted here, for the regular sweep finds
by itself only what is of the last days.
"""

from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_NOW = django.db.models.functions.datetime.Now()
_ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")

_GIVE_UP_EARLIER = """
INSERT INTO archive_deletedobject (object_key, study_instance_uid, series_instance_uid, sop_instance_uid, sha256, size,
    deleted_at, sweep_after, deleted_by)
SELECT DISTINCT thumbnail_key, '', '', '', ''::bytea, 0, statement_timestamp(),
    statement_timestamp() + interval '1 day', 'derived' FROM archive_series WHERE thumbnail_key <> ''
ON CONFLICT (object_key) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("archive", "0007_representations"),
    ]

    operations: ClassVar[list[Operation]] = [
        migrations.RunSQL(_GIVE_UP_EARLIER, migrations.RunSQL.noop),
        migrations.RemoveField("series", "thumbnail_key"),
        migrations.AddField("series", "thumbnail_instance", models.BigIntegerField(blank=True, null=True)),
        migrations.AddField("series", "thumbnail_rank", models.SmallIntegerField(db_default=0)),
        migrations.CreateModel(
            "ThumbnailPack",
            [
                ("id", _ID),
                ("object_key", models.TextField(unique=True)),
                ("instance_ids", django.contrib.postgres.fields.ArrayField(models.BigIntegerField())),
                ("offsets", django.contrib.postgres.fields.ArrayField(models.IntegerField())),
                ("first_instance", models.BigIntegerField()),
                ("last_instance", models.BigIntegerField()),
                ("checked", models.SmallIntegerField()),
                ("created_at", models.DateTimeField(db_default=_NOW)),
                (
                    "series",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="thumbnail_packs",
                        to="archive.series",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            "QualityFinding",
            [
                ("id", _ID.clone()),
                ("code", models.TextField()),
                ("severity", models.TextField()),
                ("frame", models.IntegerField()),
                ("numbers", models.JSONField(default=dict)),
                ("made_at", models.DateTimeField(db_default=_NOW)),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="quality_findings",
                        to="archive.instance",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["code", "-id"], name="quality_finding_code")],
                "constraints": [
                    models.UniqueConstraint(fields=("instance", "code"), name="quality_finding_identity"),
                ],
            },
        ),
    ]

"""Where a study was made: columns for who may see it. What is there already is read later (archive.places)."""

from typing import ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("archive", "0005_stored_bytes"),
    ]

    operations: ClassVar[list[Operation]] = [
        migrations.AddField(
            model_name="study",
            name="institution_name",
            field=models.TextField(blank=True, db_collation="C", null=True),
        ),
        migrations.AddField(
            model_name="study",
            name="institutional_department_name",
            field=models.TextField(blank=True, db_collation="C", null=True),
        ),
        migrations.AddIndex(
            model_name="study",
            index=models.Index(
                fields=["institution_name", "-study_date", "-study_time", "-id"], name="study_institution"
            ),
        ),
        migrations.AddIndex(
            model_name="study",
            index=models.Index(
                fields=["institutional_department_name", "-study_date", "-study_time", "-id"], name="study_department"
            ),
        ),
        migrations.AddIndex(
            model_name="study",
            index=models.Index(condition=models.Q(("institution_name", None)), fields=["id"], name="study_unplaced"),
        ),
    ]

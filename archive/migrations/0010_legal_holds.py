"""Legal holds, and whose a deleted object was."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("archive", "0009_patients")]

    operations = [
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("study_instance_uid", models.TextField(blank=True, db_collation="C", default="")),
                ("reason", models.TextField()),
                ("placed_by", models.TextField()),
                ("placed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("until", models.DateTimeField(blank=True, null=True)),
                ("released_by", models.TextField(blank=True, default="")),
                ("released_at", models.DateTimeField(blank=True, null=True)),
                ("release_reason", models.TextField(blank=True, default="")),
                (
                    "patient",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="legal_holds",
                        to="archive.patient",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("released_at__isnull", True)), fields=["patient"], name="hold_of_patient"
                    ),
                    models.Index(
                        condition=models.Q(("released_at__isnull", True)),
                        fields=["study_instance_uid"],
                        name="hold_of_study",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("patient__isnull", False), ("study_instance_uid", "")),
                            models.Q(("patient__isnull", True), models.Q(("study_instance_uid", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="hold_one_scope",
                    )
                ],
            },
        ),
        # No constraint: patients' rows are never removed, and its check would read the table under a lock.
        migrations.AddField(
            model_name="deletedobject",
            name="patient",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="archive.patient",
            ),
        ),
    ]

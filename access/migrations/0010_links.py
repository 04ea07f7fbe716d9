"""Names once in any case, when an account was switched on again, and whose a deleted study was."""

from typing import Any, ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Count
from django.db.models.functions import Upper
from django.db.migrations.operations.base import Operation

NAMES = (("User", "username", "people"), ("Client", "name", "clients"))


def refuse_names_twice(apps: Any, schema_editor: Any) -> None:
    """Say what is wrong where accounts differ in their letters' case alone: which is the right one nobody knows here."""
    for model, field, who in NAMES:
        rows = apps.get_model("access", model).objects
        twice = rows.values(plain=Upper(field)).annotate(count=Count("pk")).filter(count__gt=1).values("plain")
        ids = [str(row) for row in rows.annotate(plain=Upper(field)).filter(plain__in=twice).values_list("external_id", flat=True)]
        if ids:
            raise ValueError(f"the names of these {who} differ in their case alone, rename all but one: {', '.join(ids)}")


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("access", "0009_administration"),
        ("archive", "0006_scopes"),
    ]

    operations: ClassVar[list[Operation]] = [
        migrations.RunPython(refuse_names_twice, migrations.RunPython.noop),
        migrations.CreateModel(
            name="DeletedStudy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("study_instance_uid", models.TextField(db_collation="C", unique=True)),
                (
                    "patient",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="archive.patient"
                    ),
                ),
            ],
        ),
        *(
            migrations.AddField(
                model_name=name,
                name="switched_on_at",
                field=models.DateTimeField(blank=True, editable=False, null=True),
            )
            for name in ("client", "user")
        ),
        migrations.AddConstraint(
            model_name="client",
            constraint=models.UniqueConstraint(Upper("name"), name="client_name_once_in_any_case"),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(Upper("username"), name="user_name_once_in_any_case"),
        ),
    ]

"""Limits of roles, roles of a house's own, names of physicians, grants of single series."""

from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("access", "0003_grants"),
        ("archive", "0006_scopes"),
    ]

    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="CustomRole",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField(unique=True)),
                ("title", models.TextField()),
                ("rights", models.JSONField()),
                (
                    "withheld",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), blank=True, default=list, size=None
                    ),
                ),
                ("changed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="PhysicianName",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField()),
                ("name_key", models.TextField(db_collation="C")),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="grant",
            name="grant_one_scope",
        ),
        migrations.AddField(
            model_name="client",
            name="limit_kind",
            field=models.TextField(
                blank=True, choices=[("site", "site"), ("issuer", "issuer"), ("department", "department")], default=""
            ),
        ),
        migrations.AddField(
            model_name="client",
            name="limit_values",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(), blank=True, default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="grant",
            name="series",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="grants",
                to="archive.series",
            ),
        ),
        migrations.AddField(
            model_name="userrole",
            name="limit_kind",
            field=models.TextField(
                blank=True, choices=[("site", "site"), ("issuer", "issuer"), ("department", "department")], default=""
            ),
        ),
        migrations.AddField(
            model_name="userrole",
            name="limit_values",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(), blank=True, default=list, size=None
            ),
        ),
        migrations.AlterField(
            model_name="client",
            name="role",
            field=models.TextField(),
        ),
        migrations.AlterField(
            model_name="userrole",
            name="role",
            field=models.TextField(),
        ),
        migrations.AddConstraint(
            model_name="client",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("limit_kind", ""), ("limit_values", [])),
                    models.Q(
                        models.Q(("limit_kind", ""), _negated=True), models.Q(("limit_values", []), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="client_whole_limit",
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("patient__isnull", True), ("series__isnull", True), ("study__isnull", False)),
                    models.Q(("patient__isnull", True), ("series__isnull", False), ("study__isnull", True)),
                    models.Q(("patient__isnull", False), ("series__isnull", True), ("study__isnull", True)),
                    _connector="OR",
                ),
                name="grant_one_scope",
            ),
        ),
        migrations.AddConstraint(
            model_name="userrole",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("limit_kind", ""), ("limit_values", [])),
                    models.Q(
                        models.Q(("limit_kind", ""), _negated=True), models.Q(("limit_values", []), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="user_role_whole_limit",
            ),
        ),
        migrations.AddField(
            model_name="customrole",
            name="made_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="physicianname",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="physician_names", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="physicianname",
            constraint=models.UniqueConstraint(fields=("user", "name_key"), name="physician_name_once"),
        ),
    ]

"""Second factors and recovery codes of people, and whose each session is."""

import uuid
from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

# Sessions are stored under a digest of their key now: those that are open can't be found any more.
FORGET = "DELETE FROM django_session;"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("access", "0005_emergency"), ("sessions", "0001_initial")]
    operations: ClassVar[list[Operation]] = [
        migrations.RunSQL(FORGET, FORGET),
        migrations.CreateModel(
            name="PersonSession",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("started_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("source_ip", models.GenericIPAddressField(blank=True, null=True)),
                ("user_agent", models.TextField(blank=True, default="")),
                ("proved_by", models.TextField(blank=True, default="")),
                (
                    "session",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="of_person", to="sessions.session"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SecondFactor",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.TextField(choices=[("app", "Authenticator app"), ("passkey", "Passkey")])),
                ("name", models.TextField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("secret", models.BinaryField(default=b"")),
                ("last_step", models.BigIntegerField(default=0)),
                ("credential_id", models.BinaryField(blank=True, null=True, unique=True)),
                ("credential", models.BinaryField(default=b"")),
                ("sign_count", models.BigIntegerField(default=0)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="second_factors",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(kind="app", credential_id__isnull=True)
                        | models.Q(kind="passkey", credential_id__isnull=False),
                        name="second_factor_is_one_kind",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RecoveryCode",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.TextField(unique=True)),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recovery_codes",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
    ]

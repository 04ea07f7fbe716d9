"""Apps that act for people, with their sessions; API keys; what a client's tokens may have.

Clients that exist may have what they had: all of their role.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

import access.smart

KEEP = """
CREATE TRIGGER app_session_identity BEFORE UPDATE ON access_appsession FOR EACH ROW
    WHEN (OLD.external_id IS DISTINCT FROM NEW.external_id) EXECUTE FUNCTION access_refuse_new_identity();
CREATE TRIGGER api_key_identity BEFORE UPDATE ON access_apikey FOR EACH ROW
    WHEN (OLD.external_id IS DISTINCT FROM NEW.external_id) EXECUTE FUNCTION access_refuse_new_identity();
"""
FREE = """
DROP TRIGGER api_key_identity ON access_apikey;
DROP TRIGGER app_session_identity ON access_appsession;
"""


def _key() -> models.BigAutoField[int, int]:
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


def _now() -> models.DateTimeField[object, object]:
    return models.DateTimeField(db_default=django.db.models.functions.datetime.Now())


def _of(to: str, related_name: str, *, optional: bool = False) -> models.ForeignKey[object, object]:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.CASCADE, related_name=related_name, to=to, null=optional, blank=optional
    )


def _texts(**options: Any) -> django.contrib.postgres.fields.ArrayField[object, object]:
    return django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, size=None, **options)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("access", "0007_federation"), ("archive", "0001_initial")]
    operations: ClassVar[list[Operation]] = [
        migrations.AddField("client", "scopes", _texts(default=access.smart.everything)),
        migrations.AddField("client", "may_introspect", models.BooleanField(default=False)),
        migrations.AddField("client", "ae_title", models.TextField(blank=True, default="")),
        migrations.AddConstraint(
            "client",
            models.UniqueConstraint(
                fields=["ae_title"], condition=models.Q(("ae_title", ""), _negated=True), name="client_ae_title_once"
            ),
        ),
        migrations.CreateModel(
            name="AppSession",
            fields=[
                ("id", _key()),
                ("external_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("scope", models.TextField()),
                ("redirect_uri", models.TextField()),
                ("code_digest", models.TextField(unique=True)),
                ("code_challenge", models.TextField()),
                ("code_expires_at", models.DateTimeField()),
                ("created_at", _now()),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("client", _of(settings.OAUTH2_PROVIDER_APPLICATION_MODEL, "app_sessions")),
                ("patient", _of("archive.patient", "+", optional=True)),
                ("user", _of(settings.AUTH_USER_MODEL, "app_sessions")),
            ],
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", _key()),
                ("external_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("digest", models.TextField(unique=True)),
                ("name", models.TextField()),
                ("permissions", _texts(null=True)),
                ("addresses", _texts(default=list)),
                ("created_at", _now()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("client", _of(settings.OAUTH2_PROVIDER_APPLICATION_MODEL, "api_keys", optional=True)),
                ("user", _of(settings.AUTH_USER_MODEL, "api_keys", optional=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("client__isnull", False), ("user__isnull", True)),
                            models.Q(("client__isnull", True), ("user__isnull", False)),
                            _connector="OR",
                        ),
                        name="api_key_one_holder",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("user__isnull", True), ("expires_at__isnull", False), _connector="OR"),
                        name="api_key_of_person_ends",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("expires_at__isnull", True), ("expires_at__gt", models.F("created_at")), _connector="OR"
                        ),
                        name="api_key_ends_later",
                    ),
                ]
            },
        ),
        migrations.RunSQL(KEEP, FREE),
    ]

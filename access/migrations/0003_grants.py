"""Grants of studies become grants of studies or patients, with rights, to people, machines and share links.

Rows stay as they are: the table is renamed, and what was granted had no limit but the role.
"""

import uuid
from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

import access.rights

KEEP = """
CREATE TRIGGER link_identity BEFORE UPDATE ON access_sharelink FOR EACH ROW
    WHEN (OLD.external_id IS DISTINCT FROM NEW.external_id) EXECUTE FUNCTION access_refuse_new_identity();
"""
FREE = "DROP TRIGGER link_identity ON access_sharelink;"
RIGHTS = ["view", "download", "annotate", "upload", "reshare"]


def _one_of(*names: str) -> models.Q:
    found = models.Q()
    for name in names:
        found |= models.Q(**{f"{other}__isnull": other != name for other in names})
    return found


class Migration(migrations.Migration):
    dependencies: ClassVar = [("access", "0002_external_id_stays"), ("archive", "0001_initial")]
    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="ShareLink",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("external_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("secret_digest", models.TextField(unique=True)),
                ("pin_hash", models.TextField(blank=True, default="")),
                ("wrong_pins", models.PositiveIntegerField(default=0)),
                ("recipient", models.TextField()),
                ("purpose", models.TextField()),
                ("most_uses", models.PositiveIntegerField(blank=True, null=True)),
                ("uses", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="share_links",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LinkToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.TextField(unique=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "link",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tokens", to="access.sharelink"
                    ),
                ),
            ],
        ),
        migrations.RemoveConstraint(model_name="studygrant", name="study_grant_one_holder"),
        migrations.RenameModel(old_name="StudyGrant", new_name="Grant"),
        migrations.AlterField(
            model_name="grant",
            name="user",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="grants",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="grant",
            name="client",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="grants",
                to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="grant",
            name="study",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="grants",
                to="archive.study",
            ),
        ),
        migrations.AddField(
            model_name="grant",
            name="patient",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="grants",
                to="archive.patient",
            ),
        ),
        migrations.AddField(
            model_name="grant",
            name="link",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="grants",
                to="access.sharelink",
            ),
        ),
        migrations.AddField(
            model_name="grant",
            name="rights",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.TextField(choices=[(right, right) for right in RIGHTS]),
                default=access.rights.every_right,
                size=None,
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(condition=_one_of("user", "client", "link"), name="grant_one_holder"),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(condition=_one_of("study", "patient"), name="grant_one_scope"),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.CheckConstraint(
                condition=models.Q(link__isnull=True) | models.Q(valid_until__isnull=False), name="grant_of_link_ends"
            ),
        ),
        migrations.RunSQL(KEEP, FREE),
    ]
